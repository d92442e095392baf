"""A place where subjects can harm nobody: a process in namespaces of its own, under limits, that dies with everything it started.

Three processes. The keeper stays outside: it makes the namespaces and waits; when the pipe that it was given (the lifeline) closes,
because whoever wants the sandbox has ended or has had enough, it ends the init, and with it everything inside. The init is
pid 1 inside: it builds what is seen there (hunt/mounts.py), gives away the capabilities that reach beyond namespaces, and
then only waits for what is orphaned, so that a pid is free as soon as its process is dead. The inhabitant is pid 2 and does the work.

What no namespace holds back is held back thrice: by the deny list, before a line is run; by a capability that is not there; and by
a file system that is read-only. What remains, and is the kernel's: loading of modules on demand, and the caches of the machine.
Source:  namespaces(7), pid_namespaces(7), capabilities(7), keyctl_join_session_keyring(3)
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import select
import signal
import sys
import traceback

from holdfast.drift import ledger
from holdfast.errors import KernelLacks
from holdfast.hunt import cgroup, mounts
from holdfast.kernel.uapi.syscalls import X86_64
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
ALWAYS = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 24, 36
KEYCTL_JOIN_SESSION_KEYRING = 1
# Capabilities that act on the machine and not on a namespace: capabilities(7). Those of tracing, checkpointing, BPF and mounting stay:
# engines and oracles need them; so does CAP_SYSLOG, without which /proc/kallsyms holds no addresses (proc_sys_kernel(5), kptr_restrict).
BEYOND = {
    "CAP_SYS_MODULE": 16,
    "CAP_SYS_RAWIO": 17,
    "CAP_SYS_PACCT": 20,
    "CAP_SYS_BOOT": 22,
    "CAP_SYS_TIME": 25,
    "CAP_SYS_TTY_CONFIG": 26,
    "CAP_MKNOD": 27,
    "CAP_AUDIT_WRITE": 29,
    "CAP_AUDIT_CONTROL": 30,
    "CAP_MAC_OVERRIDE": 32,
    "CAP_MAC_ADMIN": 33,
    "CAP_WAKE_ALARM": 35,
    "CAP_BLOCK_SUSPEND": 36,
    "CAP_AUDIT_READ": 37,
}
IDS = 65536  # how many ids a user namespace has where we may say so

_libc = ctypes.CDLL(None, use_errno=True)


class Sandbox(Record):
    """What a sandbox is like.

    Shape:   `user`: in a user namespace too, so that nothing inside has a privilege outside; `keep`: paths that stay to be seen, read-only,
             although they lie in /tmp, /run or /var/tmp, which are new and empty, as do the folders that this program
             is imported from; `writable`: folders that
             stay as they are; `clocks`: CAP_SYS_TIME stays, which CRIU needs for a restore (it makes a time namespace:
             time_namespaces(7)); then only the deny list guards the clock of the machine
    Unit:    memory in bytes, for all processes and files inside together
    """

    user: bool = False
    keep: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    clocks: bool = False
    memory: int = 2 << 30
    files: int = 1 << 30
    tasks: int = 512


def run(function: Callable[..., Any], *args: Any, how: Sandbox | None = None) -> Any:
    """What a function returns that is called in a sandbox of its own; a value that JSON can say.

    Raises:  kernel_lacks.sandbox: it cannot be built; RuntimeError: the function raised, with its traceback as text
    """
    answer_out, answer_in = os.pipe()
    held, lifeline = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    keeper = os.fork()
    if keeper == 0:
        os.close(answer_out)
        os.close(lifeline)
        _leave(lambda: inhabit(how or Sandbox(), lambda _: _answer(answer_in, function, args), held, answer_in))
    os.close(answer_in)
    os.close(held)
    try:
        with os.fdopen(answer_out, "rb") as f:
            said = f.read()
    finally:
        os.close(lifeline)
        status = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
        cgroup.forget(keeper)
    told = json.loads(said) if said else {"raised": f"it ended with {status} and said nothing"}
    if "cannot" in told:
        raise lacks(told)
    if "raised" in told:
        raise RuntimeError(told["raised"])
    return told["value"]


def lacks(told: dict[str, Any]) -> KernelLacks:
    """The error that a keeper's last words stand for."""
    return KernelLacks(
        "sandbox",
        f"a sandbox cannot be built: {told['cannot']}",
        where=str(told.get("where", "")),
        why="it needs new namespaces and mounts: root, or user namespaces that are not switched off",
        do="try --as user, or run it as root; sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces",
    )


