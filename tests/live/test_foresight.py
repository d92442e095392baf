"""A program that changes how its memory is treated, again and again, is dumped as it was at one moment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import holdfast
from holdfast.engine import foresight
from holdfast.engine.restore import readers
from holdfast.image import read
from holdfast.model.ids import ObjectId
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 80 << 20
TOGGLES = f"""
    import mmap, threading
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    # between others that it cannot become one with, whatever its flags: only these tell what it was
    fence = mmap.mmap(-1, 4096, flags=private, prot=mmap.PROT_READ)
    memory = mmap.mmap(-1, {SIZE}, flags=private)
    other = mmap.mmap(-1, 4096, flags=private, prot=mmap.PROT_READ)
    for at in range(0, {SIZE}, 4096):
        memory[at] = 1
    ended = False
    def toggle():
        while not ended:
            memory[0] = 1  # about to be left out of core files
            memory.madvise(mmap.MADV_DONTDUMP)
            memory[0] = 2  # left out
            for _ in range(5000): pass
            memory[0] = 3  # about to be taken in
            memory.madvise(mmap.MADV_DODUMP)
            memory[0] = 4  # taken in
            for _ in range(5000): pass
    thread = threading.Thread(target=toggle)
    thread.start()
    pause()
    ended = True
    thread.join()
    say("done")
    """


def state(image: Path) -> tuple[int, bool]:
    """What the first byte of the large area says, and whether the area is left out of core files."""
    with read.open(image, readers()) as opened:
        records: list[Any] = [rec for _, rec in opened.records("mm.anon")]
        [area] = [rec for rec in records if rec.end - rec.start >= SIZE]
        [owner] = [o for o in opened.owners() if o.startswith("process:")]
        run = next(r for r in opened.runs(ObjectId(owner)) if int(r.start) <= area.start < int(r.start) + r.pages * 4096)
        at = run.offset + area.start - int(run.start)
        return os.pread(opened.pages_fd(run.file), 1, at)[0], "dont_dump" in area.flags


@pytest.mark.root
def test_flags_and_contents_are_of_one_moment(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, TOGGLES)
    try:
        assert int(subject.pid) in foresight.look(subject.pid)
        for i in range(12):
            dumped = holdfast.dump(subject.pid, tmp_path / f"image{i}", leave_running=True)
            assert dumped.how == "twin"
            said, left_out = state(tmp_path / f"image{i}")
            assert said in (1, 3) or left_out == (said == 2), i
        subject.go()
        subject.end()
        assert subject.said == ["done"]
    finally:
        subject.kill()


@pytest.mark.root
def test_what_is_not_proved_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = TOGGLES.replace("while not ended:", "while False:")
    subject = harness.start(tmp_path, quiet)
    real, asked = foresight.prove, []

    def prove(process: object, twin: int) -> None:
        asked.append(twin)
        if len(asked) == 1:
            with open(f"/proc/{twin}/status", "rb") as file:  # it is there
                assert file.read()
            raise foresight._changed(process)  # type: ignore[arg-type]
        real(process, twin)  # type: ignore[arg-type]

    monkeypatch.setattr(foresight, "prove", prove)
    try:
        dumped = holdfast.dump(subject.pid, tmp_path / "image", leave_running=True)
        assert dumped.how == "twin"
        assert len(asked) == 1  # the second time nothing was foreseen
        assert holdfast.verify(tmp_path / "image").verdict == "OK"
        monkeypatch.setattr(foresight, "prove", real)
        holdfast.dump(subject.pid, tmp_path / "again", leave_running=True)
        assert state(tmp_path / "image") == state(tmp_path / "again")
        subject.go()
        subject.end()
    finally:
        subject.kill()
