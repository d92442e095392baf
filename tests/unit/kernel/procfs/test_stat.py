"""/proc/PID/stat. Text captured on Linux 6.18."""

from __future__ import annotations

import os

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.stat import Stat, parse_stat

TEXT = (
    b"13296 (a) (b\n\\c) R 13250 13251 2849 34816 -1 4194304 2947 6573 1 2 3 4 5 6 20 -5 7 0 125453 17510400 3481 18446744073709551615 "
    b"94149978157056 94149978157397 140736529746720 8 9 10 11 16781312 2 0 0 0 17 3 12 13 14 15 16 94149978168752 94149978169368 "
    b"94150060564480 140736529754351 140736529754401 140736529754401 140736529756111 256\n"
)


def test_every_field_has_its_name() -> None:
    assert parse_stat(TEXT) == Stat(
        pid=13296, comm=b"a) (b\n\\c", state="R", ppid=13250, pgrp=13251, session=2849, tty_nr=34816, tpgid=-1, flags=4194304, minflt=2947,
        cminflt=6573, majflt=1, cmajflt=2, utime=3, stime=4, cutime=5, cstime=6, priority=20, nice=-5, num_threads=7, itrealvalue=0,
        starttime=125453, vsize=17510400, rss=3481, rsslim=2**64 - 1, startcode=94149978157056, endcode=94149978157397,
        startstack=140736529746720, kstkesp=8, kstkeip=9, signal=10, blocked=11, sigignore=16781312, sigcatch=2, wchan=0, nswap=0, cnswap=0,
        exit_signal=17, processor=3, rt_priority=12, policy=13, delayacct_blkio_ticks=14, guest_time=15, cguest_time=16,
        start_data=94149978168752, end_data=94149978169368, start_brk=94150060564480, arg_start=140736529754351, arg_end=140736529754401,
        env_start=140736529754401, env_end=140736529756111, exit_code=256,
    )  # fmt: skip


def test_what_a_newer_kernel_adds_is_kept() -> None:
    assert parse_stat(TEXT.rstrip(b"\n") + b" 77 -8\n").more == (77, -8)


@pytest.mark.parametrize("comm", [b"", b")", b"(", b") R 1 2 (", b" ", b"\n", b"\xff"])
def test_a_name_may_be_anything(comm: bytes) -> None:
    stat = parse_stat(b"7 (" + comm + b")" + TEXT.rpartition(b")")[2])
    assert (stat.pid, stat.comm, stat.state, stat.exit_code) == (7, comm, "R", 256)


@pytest.mark.parametrize(
    "data", [b"", b"7 (a) R 1 2 3\n", b"7 a R" + TEXT.rpartition(b")")[2], TEXT.replace(b" 256\n", b" x\n"), TEXT.replace(b" 256\n", b"\n")]
)
def test_an_unknown_form_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_stat(data)


def test_this_process() -> None:
    with open("/proc/self/stat", "rb") as file:
        stat = parse_stat(file.read())
    assert (stat.pid, stat.ppid, stat.pgrp, stat.session) == (os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0))
