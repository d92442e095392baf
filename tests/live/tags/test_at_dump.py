"""`holdfast check` and `holdfast dump` say what was discovered about what is in use, and go on as before once it is superseded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDFAST = [sys.executable, "-c", "import sys; from holdfast.cli.main import main; sys.exit(main())"]


def holdfast(*words: str, store: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HOLDFAST_TAGS": str(store), "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run([*HOLDFAST, *words], capture_output=True, text=True, env=env)


@pytest.fixture
def target() -> Iterator[int]:
    code = "import select, sys; e = select.epoll(); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
        child.communicate()


def add(store: Path, folder: Path, verdict: str) -> None:
    path = folder / f"{verdict}.json"
    finding = {
        "code": f"hunt.{verdict}",
        "subject": "fd.epoll edges",
        "verdict": verdict,
        "severity": "high",
        "what": "an edge is reported twice",
        "engine": "native",
        "reproducer": "epoll_create1(0)",
        "facts": {"runtime": "fd:anon_inode:[eventpoll]"},
    }
    path.write_text(json.dumps(finding))
    assert holdfast("tags", "add", str(path), store=store).returncode == 0


@pytest.mark.root
def test_refused_by_name_with_the_reason_and_never_sticky(target: int, tmp_path: Path) -> None:
    store = tmp_path / "tags"
    before = holdfast("check", str(target), store=store)
    add(store, tmp_path, "lost")
    during = holdfast("check", str(target), store=store)
    dumped = holdfast("dump", str(target), "-o", str(tmp_path / "image"), store=store)
    add(store, tmp_path, "kept")
    after = holdfast("check", str(target), store=store)
    text = "refused.tags.discovered: fd:anon_inode:[eventpoll] is in use, and a hunt found: an edge is reported twice"
    assert (during.returncode, text in during.stdout, "reproduce it: epoll_create1(0)" in during.stdout) == (10, True, True)
    assert (dumped.returncode, text in dumped.stderr, (tmp_path / "image").exists()) == (10, True, False)
    assert (after.returncode, after.stdout) == (before.returncode, before.stdout)
    assert text not in before.stdout
