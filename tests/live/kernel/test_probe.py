"""What this kernel answers: as it is, to an ordinary user, and with calls taken away as an older kernel lacks them."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast
from holdfast.kernel import probe
from holdfast.kernel.uapi.structs import SOCK_FILTER, SOCK_FPROG
from holdfast.kernel.uapi.syscalls import X86_64

ASK = """
import ctypes, json, os, sys
sys.path.insert(0, sys.argv[1])
from holdfast.kernel import probe
probe.names()
if sys.argv[2] == "ordinary":  # and dumpable, as who was never root is
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
names = sys.argv[3:]
print(json.dumps({name: list(dict(probe.ask(name).items()).values()) for name in names}))
"""
SRC = str(Path(holdfast.__file__).parents[1])


def answers(*names: str, before: object = None, user: str = "same") -> dict[str, list[object]]:
    """Verdict, reason and value by name, from a process of its own that ran `before` first."""
    run = subprocess.run(
        [sys.executable, "-c", ASK, SRC, user, *names],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=before,  # type: ignore[call-overload]
    )
    found: dict[str, list[object]] = json.loads(run.stdout)
    return found


def without(*calls: str) -> object:
    """A step that takes system calls away from a process for good: each says ENOSYS."""
    rows = [(0x20, 0, 0, 0)]  # load the number
    rows += [(0x15, len(calls) - i, 0, X86_64[name]) for i, name in enumerate(calls)]
    rows += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | errno.ENOSYS)]  # allow; or the errno
    code = b"".join(SOCK_FILTER.pack(code=op, jt=jt, jf=jf, k=k) for op, jt, jf, k in rows)
    libc = ctypes.CDLL(None, use_errno=True)

    def step() -> None:
        held = ctypes.create_string_buffer(code)
        program = SOCK_FPROG.pack(len=len(rows), filter=ctypes.addressof(held))
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        assert libc.prctl(22, 2, program) == 0

    return step


def test_every_question_has_an_answer_with_a_reason_and_leaves_nothing_behind() -> None:
    probe.forget()
    fds, status = os.listdir("/proc/self/fd"), signal.getsignal(signal.SIGCHLD)
    found = probe.all_answers()
    assert set(found) == set(probe.names())
    assert {answer.verdict for answer in found.values()} <= {"yes", "no", "unknown"}
    assert all(answer.reason for answer in found.values())
    assert os.listdir("/proc/self/fd") == fds
    assert signal.getsignal(signal.SIGCHLD) == status
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_nothing_is_unknown_here() -> None:
    assert {name: answer.reason for name, answer in probe.all_answers().items() if answer.verdict == "unknown"} == {}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("process_vm_readv", "process_vm_readv"),
        ("userfaultfd", "userfaultfd"),
        ("userfaultfd", "userfaultfd_wp_async"),
        ("clone3", "clone3_set_tid"),
        ("kcmp", "kcmp"),
        ("pidfd_getfd", "pidfd_getfd"),
        ("memfd_create", "memfd"),
        ("mseal", "memory_sealing"),
        ("unshare", "user_namespace"),
        ("ptrace", "ptrace_seize"),
        ("io_uring_setup", "io_uring"),
        ("landlock_create_ruleset", "landlock"),
    ],
)
def test_a_kernel_without_the_call_is_a_no(call: str, name: str) -> None:
    verdict, reason, _ = answers(name, before=without(call))[name]
    assert verdict == "no"
    assert "ENOSYS" in str(reason)


@pytest.mark.root
def test_an_ordinary_user_is_told_what_is_not_allowed() -> None:
    names = (
        "clone3_set_tid",
        "checkpoint_restore_capability",
        "ns_last_pid",
        "map_files",
        "ptrace_suspend_seccomp",
        "ptrace_seize",
        "kcmp",
    )
    ours, theirs = answers(*names), answers(*names, user="ordinary")
    assert {name: verdict for name, (verdict, _, _) in theirs.items()} == {
        "clone3_set_tid": "no",
        "checkpoint_restore_capability": "no",
        "ns_last_pid": "no",
        "map_files": "no",
        "ptrace_suspend_seccomp": "no",
        "ptrace_seize": ours["ptrace_seize"][0],
        "kcmp": ours["kcmp"][0],
    }
    assert "not allowed" in str(theirs["clone3_set_tid"][1])


def test_an_ignored_sigchld_makes_answers_unknown_and_hangs_nothing() -> None:
    found = answers("user_namespace", "ptrace_seize", before=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert found["user_namespace"][0] == "unknown"


def test_direct_io(tmp_path: Path) -> None:
    before = list(tmp_path.iterdir())
    assert probe.direct_io(str(tmp_path)).verdict in {"yes", "no"}
    assert list(tmp_path.iterdir()) == before
    assert probe.direct_io(str(tmp_path / "none")).verdict == "unknown"
