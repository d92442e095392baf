"""Rows about the native engine follow its kinds: a kind that comes or goes turns a row here."""

from __future__ import annotations

from pathlib import Path

import pytest

import holdfast
from holdfast.tags import evaluate, table

KINDS = Path(holdfast.__file__).parent / "kinds"
ROWS = table.load()
# the kind's file, whether it is there or not, and what it would carry
WOULD_CARRY = {
    "fd/directory": "fd:directory",
    "fd/epoll": "fd:anon_inode:[eventpoll]",
    "fd/eventfd": "fd:anon_inode:[eventfd]",
    "fd/fanotify": "fd:anon_inode:[fanotify]",
    "fd/fifo": "fd:fifo",
    "fd/inotify": "fd:anon_inode:inotify",
    "fd/io_uring": "fd:anon_inode:[io_uring]",
    "fd/landlock": "fd:anon_inode:[landlock-ruleset]",
    "fd/locks": "fdinfo:lock",
    "fd/memfd": "fd:memfd",
    "fd/mqueue": "fd:mqueue",
    "fd/namespace": "fd:ns:net",
    "fd/owner": "fdinfo:async",
    "fd/path": "fd:o_path",
    "fd/perf_event": "fd:anon_inode:[perf_event]",
    "fd/pidfd": "fd:anon_inode:[pidfd]",
    "fd/pipe": "fd:pipe",
    "fd/pty": "fd:chr:136:0",
    "fd/regular": "fd:regular",
    "fd/signalfd": "fd:anon_inode:[signalfd]",
    "fd/timerfd": "fd:anon_inode:[timerfd]",
    "fd/tun": "fd:chr:10:200",
    "fd/userfaultfd": "fd:anon_inode:[userfaultfd]",
    "mm/aio": "vma:/[aio]",
    "mm/anon": "vma:[heap]",
    "mm/huge": "vmflag:ht",
    "mm/sysv": "vma:/SYSV00000000",
    "mm/vdso": "vma:[vdso]",
    "ns/net": "ns:user",
    "sock/alg": "sock:AF_ALG/SOCK_SEQPACKET",
    "sock/netlink": "sock:AF_NETLINK/SOCK_RAW/NETLINK_ROUTE",
    "sock/packet": "sock:AF_PACKET/SOCK_RAW",
    "sock/tcp": "sock:AF_INET/SOCK_STREAM/IPPROTO_TCP:LISTEN",
    "sock/udp": "sock:AF_INET6/SOCK_DGRAM/IPPROTO_UDP",
    "sock/unix": "sock:AF_UNIX/SOCK_STREAM",
    "sock/vsock": "sock:AF_VSOCK/SOCK_STREAM",
    "task/mempolicy": "numa:policy",
    "task/sched": "policy:SCHED_FIFO",
}


@pytest.mark.parametrize(("kind", "key"), WOULD_CARRY.items())
def test_what_a_kind_carries_is_not_unsafe_and_what_none_carries_is(kind: str, key: str) -> None:
    verdict = evaluate.process([key], ROWS, "native", "6.18").verdict
    assert (verdict in {"OK", "PARTIAL"}) == (KINDS / f"{kind}.py").exists(), f"{key} is {verdict}: the row in tags/facts/ is out of date"


def test_the_native_engine_loses_nothing_without_a_word() -> None:
    rows = [row.name for row in ROWS.rows if any(on.effect == "lost" for on in row.of("native"))]
    assert rows == [], "carry it, refuse it, or list it under a kind's Loses and say told"
