"""Every bit that the ledger holds for a kernel is what that kernel's own headers say, and no watched bit is missing."""

from __future__ import annotations

import functools
import os
import re

import pytest

from holdfast.drift import diff, ledger
from holdfast.errors import HoldfastError
from holdfast.kernel import debian
from holdfast.kernel.uapi import defines

LEDGER = os.path.join(os.path.dirname(__file__), "..", "..", "ledger")
KERNELS = ("6.1", "6.12")
PREFIX = {"vm": "VM_", "mmf": "MMF_", "pf": "PF_", "pfa": "PFA_", "tif": "TIF_", "signal-struct": "SIGNAL_", "shmem": "SHMEM_F_"} | {
    "sched_flag": "SCHED_FLAG_",
    "sa_flags": "SA_",
}
NUMBERS = {"mmf", "pfa", "tif"}  # these #defines are bit numbers, the others masks
INCLUDES = ["linux/mm.h", "linux/sched/coredump.h", "linux/sched.h", "linux/sched/signal.h", "linux/shmem_fs.h"]
NOT_FLAGS = re.compile(
    r".*_(MASK|BITS|SHIFT|DEFAULT|ELF)|PF__HOLE__\w+|VM_(FAULT|UNUSED|READAHEAD|MIN|OVERCOMMIT|REFCNT|UNMAPPED|PKEY_SHIFT|HIGH_ARCH_BIT)\w*"
)


@functools.cache
def defined(series: str) -> dict[str, int | None]:
    try:
        headers = defines.fetched(debian.choose(debian.available(), f"{series}/cloud"))
    except HoldfastError as error:
        pytest.skip(f"{error.what}; reach a Debian mirror, then make test ARGS='{__file__}'")
    found = defines.values(headers, INCLUDES, r"(VM|MMF|PF|PFA|TIF|SIGNAL|SHMEM_F|SCHED_FLAG|SA)_[A-Z0-9_]+")
    with open(os.path.join(headers.common, "include/linux/sched.h"), encoding="utf-8") as file:
        text = file.read()
    return {
        n: v for n, v in found.items() if not NOT_FLAGS.fullmatch(n) and (not n.startswith("PF_") or re.search(rf"#define {n}\b", text))
    }


@pytest.mark.tool("gcc", "gcc")
@pytest.mark.parametrize("series", KERNELS)
def test_every_bit_is_what_the_headers_say(series: str) -> None:
    book = ledger.Ledger(ledger.read(LEDGER), LEDGER)
    version = ledger.version_of(series)
    assert sorted(book.flags) == sorted(PREFIX)
    for name, table in book.flags.items():
        mine = {n: v for n, v in defined(series).items() if n.startswith(PREFIX[name])}
        if name not in NUMBERS:
            mine = {n: v.bit_length() - 1 for n, v in mine.items() if v and v > 0 and v & (v - 1) == 0}
        assert version in table.measured
        assert table.bits(version) == mine, name


def test_a_bit_that_was_renumbered_is_seen() -> None:
    table = ledger.Ledger(ledger.read(LEDGER), LEDGER).flags["vm"]
    found = {c.part: (c.what, c.old, c.new) for c in diff.values("flag", "vm", table.bits((6, 1)), table.bits((6, 12)))}
    assert found["VM_UFFD_MINOR"] == ("renumbered", "37", "38")
    assert found["VM_SEALED"] == ("added", "", "63")
    later = {c.part: (c.old, c.new) for c in diff.values("flag", "vm", table.bits((6, 12)), table.bits((7, 3)))}
    assert (later["VM_SEALED"], later["VM_UFFD_MINOR"]) == (("63", "42"), ("38", "41"))
