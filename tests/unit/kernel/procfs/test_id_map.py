"""/proc/PID/uid_map. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.id_map import IdRange, parse_id_map


@pytest.mark.parametrize(
    ("data", "ranges"),
    [
        (b"         0          0 4294967295\n", [IdRange(0, 0, 4294967295)]),
        (b"         0       1000          1\n         1     100000      65536\n", [IdRange(0, 1000, 1), IdRange(1, 100000, 65536)]),
        (b"", []),
    ],
)
def test_ranges(data: bytes, ranges: list[IdRange]) -> None:
    assert parse_id_map(data) == ranges


@pytest.mark.parametrize("data", [b"0 0\n", b"0 0 x\n", b"0 0 1 2\n"])
def test_an_unknown_form_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_id_map(data)
