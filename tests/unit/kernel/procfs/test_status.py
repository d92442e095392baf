"""/proc/PID/status. Text captured on Linux 6.18 but where a case says otherwise."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs.status import KNOWN, parse_status

TEXT = b"""\
Name:\ta) (b\\n\\\\c
Umask:\t0022
State:\tR (running)
Tgid:\t6420
Ngid:\t0
Pid:\t6421
PPid:\t6418
TracerPid:\t0
Uid:\t0\t1\t2\t3
Gid:\t4\t5\t6\t4294967295
FDSize:\t256
Groups:\t4 24 27 
NStgid:\t6420\t1
NSpid:\t6421\t2
NSpgid:\t6418\t0
NSsid:\t2849\t0
Kthread:\t0
VmSize:\t    3060 kB
CoreDumping:\t0
Threads:\t2
SigQ:\t0/96363
SigPnd:\t0000000000000011
ShdPnd:\t8000000000000000
SigBlk:\t0000000000000002
SigIgn:\t0000000001001000
SigCgt:\t0000000000000200
CapInh:\t0000000000000000
CapPrm:\t000001fffeffffff
CapEff:\t0000000000000001
CapBnd:\t000001fffeffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t3
x86_Thread_features:\tshstk wrss 
x86_Thread_features_locked:\tshstk 
Brand_new:\tx y
"""  # noqa: W291


def test_every_property() -> None:
    status = parse_status(TEXT)
    assert status.name == b"a) (b\n\\c"
    assert (status.state, status.umask, status.tgid, status.pid, status.ppid, status.tracer_pid) == ("R", 0o22, 6420, 6421, 6418, 0)
    assert (status.uids, status.gids, status.groups) == ((0, 1, 2, 3), (4, 5, 6, 4294967295), (4, 24, 27))
    assert (status.ns_tgids, status.ns_pids, status.ns_pgids, status.ns_sids) == ((6420, 1), (6421, 2), (6418, 0), (2849, 0))
    assert (status.pending, status.shared_pending, status.blocked) == (0x11, 1 << 63, 2)
    assert (status.ignored, status.caught, status.queued_signals) == (0x1001000, 0x200, (0, 96363))
    assert [status.capabilities(name) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")] == [0, 0x1FFFEFFFFFF, 1, 0x1FFFEFFFFFF, 0]
    assert (status.no_new_privs, status.seccomp_mode, status.seccomp_filters) == (True, 2, 3)
    assert (status.thread_features, status.thread_features_locked) == (("shstk", "wrss"), ("shstk",))
    assert (status.threads, status.size_bytes, status.is_kernel_thread) == (2, 3060 * 1024, False)


def test_an_unknown_key_is_kept_and_named() -> None:
    status = parse_status(TEXT)
    assert status.unknown == ("Brand_new",)
    assert status.text("Brand_new") == b"x y"


@pytest.mark.parametrize(
    ("printed", "name"),
    [(b"plain", b"plain"), (b" a ", b" a "), (b"a\\\\nb", b"a\\nb"), (b"\\\\\\n", b"\\\n"), (b"a:\tb", b"a:\tb"), (b"", b"")],
)
def test_only_newline_and_backslash_are_escaped_in_a_name(printed: bytes, name: bytes) -> None:
    assert parse_status(b"Name:\t" + printed + b"\nUmask:\t0022\n").name == name


def test_an_older_kernel_says_less() -> None:
    # Linux 5.4: neither Kthread nor Seccomp_filters, nor the x86 lines; built without seccomp: no Seccomp
    status = parse_status(b"Name:\tkthreadd\nState:\tS (sleeping)\nPid:\t2\nThreads:\t1\n")
    assert (status.is_kernel_thread, status.seccomp_mode, status.seccomp_filters, status.thread_features) == (True, 0, None, ())
    assert status.thread_features_locked == ()
    zombie = parse_status(b"Name:\ta\nState:\tZ (zombie)\nPid:\t2\nThreads:\t1\n")
    assert (zombie.is_kernel_thread, zombie.size_bytes) == (False, 0)
    assert parse_status(b"Kthread:\t1\n").is_kernel_thread is True


def test_a_missing_key_is_an_error_that_names_it() -> None:
    with pytest.raises(KernelLacks) as caught:
        parse_status(b"Name:\ta\n").umask  # noqa: B018 - the property raises
    assert caught.value.code == "kernel_lacks.proc_key"
    assert "Umask" in caught.value.what


@pytest.mark.parametrize("data", [b"Name\n", b"Name:\ta\nsomething\n"])
def test_a_line_without_key_is_an_error(data: bytes) -> None:
    with pytest.raises(KernelLacks):
        parse_status(data)


@pytest.mark.parametrize(
    ("key", "prop"), [(b"Uid:\tx", "uids"), (b"SigBlk:\tz", "blocked"), (b"SigQ:\t3", "queued_signals"), (b"VmSize:\t3", "size_bytes")]
)
def test_a_value_that_is_no_number_is_an_error(key: bytes, prop: str) -> None:
    with pytest.raises(KernelLacks):
        getattr(parse_status(key + b"\n"), prop)


def test_this_process_has_no_unknown_key_that_we_read() -> None:
    with open("/proc/self/status", "rb") as file:
        status = parse_status(file.read())
    assert status.pid == status.tgid
    assert KNOWN.isdisjoint(status.unknown)
