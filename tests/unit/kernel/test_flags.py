"""Permanent names of flags: there and back, renumbered, unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel import flags, flagtables
from holdfast.kernel.uapi import constants

# the kernel's own values, which no C library's header shows
NOT_IN_UAPI = {"O_ASYNC": 0o20000, "O_LARGEFILE": 0o100000}
# core(5) numbers the bits of coredump_filter
NOT_IN_UAPI |= {
    f"MMF_DUMP_{name}": 1 << n
    for n, name in enumerate(
        "ANON_PRIVATE ANON_SHARED MAPPED_PRIVATE MAPPED_SHARED ELF_HEADERS HUGETLB_PRIVATE HUGETLB_SHARED DAX_PRIVATE DAX_SHARED".split()
    )
}


def value_in_headers(table: str, name: str) -> int | None:
    """What the compiled headers say a name's value is, as the set of bits that the table stores."""
    if name in NOT_IN_UAPI:
        return NOT_IN_UAPI[name]
    value: int | None = getattr(constants, name, None)
    if table == "capability":
        return None if value is None else 1 << value
    if table == "signal":
        return 1 << (value if value is not None else int(name.removeprefix("SIG"))) - 1
    return value


@pytest.mark.parametrize("table", flagtables.BITS)
def test_every_bit_is_the_headers_value(table: str) -> None:
    assert flagtables.BITS[table] == {name: value_in_headers(table, name) for name in flagtables.BITS[table]}


def test_the_types_of_mappings_are_the_headers_values() -> None:
    (words,) = flagtables.FIELDS["map"].values()
    assert words == {name: getattr(constants, name) for name in words}
    assert list(flagtables.FIELDS["map"]) == [constants.MAP_TYPE]


PREFIXES = {
    "open": "O_",
    "prot": "PROT_",
    "map": "MAP_",
    "sigaction": "SA_",
    "securebits": "SECBIT_",
    "capability": "CAP_",
    "seal": "F_SEAL_",
    "mdwe": "PR_MDWE_",
    "membarrier": "MEMBARRIER_CMD_REGISTER_",
}
# values that say nothing by themselves, masks, other names for the same bits, and numbers of capability(2) versions
NO_FLAGS = {"O_RDONLY", "O_NDELAY", "PROT_NONE", "MAP_TYPE", "CAP_LAST_CAP"}


@pytest.mark.parametrize("table", PREFIXES)
def test_no_flag_of_the_headers_is_without_a_name(table: str) -> None:
    known = set(flagtables.BITS[table]) | {n for words in flagtables.FIELDS.get(table, {}).values() for n in words}
    found = {n for n in vars(constants) if n.startswith(PREFIXES[table])} - NO_FLAGS
    assert found - known == set()


@pytest.mark.parametrize("table", flagtables.BITS)
@given(data=st.data())
def test_any_set_of_names_comes_back(table: str, data: st.DataObject) -> None:
    single = [n for n, v in flagtables.BITS[table].items() if v.bit_count() == 1]
    choice = set(data.draw(st.lists(st.sampled_from(single))))
    for words in flagtables.FIELDS.get(table, {}).values():
        choice |= set(data.draw(st.lists(st.sampled_from(sorted(words)), max_size=1)))
    bits = flags.bits(table, choice)
    assert flags.bits(table, flags.names(table, bits)) == bits
    if table != "open":  # O_WRONLY with O_RDWR has a name of its own
        assert set(flags.names(table, bits)) == choice


def test_one_name_for_several_bits() -> None:
    assert flags.names("open", 0o4010000) == ("O_SYNC",)
    assert flags.names("open", 0o10000) == ("O_DSYNC",)
    assert flags.names("open", 0o20200000) == ("O_TMPFILE",)
    assert flags.names("open", 0o200000) == ("O_DIRECTORY",)
    assert flags.names("open", 3) == ("O_ACCMODE",)
    assert flags.names("open", 0) == ()


