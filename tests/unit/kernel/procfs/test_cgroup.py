"""/proc/PID/cgroup. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.cgroup import Membership, parse_cgroup


@pytest.mark.parametrize(
    ("line", "membership"),
    [
        (b"0::/", Membership(0, (), b"/", False)),
        (b"9:name=systemd:/", Membership(9, ("name=systemd",), b"/", False)),
        (b"4:memory:/jobs/1aff", Membership(4, ("memory",), b"/jobs/1aff", False)),
        # by hand, from cgroups(7): two controllers in one hierarchy, a colon in a name, a group that is gone, one out of sight
        (b"3:cpu,cpuacct:/a:b", Membership(3, ("cpu", "cpuacct"), b"/a:b", False)),
        (b"0::/x (deleted)", Membership(0, (), b"/x", True)),
        (b"0::/../y", Membership(0, (), b"/../y", False)),
    ],
)
def test_a_line(line: bytes, membership: Membership) -> None:
    assert parse_cgroup(line + b"\n") == [membership]


@pytest.mark.parametrize("line", [b"0:/", b"x::/", b":"])
def test_an_unknown_form_is_an_error(line: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_cgroup(line)
