"""Sysctls by name: known, absent and unreadable are three answers."""

from __future__ import annotations

import errno

import pytest

from holdfast.errors import UsageError
from holdfast.kernel.sysctl import gather, parse, path_of


def test_path_follows_sysctl_8() -> None:
    assert path_of("net.ipv4.conf.eth0/1.rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"


def test_gather_tells_the_three_apart() -> None:
    def read(path: str) -> bytes:
        if path.endswith("ptrace_scope"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        if path.endswith("mmap_min_addr"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return b"4096\t131072\t6291456\n"

    known, missing = gather(["net.ipv4.tcp_rmem", "kernel.yama.ptrace_scope", "vm.mmap_min_addr"], read)
    assert known == {"net.ipv4.tcp_rmem": "4096 131072 6291456"}
    assert missing == {"kernel.yama.ptrace_scope": "absent", "vm.mmap_min_addr": "unreadable: Permission denied"}


def test_lists_and_conf_files() -> None:
    text = b"# comment\n; other\nkernel.pid_max = 4194304\n-kernel/x=1\nnet.ipv4.tcp_rmem = 4096\t1\t2\nkernel.pid_max=5\n"
    assert parse(text) == {"kernel.pid_max": "5", "kernel.x": "1", "net.ipv4.tcp_rmem": "4096 1 2"}


@pytest.mark.parametrize("data", [b"hello\n", b"= 3\n", b"a\0=1\n"])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        parse(data)
    assert caught.value.code == "usage.sysctl.malformed"