def _answer(fd: int, function: Callable[..., Any], args: Sequence[Any]) -> None:
    try:
        told = {"value": function(*args)}
    except BaseException:  # noqa: BLE001 - told to the caller, in the other process
        told = {"raised": traceback.format_exc()}
    with os.fdopen(fd, "wb") as f:
        f.write(json.dumps(told).encode())


# A forked process never returns into its parent's code.
def _leave(body: Callable[[], int]) -> NoReturn:
    code = 70
    try:
        code = body()
    except BaseException:  # noqa: BLE001 - told; there is nobody to raise to
        sys.stderr.write(traceback.format_exc())
    finally:
        try:
            sys.stderr.flush()
            sys.stdout.flush()
        finally:
            os._exit(code)
    raise AssertionError("unreachable")


def inhabit(how: Sandbox, body: Callable[[Sequence[str]], None], lifeline: int, said: int) -> int:
    """Become the keeper of a new sandbox in which `body` is called; its exit code when all inside has ended, 128 + n after signal n.

    Shape:   `body` is told which limits could not be set: memory, tasks; `lifeline`: when its other end closes, the sandbox ends;
             `said`: where one line of JSON goes if the sandbox cannot be built
    Needs:   to be a process without threads and children; it is changed for ever
    """
    try:
        os.setsid()
    except PermissionError:
        assert os.getsid(0) == os.getpid()  # it is the leader of one already
    groups = cgroup.enter(how.memory, how.tasks)
    alive_out, alive_in = os.pipe()
    try:
        if how.user:
            _user_namespace()
        _syscall("unshare", ALWAYS)
    except OSError as cause:
        _cannot(said, "namespaces", cause)
        return 20
    init = os.fork()
    if init == 0:
        for fd in (alive_in, lifeline, *groups.homes):
            os.close(fd)
        _leave(lambda: _init(how, body, alive_out, said, groups.missing))
    _close_all_but((lifeline, alive_in, *groups.homes))
    watch = os.pidfd_open(init)
    ready = select.poll()
    for fd in (watch, lifeline):
        ready.register(fd, select.POLLIN)
    while watch not in {fd for fd, _ in ready.poll()}:
        os.kill(init, signal.SIGKILL)
        ready.unregister(lifeline)
    code = os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
    cgroup.leave(groups)
    return code if code >= 0 else 128 - code


# The ids are written by a process outside: who is inside a new user namespace may map only his own id.
def _user_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    go_out, go_in = os.pipe()
    done_out, done_in = os.pipe()
    target = os.getpid()
    writer = os.fork()
    if writer == 0:
        os.close(go_in)
        _leave(lambda: _write_maps(target, user, group, go_out, done_in))
    os.close(go_out)
    os.close(done_in)
    try:
        _syscall("unshare", CLONE_NEWUSER)
        os.write(go_in, b"1")
        failed = os.read(done_out, 4096)
    finally:
        os.close(go_in)
        os.close(done_out)
        os.waitpid(writer, 0)
    if failed:
        raise OSError(1, failed.decode(errors="replace"))


