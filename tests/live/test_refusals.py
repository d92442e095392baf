"""Everything that stands against a dump comes at once, wherever it is known from; and the tree runs on as it was."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.errors import KernelLacks, Refused
from tests import harness
from tests.faults import victim
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

# what only the task itself can tell: a local descriptor table, and keyrings of two threads
TABLE = """
call(154, 1, struct.pack("<4I", 0, 0, 0xFFFFF, 1 | 1 << 4 | 1 << 6), 16)
"""
KEYRINGS = """
call(250, 0, -1, 1)
def run():
    call(250, 0, -1, 1)
    started.release()
    go.acquire()
started, go = threading.Lock(), threading.Lock()
started.acquire()
go.acquire()
threading.Thread(target=run, daemon=True).start()
started.acquire()
"""
# what can be read from outside
SHOWN = """
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
"""
# a child that the kernel ends if anything is mapped in it: it may not be entered
SEALED_CHILD = """
line, far = os.pipe()
child = os.fork()
if child == 0:
    os.close(line)
    steps = ((0x20, 0, 0, 0), (0x15, 0, 1, 9), (6, 0, 0, 0x80000000), (6, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *s) for s in steps))
    call(157, 38, 1, 0, 0, 0)
    call(157, 22, 2, struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code)))
    os.close(far)
    signal.sigwait([signal.SIGUSR2])
    os._exit(7)
os.close(far)
os.read(line, 1)
os.close(line)
while read(f"/proc/{child}/syscall").split()[0] != "128":
    os.sched_yield()
