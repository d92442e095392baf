"""mm.guard, and how the kinds of areas bring guard pages back."""

from __future__ import annotations

import pytest

from holdfast.kinds.mm import anon
from holdfast.kinds.mm.anon import Anon
from holdfast.kinds.mm.guard import KIND, Guard, Range
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

PAGE = 4096
HERE, END = smaps.BASE, smaps.BASE + smaps.SIZE
GUARDED = f"{smaps.RW} gu"
MADV_GUARD_INSTALL, MADV_GUARD_REMOVE, MADV_DONTDUMP = 102, 103, 16


def test_only_an_area_that_may_have_guards_is_asked_for_them() -> None:
    process = captured.process()
    smaps.area(process=process)
    assert smaps.claimed(KIND, process) is None
    smaps.area(flags=GUARDED, start=END, process=process)
    assert smaps.claimed(KIND, process) is not None


@pytest.mark.parametrize(("flags", "codes"), [(GUARDED, []), (f"{GUARDED} lo", ["mm.guard.locked"]), (f"{smaps.RW} lo", [])])
def test_guards_in_locked_memory_are_refused(flags: str, codes: list[str]) -> None:
    process = captured.process()
    smaps.area(flags=flags, process=process)
    assert captured.verdicts(KIND, process) == codes


def test_private_memory_with_guards_is_carried_and_says_only_that_it_has_or_had_some() -> None:
    assert captured.dumped(anon.KIND, smaps.area(flags=GUARDED)) == Anon(HERE, END, ("read", "write"), ("guarded",))


def test_an_area_that_had_guards_keeps_the_mark_when_none_is_left() -> None:
    [mapped, install, remove] = smaps.calls(anon.KIND, Anon(HERE, END, ("read", "write"), ("guarded",)))
    assert mapped[0] == "mmap"
    assert [install, remove] == [("madvise", HERE, PAGE, MADV_GUARD_INSTALL), ("madvise", HERE, PAGE, MADV_GUARD_REMOVE)]


def test_an_area_gets_the_guards_within_it_before_its_protection_is_final() -> None:
    ranges = (Range(HERE - PAGE, HERE + PAGE), Range(END - PAGE, END), Range(END + PAGE, END + 2 * PAGE))
    guards: dict[str, dict[str, Guard]] = {"mm.guard": {str(captured.PROCESS): Guard(ranges)}}
    calls = smaps.calls(anon.KIND, Anon(HERE, END, ("read", "write"), ("dont_dump",)), records=guards)
    assert calls[1:] == [
        ("madvise", HERE, PAGE, MADV_GUARD_INSTALL),
        ("madvise", END - PAGE, PAGE, MADV_GUARD_INSTALL),
        ("madvise", HERE, smaps.SIZE, MADV_DONTDUMP),
    ]
