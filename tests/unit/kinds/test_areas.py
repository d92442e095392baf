"""kinds.areas: every letter of VmFlags is carried, derived or refused, and names lead back to calls."""

from __future__ import annotations

import pytest

from holdfast.kinds import areas
from holdfast.kinds.mm.anon import KIND, Anon
from tests.unit.kinds.mm import smaps

HERE, SIZE = smaps.BASE, smaps.SIZE


@pytest.mark.parametrize("letters", sorted(areas.FOREIGN))
def test_a_foreign_letter_is_refused_with_what_it_means(letters: str) -> None:
    [refusal] = areas.refusals(smaps.area(flags=f"rd wr {letters} sd"))
    assert refusal.code == "mm.flag"
    assert areas.FOREIGN[letters] in refusal.what
    assert f"`{letters}`" in refusal.why
    assert f"{HERE:x}-{HERE + SIZE:x}" in refusal.where


@pytest.mark.parametrize("letters", ["??", "zz", "qq"])
def test_an_unknown_letter_is_refused_by_name(letters: str) -> None:
    [refusal] = areas.refusals(smaps.area(flags=f"rd {letters}"))
    assert refusal.code == "mm.unknown_flag"
    assert f"`{letters}`" in refusal.what


def test_every_letter_that_is_wrong_is_told() -> None:
    assert [r.code for r in areas.refusals(smaps.area(flags="rd pf ?? ht", key=3))] == [
        "mm.flag",
        "mm.unknown_flag",
        "mm.flag",
        "mm.protection_key",
    ]


def test_a_kind_may_allow_letters_of_its_own() -> None:
    assert [r.code for r in areas.refusals(smaps.area(flags="rd ht um"), frozenset(("ht",)))] == ["mm.flag"]


@pytest.mark.parametrize("letters", sorted({*areas.CARRIED, *areas.DERIVED}))
def test_a_letter_that_is_carried_or_derived_is_not_refused(letters: str) -> None:
    assert list(areas.refusals(smaps.area(flags=f"rd {letters}"))) == []


def test_no_letter_has_two_meanings() -> None:
    tables = (set(areas.CARRIED), set(areas.DERIVED), set(areas.FOREIGN))
    assert len(set.union(*tables)) == sum(map(len, tables))


def test_protection_key_0_is_everybodys_and_another_is_refused() -> None:
    assert list(areas.refusals(smaps.area(key=0))) == []
    [refusal] = areas.refusals(smaps.area(key=12))
    assert refusal.code == "mm.protection_key"
    assert "12" in refusal.what


def test_names_are_sorted_and_only_of_what_is_carried() -> None:
    assert areas.names(smaps.area(flags="rd wr mr wf lo dc lf ac sd")) == ("dont_fork", "lock_on_fault", "locked", "wipe_on_fork")


@pytest.mark.parametrize("prot", range(8))
def test_protection_comes_back_from_its_words(prot: int) -> None:
    assert areas.bits(areas.words(prot)) == prot


def test_an_unknown_word_of_protection_is_an_error() -> None:
    with pytest.raises(ValueError, match="growing"):
        areas.bits(("read", "growing"))


# madvise(2), <asm-generic/mman-common.h>
@pytest.mark.parametrize(
    ("flag", "advice"),
    [
        ("random_read", 1),
        ("sequential_read", 2),
        ("dont_fork", 10),
        ("mergeable", 12),
        ("huge_page", 14),
        ("no_huge_page", 15),
        ("dont_dump", 16),
        ("wipe_on_fork", 18),
    ],
)
def test_advice_is_given_when_the_pages_are_there(flag: str, advice: int) -> None:
    _, last = smaps.parts(KIND, Anon(HERE, HERE + SIZE, ("read", "write"), (flag,)))
    assert (last.needs, last.gives, last.calls) == ({"filled"}, {"sealed"}, [("madvise", HERE, SIZE, advice)])


@pytest.mark.parametrize(("flags", "how"), [(("locked",), 0), (("lock_on_fault", "locked"), 1)])
def test_locks_come_back(flags: tuple[str, ...], how: int) -> None:
    assert smaps.calls(KIND, Anon(HERE, HERE + SIZE, ("read", "write"), flags))[1:] == [("mlock2", HERE, SIZE, how)]


def test_the_seal_is_last_and_the_protection_first() -> None:
    rec = Anon(HERE, HERE + SIZE, (), ("accounted", "dont_dump", "locked", "sealed"), b"n")
    assert [call[0] for call in smaps.calls(KIND, rec, pages=True)[1:]] == ["mprotect", "madvise", "prctl", "mlock2", "mseal"]


def test_an_area_with_nothing_beside_the_default_needs_nothing_after_its_pages() -> None:
    assert len(smaps.parts(KIND, Anon(HERE, HERE + SIZE, ("read", "write")))) == 1