def test_half_of_a_name_for_several_bits_is_unknown() -> None:
    with pytest.raises(flags.UnknownFlag, match=r"^open: bit 20 \(0x100000\) has no permanent name$"):
        flags.names("open", 0o4000000)


def test_an_unknown_bit_is_named_by_its_number() -> None:
    with pytest.raises(flags.UnknownFlag, match=r"^sigaction: bit 24 \(0x1000000\) has no permanent name$"):
        flags.names("sigaction", 0x10000000 | 1 << 24)
    with pytest.raises(flags.UnknownFlag, match=r"^capability: bit 41 .*, bit 63 \(0x8000000000000000\) have no permanent names$"):
        flags.names("capability", 1 << 63 | 1 << 41 | 1)


def test_unknown_letters_are_named() -> None:
    with pytest.raises(flags.UnknownFlag, match=r"^vma: `zz` has no permanent name$"):
        flags.from_letters("vma", "rd wr zz mr")
    with pytest.raises(flags.UnknownFlag, match=r"^vma: `\?\?` has no permanent name$"):
        flags.from_letters("vma", "rd ??")


def test_an_unknown_name_refuses() -> None:
    with pytest.raises(flags.UnknownFlag, match=r"^open: 'O_FUTURE' is not a name that this version knows$"):
        flags.bits("open", ["O_APPEND", "O_FUTURE"])
    with pytest.raises(flags.UnknownFlag, match=r"^vma: 'guarded' is not a name that this version knows$"):
        flags.to_letters("vma", ["read", "guarded"])


def test_a_number_in_a_field_is_exact() -> None:
    assert flags.names("personality", 8) == ("PER_LINUX32",)
    assert flags.names("personality", 9 | 0x40000) == ("ADDR_NO_RANDOMIZE", "PER_IRIX32")
    assert flags.bits("personality", ["PER_IRIX32", "ADDR_NO_RANDOMIZE"]) == 0x40009
    with pytest.raises(flags.UnknownFlag, match=r"^personality: the number 153 in 0xff has no permanent name$"):
        flags.names("personality", 0x99)
    with pytest.raises(flags.UnknownFlag, match=r"cannot both hold"):
        flags.bits("map", ["MAP_SHARED", "MAP_PRIVATE"])


def test_a_renumbered_flag_restores_to_its_new_bit() -> None:
    old = flags.Table("signal action", {"SA_RESTART": 1 << 28, "SA_NODEFER": 1 << 30, "SA_SIGINFO": 4})
    new = flags.Table("signal action", {"SA_RESTART": 1 << 30, "SA_NODEFER": 1 << 28, "SA_SIGINFO": 1 << 7})
    stored = flags.names(old, 1 << 28 | 4)
    assert flags.bits(new, stored) == 1 << 30 | 1 << 7


def test_letters_that_changed_restore_to_the_new_letters() -> None:
    old = flags.LetterTable("vma", {"read": "rd", "sealed": "sl"})
    new = flags.LetterTable("vma", {"read": "rd", "sealed": "se", "slow": "sl"})
    assert flags.to_letters(new, flags.from_letters(old, "rd sl")) == ("rd", "se")


def test_no_name_and_no_letters_are_used_twice() -> None:
    for name, letters in flagtables.LETTERS.items():
        assert sorted(set(letters.values())) == sorted(letters.values()), name
    for name, fields in flagtables.FIELDS.items():
        inside = [word for words in fields.values() for word in words]
        assert set(inside) & set(flagtables.BITS[name]) == set(), name
        masks = sum(fields)
        assert [n for n, v in flagtables.BITS[name].items() if v & masks] == [], name


def test_this_kernel_shows_no_letters_without_a_name() -> None:
    with open("/proc/self/smaps", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split(":", 1)[1] for line in file if line.startswith("VmFlags:")]
    assert lines != []
    for line in lines:
        assert flags.to_letters("vma", flags.from_letters("vma", line)) is not None
