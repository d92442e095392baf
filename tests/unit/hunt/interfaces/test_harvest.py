"""hunt.interfaces.harvest: the table that is checked in, and headers that are installed."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from holdfast.hunt.interfaces import harvest, headers
from holdfast.prog.text import Const

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_table_knows_constants_of_each_kind() -> None:
    known = harvest.Constants(harvest.parsed(harvest._shipped()))
    names = [
        "SO_KEEPALIVE",
        "IPPROTO_TCP",
        "AF_UNIX",
        "TCP_NODELAY",
        "IPPROTO_MPTCP",
        "EPOLLET",
        "SECCOMP_IOCTL_NOTIF_RECV",
        "PR_SET_DUMPABLE",
    ]
    assert [known[n].value for n in names] == [9, 6, 1, 1, 262, 1 << 31, 0xC0502100, 4]
    assert known.header("TCP_NODELAY") == "linux/tcp.h"
    assert known.get("SO_NOBODY") is None
    assert not known.has("SO_NOBODY")


def test_the_table_is_what_its_own_command_would_write() -> None:
    """Made again from the newest package of headers by `python -m holdfast.hunt.interfaces.harvest`; here only its form is looked at."""
    text = harvest._shipped()
    head, _, body = text.partition("\n")
    assert "python -m holdfast.hunt.interfaces.harvest" in head
    assert harvest.written(harvest.Constants(harvest.parsed(text))) == body


def test_prefixes_and_headers() -> None:
    known = harvest.Constants([("A_TWO", 2, "h/a.h"), ("A_ONE", 1, "h/b.h"), ("B_ONE", 1, "h/a.h"), ("A_TWO", 9, "h/c.h")])
    assert known.prefixed("A_") == [Const("A_ONE", 1), Const("A_TWO", 2)]
    assert known.prefixed("A_", "B_", header="h/a.h") == [Const("B_ONE", 1), Const("A_TWO", 2)]
    assert known.prefixed("A_", header=("h/b.h", "h/c.h")) == [Const("A_ONE", 1)]
    assert [c.name for c in known] == ["A_TWO", "A_ONE", "B_ONE"]
    assert len(known) == 3
    with pytest.raises(KeyError):
        known["C"]


def test_a_constant_that_is_added_to_a_header_is_there_at_the_next_start(cached: Path) -> None:
    header = cached / "include" / "linux" / "tcp.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define TCP_NODELAY 1\n")
    assert not harvest.load([str(cached / "include")]).has("TCP_OF_TOMORROW")
    header.write_text("#define TCP_NODELAY 1\n#define TCP_OF_TOMORROW (60 + 7)\n")
    found = harvest.load([str(cached / "include")])
    assert found["TCP_OF_TOMORROW"] == Const("TCP_OF_TOMORROW", 67)
    assert found.header("TCP_OF_TOMORROW") == "linux/tcp.h"
    assert found.has("SO_KEEPALIVE")  # from the table


def test_headers_are_read_once(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = cached / "include" / "linux" / "one.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define ONE 1\n")
    first = harvest.of_folder(str(cached / "include")).rows()

    def forbidden(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(headers, "constants", forbidden)
    assert harvest.of_folder(str(cached / "include")).rows() == first == [("ONE", 1, "linux/one.h")]


def test_no_headers_are_no_constants(cached: Path) -> None:
    assert len(harvest.of_folder(str(cached / "nowhere"))) == 0


@pytest.mark.parametrize(
    "header", ["asm/socket.h", "linux/in6.h", "linux/tcp.h", "linux/seccomp.h", "linux/userfaultfd.h", "linux/prctl.h"]
)
def test_a_compiler_agrees(header: str) -> None:
    generic = f"asm-generic/{header.split('/')[1]}"
    found = [row for row in harvest.of_folder(*harvest.INSTALLED).rows() if row[2] in (header, generic)]
    if not found:
        pytest.skip("no headers are installed here: apt-get install linux-libc-dev")
    lines = "".join(f"unsigned long long held_{name} = (unsigned long long)({name});\n" for name, _, _ in found)
    source = f"#include <stddef.h>\n#include <sys/types.h>\n#include <sys/socket.h>\n#include <asm/ioctl.h>\n#include <{header}>\n{lines}"
    try:
        done = subprocess.run(["gcc", "-S", "-w", "-x", "c", "-", "-o", "-"], input=source, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("gcc is not on this machine: apt-get install gcc")
    assert done.returncode == 0, done.stderr
    compiled = {m[1]: int(m[2]) for m in re.finditer(r"held_(\w+):\n\s*\.quad\s+(-?\d+)", done.stdout)}
    compiled |= {m[1]: 0 for m in re.finditer(r"held_(\w+):\n\s*\.zero", done.stdout)}
    assert {name: value % 2**64 for name, value, _ in found} == {name: value % 2**64 for name, value in compiled.items()}