def _write_maps(target: int, user: int, group: int, go: int, done: int) -> int:
    if not os.read(go, 1):
        return 1
    try:
        maps = [("uid_map", f"0 {user} 1\n"), ("gid_map", f"0 {group} 1\n")]
        if user == 0:
            maps = [(name, f"0 0 {IDS}\n") for name, _ in maps]
        else:
            maps.insert(0, ("setgroups", "deny"))
        for name, text in maps:
            fd = os.open(f"/proc/{target}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, text.encode())
            os.close(fd)
    except OSError as cause:
        os.write(done, str(cause).encode())
        return 1
    return 0


def _init(how: Sandbox, body: Callable[[Sequence[str]], None], alive: int, said: int, missing: Sequence[str]) -> int:
    _syscall("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    ready = select.poll()
    ready.register(alive, 0)
    if ready.poll(0):
        return 1  # the keeper died before it could take us with it
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    what = "what is seen inside"
    try:
        _network()  # before /proc/sys is sealed
        _high_pids()
        # what this program is made of may lie in /tmp too
        ours = (path for path in (*sys.path, sys.prefix, sys.base_prefix, ledger.folder()) if path)
        mounts.build((*how.keep, *ours), how.writable, how.files)
        what = "the network"
        _loopback_up()
        what = "limits and capabilities"
        _limits(how, missing)
        # in a user namespace it is only good for clocks of time namespaces inside
        _drop(n for name, n in BEYOND.items() if name != "CAP_SYS_TIME" or not (how.clocks or how.user))
        _new_keyring()
    except OSError as cause:
        _cannot(said, what, cause)
        return 20
    inhabitant = os.fork()
    if inhabitant == 0:
        os.close(alive)
        _leave(lambda: _called(body, missing))
    _close_all_but((alive,))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == inhabitant:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _called(body: Callable[[Sequence[str]], None], missing: Sequence[str]) -> int:
    body(missing)
    return 0


def _cannot(said: int, what: str, cause: OSError) -> None:
    os.write(said, json.dumps({"cannot": f"{what}: {cause.strerror or cause}", "where": str(cause.filename or "")}).encode() + b"\n")


def _close_all_but(fds: Sequence[int]) -> None:
    at = 3
    for fd in sorted(fds):
        os.closerange(at, fd)
        at = fd + 1
    os.closerange(at, 1 << 20)


def _syscall(name: str, *args: Any) -> int:
    result = int(_libc.syscall(ctypes.c_long(X86_64[name]), *(ctypes.c_long(a) if isinstance(a, int) else a for a in args)))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


# Of the new network namespace alone, and before anything is in it: a round binds the same ports as the round before, and a connection
# that ended must not hold them; sockets of ICMP are for everybody. Source: Linux Documentation/networking/ip-sysctl.rst
NETWORK = {"ipv4/tcp_max_tw_buckets": "0", "ipv4/tcp_orphan_retries": "1", "ipv4/ping_group_range": "0 65535"}


def _network() -> None:
    for name, value in NETWORK.items():
        try:
            with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
                file.write(value)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EINVAL):
                raise  # an older or smaller kernel: some recipes are unsettable there


# A pid that is as small as a count or a descriptor cannot be told from one in what a call returned (pid_namespaces(7), ns_last_pid).
FIRST_PID = 10_000


def _high_pids() -> None:
    try:
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(FIRST_PID))
    except OSError:
        pass  # without CONFIG_CHECKPOINT_RESTORE, or with a small pid_max: only names of fewer numbers


def _loopback_up() -> None:
    import socket  # only here: the tests of what needs no network do not pay for it

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
        import fcntl  # as above

        request = b"lo".ljust(16, b"\0") + (0x41).to_bytes(2, "little") + bytes(22)  # IFF_UP | IFF_RUNNING: netdevice(7)
        fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS


def _limits(how: Sandbox, missing: Sequence[str]) -> None:
    # 1 and not 0: with it the kernel does not call a core_pattern that is a program either (core(5), "Piping core dumps")
    resource.setrlimit(resource.RLIMIT_CORE, (1, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if "tasks" in missing:
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        most = how.tasks if hard == resource.RLIM_INFINITY else min(how.tasks, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, hard))


def _drop(capabilities: Any) -> None:
    gone = 0
    for number in capabilities:
        gone |= 1 << number
        try:
            _syscall("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
        except OSError as error:
            if error.errno != 22:
                raise  # EINVAL: this kernel does not know it
    header = ctypes.create_string_buffer((0x20080522).to_bytes(4, "little") + bytes(4), 8)
    data = ctypes.create_string_buffer(24)
    _syscall("capget", header, data)
    words = [int.from_bytes(data.raw[i : i + 4], "little") for i in range(0, 24, 4)]
    kept = [w & ~((gone >> (0 if i < 3 else 32)) & 0xFFFFFFFF) for i, w in enumerate(words)]
    _syscall("capset", header, ctypes.create_string_buffer(b"".join(w.to_bytes(4, "little") for w in kept), 24))


def adopt_orphans() -> None:
    """Let what is orphaned below this process become its child, and not the init's: so it can wait for what an engine restored."""
    _syscall("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _new_keyring() -> None:
    try:
        _syscall("keyctl", KEYCTL_JOIN_SESSION_KEYRING, None)
    except OSError as error:
        if error.errno != 38:
            raise  # ENOSYS: a kernel without keys
