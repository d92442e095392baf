"""What stopping a tree does with tasks that end meanwhile or cannot be stopped as others can."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.errors import HoldfastError, Refused, TargetChanged
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

# mov $29,%eax (pause); int $0x80; jmp .-9
PAUSE_32 = bytes.fromhex("b81d000000cd80ebf7")


def test_a_zombie_is_no_target(tmp_path: Path) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(TargetChanged) as e:
            holdfast.dump(child, tmp_path / "image")
        assert e.value.code == "target_changed.died"
        assert list(tmp_path.iterdir()) == []
    finally:
        os.waitpid(child, 0)


def test_a_32_bit_program_is_refused_by_name_and_runs_on(tmp_path: Path) -> None:
    program = tmp_path / "pause32"
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x10054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, 0x10000, 0x10000, 84 + len(PAUSE_32), 84 + len(PAUSE_32), 5, 4096)
    program.write_bytes(head + segment + PAUSE_32)
    program.chmod(0o755)
    try:
        target = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        pytest.skip("machine cannot: run 32-bit programs, CONFIG_IA32_EMULATION is off")
    try:
        with pytest.raises(Refused) as e:
            holdfast.dump(target.pid, tmp_path / "image")
        codes = {e.value.code, *(r.code for r in e.value.refusals)}
        assert codes & {"refused.task.compat", "task.compat"}, str(e.value)
        with open(f"/proc/{target.pid}/status") as f:
            assert "TracerPid:\t0\n" in f.read()
        assert target.poll() is None
    finally:
        target.kill()
        assert target.wait() == -signal.SIGKILL


@pytest.mark.root
def test_who_ignores_sigchld_can_dump(tmp_path: Path) -> None:
    # a shell or daemon may have left it ignored: the kernel then collects our children before we do
    subject = harness.start(tmp_path, "pause()\nsay(1)\n")
    source = """
import signal, sys, holdfast
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
holdfast.dump(int(sys.argv[1]), sys.argv[2], leave_running=sys.argv[3] == "leave")
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        for mode in ("leave", "end"):
            subprocess.run([sys.executable, "-c", source, str(subject.pid), str(tmp_path / mode), mode], env=env, check=True, timeout=60)
        subject.process.wait()
        harness.restored(tmp_path / "end", subject)
        assert subject.said == [1]
    except HoldfastError as e:
        raise AssertionError(str(e)) from e
    finally:
        subject.kill()


def _waits_in(pid: int, *calls: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/syscall") as call:
        return stat.read().rpartition(")")[2].split()[0] == "D" and call.read().split()[0] in map(str, calls)


def test_the_parent_of_a_vfork_is_refused_by_name_and_left_alone(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # the child of posix_spawn(3) shares its parent's memory until it executes the program: it waits for a writer before
    source = (
        f"import os; os.posix_spawn('/bin/true', ['true'], {{}}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, {str(fifo)!r}, os.O_RDONLY, 0)])"
    )
    target = subprocess.Popen([sys.executable, "-I", "-c", source], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + harness.PATIENCE_S
        while not _waits_in(target.pid, 56, 435):  # clone, clone3
            assert time.monotonic() < deadline
        with pytest.raises(Refused) as e:
            holdfast.dump(target.pid, tmp_path / "image")
        assert {e.value.code, *(r.code for r in e.value.refusals)} & {"task.vfork", "refused.task.vfork"}, str(e.value)
        with open(f"/proc/{target.pid}/status") as f:
            assert "TracerPid:\t0\n" in f.read()
        os.close(os.open(fifo, os.O_WRONLY))
        assert target.wait(30) == 0
    finally:
        target.kill()
        target.wait()
        os.close(os.open(fifo, os.O_RDWR))


def test_a_thread_in_which_the_kernel_works_is_refused_by_name_and_all_are_let_go(tmp_path: Path) -> None:
    source = "import ctypes, struct, sys, time; p = ctypes.create_string_buffer(struct.pack('<IIII', 0, 0, 2, 0) + bytes(104)); "
    source += "print(ctypes.CDLL(None).syscall(425, 4, p), flush=True); sys.stdin.read()"  # IORING_SETUP_SQPOLL
    target = subprocess.Popen([sys.executable, "-I", "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert target.stdout is not None
    try:
        if int(target.stdout.readline()) < 0:
            pytest.skip("machine cannot: io_uring_setup is refused here")
        with pytest.raises(Refused) as e:
            holdfast.dump(target.pid, tmp_path / "image")
        assert "task.kernel_worker" in [r.code for r in e.value.refusals]
        for tid in os.listdir(f"/proc/{target.pid}/task"):
            with open(f"/proc/{target.pid}/task/{tid}/status") as f:
                assert "TracerPid:\t0\n" in f.read()
        target.communicate(timeout=30)
        assert target.returncode == 0
    finally:
        target.kill()
        target.wait()
