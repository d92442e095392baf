"""Memory areas from maps and smaps. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.maps import Smap, Vma, parse_maps, parse_smaps

# The run of spaces before a name is shortened. (line, special, path, anonymous name, seems deleted, path is certain)
NAMES = [
    (b"55a104ea6000-55a105057000 rw-p 00000000 00:00 0  [heap]", "heap", b"", None, False, True),
    (b"7f92101c6000-7f92102f9000 rw-p 00000000 00:00 0 ", "", b"", None, False, True),
    (b"7f9211017000-7f9211019000 r--p 00000000 00:00 0  [vvar_vclock]", "vvar_vclock", b"", None, False, True),
    (b"7f92102fa000-7f92102fb000 rw-s 00000000 00:01 134  /memfd:mf x (deleted)", "", b"/memfd:mf x", None, True, False),
    (b"7f92103b1000-7f92103b2000 r--s 00000000 fe:00 2173256                    /srv/del (deleted)", "", b"/srv/del", None, True, False),
    (b"7f92103b2000-7f92103b3000 r--s 00000000 fe:00 2173255                    /srv/g\rh ", "", b"/srv/g\rh ", None, False, True),
    # two files: `a`, newline, `b`; and `d\012e`. The kernel prints both with a backslash.
    (b"7f9211009000-7f921100a000 r--s 00000000 fe:00 2173252                    /srv/a\\012b", "", b"/srv/a\\012b", None, False, False),
    (b"7f92103b3000-7f92103b4000 r--s 00000000 fe:00 2173254                    /srv/d\\012e", "", b"/srv/d\\012e", None, False, False),
    # by hand, from Linux 6.18 fs/proc/task_mmu.c; this kernel lacks CONFIG_ANON_VMA_NAME
    (b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0  [anon:my name]", "", b"", b"my name", False, True),
    (b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0  [anon:]", "", b"", b"", False, True),
    (b"7f0000000000-7f0000001000 rw-s 00000000 00:01 133                        [anon_shmem:x]", "", b"", b"x", False, True),
    # a kernel file without a path, as perf_event_open gives
    (b"7f0000000000-7f0000001000 rw-s 0 00:0f 2062  anon_inode:[perf]", "", b"anon_inode:[perf]", None, False, True),
]  # fmt: skip


@pytest.mark.parametrize(("line", "special", "path", "anon", "deleted", "certain"), NAMES)
def test_a_name_is_read_for_what_it_is(line: bytes, special: str, path: bytes, anon: bytes | None, deleted: bool, certain: bool) -> None:
    (vma,) = parse_maps(line + b"\n")
    assert (vma.special, vma.path, vma.anon_name, vma.seems_deleted, vma.path_is_certain) == (special, path, anon, deleted, certain)


def test_every_field_of_a_line() -> None:
    (vma,) = parse_maps(b"7f9210844000-7f921099a000 r-xp 00026000 fe:10 339380                     /usr/lib/libc.so.6\n")
    assert vma == Vma(0x7F9210844000, 0x7F921099A000, 5, False, 0x26000, 0xFE, 0x10, 339380, b"/usr/lib/libc.so.6")
    assert vma.size == 0x156000


@pytest.mark.parametrize(
    ("perms", "prot", "shared"),
    [(b"---p", 0, False), (b"r--p", 1, False), (b"-w-p", 2, False), (b"--xp", 4, False), (b"rwxs", 7, True), (b"rw-s", 3, True)],
)
def test_permissions(perms: bytes, prot: int, shared: bool) -> None:
    (vma,) = parse_maps(b"7f0000000000-7f0000001000 " + perms + b" 00000000 00:00 0 \n")
    assert (vma.prot, vma.shared) == (prot, shared)


def test_the_last_page_of_the_address_space_and_an_offset_of_64_bits() -> None:
    (vma,) = parse_maps(b"ffffffffff600000-ffffffffff601000 --xp fffffffffffff000 00:00 0                  [vsyscall]\n")
    assert (vma.start, vma.offset, vma.special) == (0xFFFFFFFFFF600000, 0xFFFFFFFFFFFFF000, "vsyscall")


@pytest.mark.parametrize(
    "line",
    [
        b"7f0000000000 rw-p 00000000 00:00 0",
        b"7f0000000000-7f0000001000 rw-q 00000000 00:00 0",
        b"7f0000000000-7f0000001000 rw-pz 00000000 00:00 0",
        b"7f0000000000-7f0000001000 rWxp 00000000 00:00 0",
        b"7f0000000000-7f0000001000 rw-p 00000000 0000 0",
        b"7f0000000000-7f0000001000 rw-p 00000000 00:00",
    ],
)
def test_an_unknown_form_is_an_error_that_shows_the_line(line: bytes) -> None:
    with pytest.raises(KernelLacks) as caught:
        parse_maps(b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n" + line + b"\n")
    assert caught.value.code == "kernel_lacks.proc_format"
    assert repr(line) in caught.value.where


SMAPS = b"""\
5575b392e000-5575b3930000 r--p 00000000 fe:00 260386                     /usr/bin/head
Size:                  8 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   8 kB
Pss_Dirty:             0 kB
THPeligible:           0
ProtectionKey:         3
VmFlags: rd mr mw me 
7f92102fa000-7f92102fb000 rw-s 00000000 00:01 134  /memfd:VmFlags: x (deleted)
Size:                  4 kB
VmFlags: rd wr sh mr mw me ms ?? 
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Size:                  4 kB
VmFlags: ex 
"""  # noqa: W291


def test_smaps_gives_areas_flags_and_counters() -> None:
    head, memfd, vsyscall = parse_smaps(SMAPS)
    assert [s.vma for s in (head, memfd, vsyscall)] == parse_maps(b"".join(line for line in SMAPS.splitlines(True) if b"-" in line[:20]))
    assert head.flags == ("rd", "mr", "mw", "me")
    assert memfd.flags == ("rd", "wr", "sh", "mr", "mw", "me", "ms", "??")
    assert vsyscall.flags == ("ex",)
    assert head.counters() == {
        "Size": 8192,
        "KernelPageSize": 4096,
        "MMUPageSize": 4096,
        "Rss": 8192,
        "Pss_Dirty": 0,
        "THPeligible": 0,
        "ProtectionKey": 3,
    }


def test_smaps_does_not_depend_on_the_order_of_lines() -> None:
    (smap,) = parse_smaps(b"00400000-00401000 r--p 00000000 00:00 0 \nVmFlags: rd\nNewKey: 7 kB\nSize: 4 kB\n")
    assert smap.flags == ("rd",)
    assert smap.counters() == {"NewKey": 7168, "Size": 4096}


@pytest.mark.parametrize("data", [b"Size: 4 kB\n", b"VmFlags: rd\n00400000-00401000 r--p 00000000 00:00 0 \n"])
def test_smaps_that_begins_without_an_area_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_smaps(data)


def test_nothing_gives_nothing() -> None:
    assert parse_maps(b"") == []
    assert parse_smaps(b"") == []


def test_a_counter_that_is_no_number_is_an_error() -> None:
    with pytest.raises(KernelLacks):
        Smap(parse_maps(b"0-1 r--p 0 0:0 0")[0], (), (b"Size: four kB",)).counters()
