"""What a sandbox keeps in, and what it keeps out."""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from holdfast.errors import KernelLacks
from holdfast.hunt import cgroup, sandbox
from holdfast.hunt.sandbox import Sandbox, run
from tests.harness import PATIENCE_S

USERS = [pytest.param(False, id="root", marks=pytest.mark.root), pytest.param(True, id="user")]


def both(function: Any, user: bool, *args: Any, **how: Any) -> Any:
    """A function's value in a sandbox of one sort."""
    return run(function, *args, how=Sandbox(user=user, **how))


def namespaces() -> dict[str, str]:
    return {n: os.readlink(f"/proc/self/ns/{n}") for n in ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user")}


@pytest.mark.parametrize("user", USERS)
def test_every_namespace_is_its_own(user: bool) -> None:
    inside, outside = both(namespaces, user), namespaces()
    assert {n for n in inside if inside[n] == outside[n]} == (set() if user else {"user"})


@pytest.mark.parametrize("user", USERS)
def test_only_its_own_processes_are_seen(user: bool) -> None:
    me, *seen = both(lambda: [os.getpid(), *sorted(int(n) for n in os.listdir("/proc") if n.isdecimal())], user)
    assert seen == [1, me]


def writes() -> dict[str, str]:
    out = {}
    for path in ("/etc/hunt", "/usr/hunt", "/hunt", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/hunt", "/dev/hunt"):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
            out[path] = "written"
        except OSError as error:
            out[path] = errno.errorcode[error.errno or 0]
    return out


@pytest.mark.parametrize("user", USERS)
def test_nothing_of_the_machine_can_be_written(user: bool) -> None:
    assert set(both(writes, user).values()) <= {"EROFS", "EACCES", "EPERM", "ENOENT"}


def leaves(path: str) -> bool:
    with open(path, "w", encoding="utf-8") as f:
        f.write("x")
    return os.path.exists(path)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/run", "/var/tmp"])
def test_what_it_writes_in_folders_of_everybody_is_gone_with_it(user: bool, folder: str) -> None:
    path = f"{folder}/holdfast-hunt-{os.getpid()}"
    assert both(leaves, user, path)
    assert not os.path.exists(path)


def test_what_is_to_be_kept_in_sight_is_there_and_read_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("kept")
    (folder / "a").write_text("here")

    def look() -> list[Any]:
        try:
            (folder / "b").write_text("x")
        except OSError as error:
            return [(folder / "a").read_text(), errno.errorcode[error.errno or 0]]
        return ["written"]

    assert run(look, how=Sandbox(user=True, keep=(str(folder),))) == ["here", "EROFS"]


def test_what_is_to_stay_writable_does(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cache")
    run(leaves, str(folder / "a"), how=Sandbox(user=True, writable=(str(folder),)))
    assert (folder / "a").exists()


def talks() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        server.accept()[0].close()
        return client.recv(1) == b""


@pytest.mark.parametrize("user", USERS)
def test_the_loopback_works_and_is_the_only_interface(user: bool) -> None:
    assert both(talks, user)
    assert both(lambda: [name for _, name in socket.if_nameindex()], user) == ["lo"]


def effective() -> int:
    with open("/proc/self/status", encoding="ascii") as f:
        return next(int(line.split()[1], 16) for line in f if line.startswith("CapEff:"))


@pytest.mark.root
def test_capabilities_that_reach_beyond_are_gone_and_those_of_engines_are_there() -> None:
    have = run(effective)
    assert [name for name, number in sandbox.BEYOND.items() if have >> number & 1] == []
    for number in (5, 6, 7, 12, 19, 21, 38, 39, 40):  # KILL SETGID SETUID NET_ADMIN SYS_PTRACE SYS_ADMIN PERFMON BPF CHECKPOINT_RESTORE
        assert have >> number & 1 == effective() >> number & 1
    assert run(effective, how=Sandbox(clocks=True)) >> sandbox.BEYOND["CAP_SYS_TIME"] & 1 == 1


def sets_the_clock() -> str:
    import time  # in the sandbox

    try:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
    except PermissionError:
        return "no"
    return "yes"


@pytest.mark.parametrize("user", USERS)
def test_the_clock_cannot_be_set(user: bool) -> None:
    assert both(sets_the_clock, user) == "no"


def orphans() -> list[Any]:
    out_read, out_write = os.pipe()
    middle = os.fork()
    if middle == 0:
        orphan = os.fork()
        if orphan == 0:
            os.close(out_read)
            select.select([], [], [])
        os.write(out_write, str(orphan).encode())
        os._exit(0)
    os.close(out_write)
    orphan = int(os.read(out_read, 16))
    os.waitpid(middle, 0)
    watch = os.pidfd_open(orphan)
    with open(f"/proc/{orphan}/status", encoding="ascii") as f:
        parent = next(int(line.split()[1]) for line in f if line.startswith("PPid:"))
    os.kill(orphan, 9)
    select.select([watch], [], [], PATIENCE_S)
    while os.path.exists(f"/proc/{orphan}"):
        os.sched_yield()
    return [parent]


def test_what_is_orphaned_is_reaped_by_the_init_and_its_pid_is_free() -> None:
    assert run(orphans, how=Sandbox(user=True)) == [1]


def test_everything_inside_dies_with_the_function(tmp_path_factory: pytest.TempPathFactory) -> None:
    fifo = tmp_path_factory.mktemp("life") / "fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    def starts() -> int:
        held = os.open(fifo, os.O_WRONLY)
        if os.fork() == 0:
            os.setsid()
            select.select([], [], [])
        return held

    run(starts, how=Sandbox(user=True, writable=(str(fifo.parent),)))
    assert os.read(end, 1) == b""  # nobody has it open any more
    os.close(end)


def test_a_function_that_raises_is_told_and_one_that_is_killed_too() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run(lambda: 1 // 0, how=Sandbox(user=True))
    with pytest.raises(RuntimeError, match="ended with 137"):
        run(lambda: os.kill(os.getpid(), 9), how=Sandbox(user=True))


def test_a_sandbox_that_cannot_be_built_says_what_failed() -> None:
    with pytest.raises(KernelLacks) as error:
        run(os.getpid, how=Sandbox(user=True, files=-1))
    assert error.value.what == "a sandbox cannot be built: what is seen inside: mount: Invalid argument"


@pytest.mark.root
def test_memory_has_a_limit_where_the_machine_has_one() -> None:
    def grows() -> int:
        return len(bytearray(os.urandom(1) * (400 << 20)))

    code = "from holdfast.hunt import cgroup; print(cgroup.enter(1 << 30, 100).missing); import os; print(os.getpid())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    missing, pid = done.stdout.split("\n")[:2]
    cgroup.forget(int(pid))
    if "memory" in missing:
        pytest.skip("machine cannot: no memory controller that we may use")
    with pytest.raises(RuntimeError, match="ended with 137"):
        run(grows, how=Sandbox(memory=128 << 20))


def homes() -> list[str]:
    return [home for controller in ("memory", "pids") for home, _ in cgroup._homes(controller)]


def groups(homes: list[str]) -> set[str]:
    """Control groups of sandboxes, of this test and of whatever else runs now."""
    return {f"{home}/{name}" for home in homes for name in os.listdir(home) if name.startswith(cgroup.PREFIX)}


@pytest.mark.root
def test_no_control_group_is_left() -> None:
    where = homes()
    before = groups(where)
    inside = run(lambda: sorted(groups(where)))
    left = {g for g in groups(where) - before if not os.path.exists(f"/proc/{g.rpartition('.')[2]}")}
    assert left == set()
    assert set(inside) - before != set() or not where  # there was one


@pytest.mark.root
def test_when_the_one_who_wants_it_is_killed_all_of_it_goes_and_no_group_stays() -> None:
    code = "import os, signal; from holdfast.hunt.sandbox import run; run(lambda: (os.write(1, b'ready'), signal.pause()))"
    where = homes()
    before = groups(where)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        made = groups(where) - before
        process.kill()
        assert process.stdout.read() == b""  # nobody of it has the pipe any more
    until = time.monotonic() + PATIENCE_S
    while groups(where) & made and time.monotonic() < until:
        os.sched_yield()
    assert groups(where) & made == set()
    assert made or not where
