"""File locks from /proc/locks and fdinfo. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.locks import Lock, parse_lock, parse_locks

LINES = [
    (b"1: LEASE  ACTIVE    READ 13253 fe:00:2173162 0 EOF", Lock("LEASE", "ACTIVE", "READ", 13253, 0xFE, 0, 2173162, 0, None, False)),
    (b"2: OFDLCK ADVISORY  READ -1 fe:10:2173164 10 14", Lock("OFDLCK", "ADVISORY", "READ", -1, 0xFE, 0x10, 2173164, 10, 14, False)),
    (b"3: FLOCK  ADVISORY  WRITE 13253 fe:00:7 0 EOF", Lock("FLOCK", "ADVISORY", "WRITE", 13253, 0xFE, 0, 7, 0, None, False)),
    (b"4: POSIX  ADVISORY  WRITE 13253 00:1a:7 0 EOF", Lock("POSIX", "ADVISORY", "WRITE", 13253, 0, 0x1A, 7, 0, None, False)),
    # by hand, from fs/locks.c lock_get_status: a waiter, nested one deeper, and a lock whose file is gone
    (b"4: -> POSIX  ADVISORY  READ 9 00:1a:7 3 9223372036854775807", Lock("POSIX", "ADVISORY", "READ", 9, 0, 0x1A, 7, 3, 2**63 - 1, True)),
    (b"4:   -> POSIX  ADVISORY  READ 9 00:1a:7 3 4", Lock("POSIX", "ADVISORY", "READ", 9, 0, 0x1A, 7, 3, 4, True)),
    (b"5: POSIX  *NOINODE* WRITE 9 <none>:0 0 EOF", Lock("POSIX", "*NOINODE*", "WRITE", 9, 0, 0, 0, 0, None, False)),
    # Linux 5.14 and older had mandatory locks
    (b"6: POSIX  MANDATORY WRITE 9 00:1a:7 0 EOF", Lock("POSIX", "MANDATORY", "WRITE", 9, 0, 0x1A, 7, 0, None, False)),
]  # fmt: skip


@pytest.mark.parametrize(("line", "lock"), LINES)
def test_a_line(line: bytes, lock: Lock) -> None:
    assert parse_lock(line) == lock


def test_the_whole_file() -> None:
    assert parse_locks(b"".join(line + b"\n" for line, _ in LINES)) == [lock for _, lock in LINES]
    assert parse_locks(b"") == []


@pytest.mark.parametrize(
    "line",
    [
        b"1:",
        b"1: POSIX ADVISORY WRITE 9 00:1a:7 0",
        b"1: POSIX ADVISORY WRITE 9 00:1a 0 EOF",
        b"1: POSIX ADVISORY WRITE 9 00:1a:7 0 EOF new",
    ],
)
def test_an_unknown_form_is_an_error(line: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_lock(line)