"""
END_CHILD = """
pause()
os.kill(child, signal.SIGUSR2)
say(os.waitpid(child, 0)[1])
"""


def refusals(tmp_path: Path, source: str) -> tuple[list[tuple[str, str]], list[object]]:
    """Code and kind of each refusal of a dump, sorted, and what the subject says at its end; nothing of it differs after the dump."""
    subject = harness.start(tmp_path, with_calls("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])\n" + source))
    try:
        with open(f"/proc/{subject.pid}/task/{subject.pid}/children") as f:
            pids = [subject.pid, *map(int, f.read().split())]
        before, there = victim.look(pids), victim.processes()
        with pytest.raises(Refused) as caught:
            holdfast.dump(subject.pid, tmp_path / "image")
        assert caught.value.code == "refused.dump"
        victim.wait_for_guards(there)
        assert victim.changes(before, victim.look(pids)) == []
        assert not list(tmp_path.glob("image*"))
        subject.go()
        subject.end()
    finally:
        subject.kill()
    return sorted((r.code, r.kind) for r in caught.value.refusals), subject.said


def test_what_only_the_task_knows_comes_at_once_with_what_is_shown(tmp_path: Path) -> None:
    found, _ = refusals(tmp_path, TABLE + KEYRINGS + SHOWN + "pause()")
    assert found == [
        ("sock.other", "sock.other"),
        ("task.ldt", "task.cpu_features"),
        ("task.thread_keyring", "task.keyrings"),
        ("task.thread_keyring", "task.keyrings"),
    ]


def test_a_task_that_would_not_survive_it_is_not_asked_but_the_others_are(tmp_path: Path) -> None:
    found, said = refusals(tmp_path, SEALED_CHILD + "call(250, 0, -2, 1)" + END_CHILD)
    assert found == [("task.process_keyring", "task.keyrings"), ("task.seccomp", "task.seccomp")]
    assert said == [7 << 8]


def test_one_process_says_all_that_stands_against_it(tmp_path: Path) -> None:
    found, _ = refusals(tmp_path, TABLE + "call(250, 0, -1, 1)\ncall(250, 0, -2, 1)\npause()")
    assert found == [
        ("task.ldt", "task.cpu_features"),
        ("task.process_keyring", "task.keyrings"),
        ("task.thread_keyring", "task.keyrings"),
    ]


def test_a_task_that_cannot_be_stopped_is_told_with_the_others(tmp_path: Path) -> None:
    # it is traced already, by its parent
    source = """
    child = os.fork()
    if child == 0:
        call(101, 0, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        signal.sigwait([signal.SIGUSR2])
        os._exit(7)
    os.waitpid(child, 0)
    """
    end = """
    pause()
    call(101, 17, child, 0, 0)
    os.kill(child, signal.SIGUSR2)
    os.kill(child, signal.SIGCONT)
    say(os.waitpid(child, 0)[1])
    """
    found, said = refusals(tmp_path, textwrap.dedent(source) + SHOWN + textwrap.dedent(end))
    assert found == [("sock.other", "sock.other"), ("task.traced", "task.tracer")]
    assert said == [7 << 8]


# --- what only live kernel structs show

# a System V shared memory segment that was made and is not attached: the process is its creator, and nothing says so
SEGMENT = """
segment = call(29, 0, 4096, 0o1600)
"""
END_SEGMENT = """
pause()
call(31, segment, 0, 0)
"""


@pytest.fixture
def readable() -> None:
    from holdfast.kernel.state.snapshot import Reader

    try:
        Reader.open().close()
    except KernelLacks as cause:
        pytest.skip(f"machine cannot: {cause.why}")


@pytest.mark.usefixtures("readable")
def test_state_that_only_kernel_structs_show_refuses_with_the_rest(tmp_path: Path) -> None:
    found, _ = refusals(tmp_path, TABLE + SHOWN + SEGMENT + END_SEGMENT)
    assert found == [("sock.other", "sock.other"), ("state.sysv_shm.shm_clist", ""), ("task.ldt", "task.cpu_features")]


@pytest.mark.usefixtures("readable")
def test_a_check_sees_in_kernel_structs_what_a_dump_would_be_told_by_the_task(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, with_calls(TABLE + SEGMENT + END_SEGMENT))
    try:
        checked = holdfast.check(subject.pid)
        without = holdfast.check(subject.pid, options=holdfast.Options(no_kernel_state=True))
        subject.go()
        subject.end()
    finally:
        subject.kill()
    assert sorted(r.code for r in checked.refusals) == ["state.mm_struct.context.ldt", "state.sysv_shm.shm_clist"]
    assert checked.unread is None
    assert (without.verdict, without.refusals) == ("OK", ())
    assert without.unread is not None


def test_a_dump_that_read_no_kernel_structs_says_so_and_a_strict_one_refuses(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, "pause()\n")
    try:
        unread = holdfast.dump(
            subject.pid, tmp_path / "image", leave_running=True, options=holdfast.Options(no_kernel_state=True)
        ).admission
        strict = holdfast.Options(no_kernel_state=True, strict=True)
        with pytest.raises(Refused) as caught:
            holdfast.dump(subject.pid, tmp_path / "strict", options=strict)
        verdicts = [holdfast.check(subject.pid, options=o).verdict for o in (holdfast.Options(no_kernel_state=True), strict)]
        subject.go()
        subject.end()
    finally:
        subject.kill()
    assert unread.verdict == "OK"
    assert unread.unread is not None
    assert [r.code for r in caught.value.refusals] == ["unchecked"]
    assert verdicts == ["OK", "UNKNOWN"]


# a program that always chooses the first socket of a port: one instruction that returns 0
CHOOSING = """
one = socket.socket()
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
{}
one.bind(("127.0.0.1", 0))
one.listen()
pause()
"""
ATTACH = """
code = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0))
one.setsockopt(socket.SOL_SOCKET, 51, struct.pack("<HxxxxxxQ", 1, ctypes.addressof(code)))
"""


@pytest.mark.usefixtures("readable")
def test_a_program_that_chooses_among_the_sockets_of_a_port_is_refused(tmp_path: Path) -> None:
    found, _ = refusals(tmp_path, CHOOSING.format(ATTACH))
    assert found == [("state.sock_reuseport.prog", "")]


@pytest.mark.usefixtures("readable")
def test_a_shared_port_without_one_is_fine(tmp_path: Path) -> None:
    subject = harness.start(tmp_path, CHOOSING.format(""))
    try:
        assert holdfast.check(subject.pid).verdict == "OK"
        subject.go()
        subject.end()
    finally:
        subject.kill()
