"""mm.anon. The text is Linux 6.18's."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.kinds.mm.anon import KIND, Anon
from tests.unit.kinds import captured
from tests.unit.kinds.mm import smaps

HERE, END = smaps.BASE, smaps.BASE + smaps.SIZE
PLAIN = Anon(HERE, END, ("read", "write"))


@pytest.mark.parametrize(
    ("perms", "flags", "name", "record"),
    [
        ("rw-p", smaps.RW, "", PLAIN),
        ("rw-p", smaps.RW, "[heap]", PLAIN),
        ("rw-p", "rd wr mr mw me gd ac", "[stack]", Anon(HERE, END, ("read", "write"), ("grows_down",))),
        ("---p", "mr mw me sd", "", Anon(HERE, END, ())),
        ("r-xp", "rd ex mr mw me dc dd", "", Anon(HERE, END, ("read", "execute"), ("dont_dump", "dont_fork"))),
        ("rw-p", "rd wr mr mw me lo lf nr", "", Anon(HERE, END, ("read", "write"), ("lock_on_fault", "locked", "no_reserve"))),
        ("rw-p", smaps.RW, "[anon:of a program]", Anon(HERE, END, ("read", "write"), (), b"of a program")),
        ("rw-p", smaps.RW, "[anon:]", Anon(HERE, END, ("read", "write"), (), b"")),
        ("rw-p", "rd wr mr mw me dp sl wf", "", Anon(HERE, END, ("read", "write"), ("droppable", "sealed", "wipe_on_fork"))),
    ],
)
def test_the_text_gives_the_record(perms: str, flags: str, name: str, record: Anon) -> None:
    assert captured.dumped(KIND, smaps.area(perms, flags, name)) == record


def test_only_private_memory_without_a_file_is_claimed() -> None:
    assert smaps.claimed(KIND, smaps.area(name="/bin/cat", device="fe:00", inode=7)) is None
    assert smaps.claimed(KIND, smaps.area("rw-s", name="/dev/zero (deleted)", device="00:01", inode=7)) is None
    for own in ("[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]", "[uprobes]"):
        assert smaps.claimed(KIND, smaps.area(name=own)) is None


@pytest.mark.parametrize(
    ("flags", "key", "code"), [("rd um", 0, "mm.flag"), ("rd ??", 0, "mm.unknown_flag"), ("rd", 1, "mm.protection_key")]
)
def test_what_cannot_be_carried_is_refused(flags: str, key: int, code: str) -> None:
    assert captured.verdicts(KIND, smaps.area(flags=flags, key=key)) == [code]


def test_it_is_mapped_where_it_was_and_never_over_another() -> None:
    [part] = smaps.parts(KIND, PLAIN)
    assert (part.needs, part.gives) == ({"clear"}, {"mapped"})
    assert part.calls == [("mmap", HERE, 0x3000, 3, 0x100022, (1 << 64) - 1, 0)]
    assert part.checks == [HERE]


@pytest.mark.parametrize(
    ("flags", "bits"),
    [(("grows_down",), 0x100122), (("no_reserve",), 0x104022), (("droppable",), 0x100028)],
)
def test_what_only_mmap_can_give_is_given_there(flags: tuple[str, ...], bits: int) -> None:
    assert smaps.calls(KIND, Anon(HERE, END, ("read", "write"), flags))[0][4] == bits


def test_pages_are_filled_in_before_the_protection_is_final() -> None:
    for flags in (("accounted",), ("no_reserve",)):
        first, last = smaps.parts(KIND, Anon(HERE, END, ("read",), flags), pages=True)
        assert first.calls[0][3] == 3
        assert (last.needs, last.calls) == ({"filled"}, [("mprotect", HERE, 0x3000, 1)])
    for pages in (False, True):  # one that never was writable, whoever wrote its pages
        assert [(call[0], call[3]) for call in smaps.calls(KIND, Anon(HERE, END, ("read",)), pages=pages)] == [("mmap", 1)]


def test_an_empty_area_that_is_counted_has_had_a_page() -> None:
    rec = Anon(HERE, END, ("read",), ("accounted",))
    touched = [("madvise", HERE, 4096, 23), ("madvise", HERE, 4096, 4)]
    first, last = smaps.parts(KIND, rec, pages=False)
    assert (first.calls[0][3], first.calls[1:], last.calls) == (3, touched, [("mprotect", HERE, 0x3000, 1)])
    assert [call[0] for call in smaps.calls(KIND, rec, pages=True)] == ["mmap", "mprotect"]


def test_a_name_comes_back_even_an_empty_one() -> None:
    assert smaps.calls(KIND, smaps.changed(PLAIN, name=b""))[1:] == [("prctl", 0x53564D41, 0, HERE, 0x3000, b"\0")]
    assert smaps.calls(KIND, smaps.changed(PLAIN, name=b"x y"))[1:] == [("prctl", 0x53564D41, 0, HERE, 0x3000, b"x y\0")]


@pytest.mark.parametrize(
    ("field", "value"), [("start", HERE - 4096), ("end", END + 4096), ("protection", ("read",)), ("flags", ("locked",)), ("name", b"n")]
)
def test_compare_sees_every_field(field: str, value: Any) -> None:
    assert captured.differences(KIND, PLAIN, smaps.changed(PLAIN, **{field: value})) == [field]
    assert captured.differences(KIND, PLAIN, PLAIN) == []
