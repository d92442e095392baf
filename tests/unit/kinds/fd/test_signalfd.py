"""fd.signalfd, on descriptors of this process."""

from __future__ import annotations

import ctypes
import os

import pytest

from holdfast.kinds.fd.signalfd import KIND, Signalfd, compare
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native


@pytest.mark.parametrize(
    ("mask", "flags", "record"),
    [
        (1 << 9 | 1 << 16, 0, Signalfd(("SIGCHLD", "SIGUSR1"), ("O_RDWR",))),
        (1 << 63 | 1 << 33, os.O_NONBLOCK, Signalfd(("SIG34", "SIG64"), ("O_NONBLOCK", "O_RDWR"))),
        (0, 0, Signalfd((), ("O_RDWR",))),
    ],
)
def test_what_is_made_again_is_what_was_dumped(mask: int, flags: int, record: Signalfd) -> None:
    fd = ctypes.CDLL(None).syscall(289, -1, mask.to_bytes(8, "little"), 8, flags)  # signalfd4
    assert fd >= 0
    assert native.records(KIND, fd) == [record]
    [made] = native.again(KIND, fd)
    os.close(fd)
    os.close(made)


def test_every_field_is_compared() -> None:
    same = Signalfd(("SIGHUP",), ())
    others = [same, same.replace(signals=()), same.replace(flags=("O_RDWR",))]
    assert [len(list(compare(same, o, ObjectId("file:0")))) for o in others] == [0, 1, 1]
