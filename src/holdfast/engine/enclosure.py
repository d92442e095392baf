"""The namespaces of a job of `holdfast run`: user, pid and mount, with an init that is a few instructions long.

They are made by a stub of ours under ptrace, never by a fork of this interpreter. The stub makes the namespaces, we write its id
maps, it makes the init as its own sibling (CLONE_PARENT), and ends; so the init is our child, is pid 1 inside, and has every capability
there and none outside. All that it does while the job is built is done by programs. It dies with us (PTRACE_O_EXITKILL), and with it,
as the init of a pid namespace, everything inside; until release(), which gives it its own life.

Who may trace what is inside: whoever has the user id of the one who made the namespaces, from outside (user_namespaces(7): the owner has
all capabilities there).
Source:  user_namespaces(7), pid_namespaces(7), mount_namespaces(7), clone(2)
"""

from __future__ import annotations

import os
from errno import EACCES, EINVAL, ENOSPC, EPERM, EUSERS

from holdfast.errors import KernelLacks
from holdfast.kernel.procfs import listing
from holdfast.kernel.procfs.id_map import parse_id_map
from holdfast.kernel.procfs.mountinfo import parse_mountinfo
from holdfast.kernel.source import Live
from holdfast.prog.call import ANY, Block, Program, Struct
from holdfast.tracee import ptrace, spawn
from holdfast.tracee.arch.x86_64 import STUB_SYSCALL, Registers, init_elf
from holdfast.tracee.gadget import Gadget
from holdfast.tracee.inject import CallFailed, Hand
from holdfast.tracee.names import Names, below
from holdfast.tracee.seize import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.prog.call import Answers

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
PR_SET_NAME, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 15, 47, 2
CAP_SETGID, CAP_SETUID = 6, 7
SIGCHLD, SIGWINCH, SIGKILL = 17, 28, 9
AT_FDCWD = -100
EVERY_SIGNAL = (1 << 64) - 1
AREA = 64 << 10
NAME = b"holdfast-init"
EXECUTABLE = b"/memfd:holdfast-init (deleted)"
PROC = b"/proc"
# mount(2) flags by the words of mountinfo; the kernel refuses a proc that shows more than the one that is there
MOUNT_FLAGS = {b"ro": 1, b"nosuid": 2, b"nodev": 4, b"noexec": 8, b"noatime": 1 << 10, b"nodiratime": 1 << 11, b"relatime": 1 << 21}
MS_STRICTATIME = 1 << 24

Ranges = tuple[tuple[int, int, int], ...]  # inside, outside, count


def own_maps() -> tuple[Ranges, Ranges, bool]:
    """The ids that this user can give to a job, every one as it is outside: users, groups, whether setgroups(2) is allowed.

    Shape:   all ids for who may set them, else just our own
    """
    if may_map_all():
        every = []
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/self/{name}", "rb", 0) as f:
                every.append(tuple((r.inside, r.inside, r.count) for r in parse_id_map(f.read(1 << 16))))
        return every[0], every[1], True
    user, group = os.geteuid(), os.getegid()
    return ((user, user, 1),), ((group, group, 1),), False


def may_map_all() -> bool:
    """Whether we hold the capabilities that a map of other ids than our own needs.

    Source:  user_namespaces(7), "Defining user and group ID mappings"
    """
    with open("/proc/self/status", "rb", 0) as f:
        effective = next(int(line.split()[1], 16) for line in f.read(1 << 16).split(b"\n") if line.startswith(b"CapEff:"))
    return bool(effective >> CAP_SETUID & 1 and effective >> CAP_SETGID & 1)


class Enclosure:
    """Namespaces that are being filled; `init` is our pid of their init, which we hold."""

    def __init__(self, users: Ranges, groups: Ranges, setgroups: bool, name: bytes = b"", area: int = AREA) -> None:
        """Make the namespaces.

        Shape:   `name`: of the job, kept in the init's argument list; `area`: room for programs, in bytes
        Raises:  kernel_lacks.namespaces: this user or kernel cannot make them
        """
        self.init = 0
        self._stub_nspid = 0
        maker = spawn.spawn_init([NAME, name] if name else [NAME])
        try:
            hand = _hold(maker, area)
            self._area = hand.area
            apart = Program()
            apart.call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)
            _run(hand, apart, "make namespaces for a job")
            _map(maker, users, groups, setgroups)
            born = Program()
            made = born.call("clone", spawn.CLONE_PTRACE | spawn.CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)
            self.init = _run(hand, born, "start the init of a job").value(made)
        finally:
            _end(maker)
        try:
            self._hand = self._adopt(self.init)
            self.names = Names(self.init)
            ready = Program()
            flags, options = _proc_options()
            ready.call("mount", b"proc\0", PROC + b"\0", b"proc\0", flags, options + b"\0")
            ready.call("prctl", PR_SET_NAME, NAME + b"\0", 0, 0, 0)
            _run(self._hand, ready, "mount /proc for a job")
        except BaseException:
            self.abandon()
            raise

    def _adopt(self, pid: int) -> Hand:
        # every task inside begins as a copy of the maker, with its area
        thread = Thread(pid)
        spawn.first_stop(thread)
        hand = Hand(thread, Gadget(STUB_SYSCALL), SIGWINCH)
        assert self._area is not None
        hand.use_area(self._area)
        return hand

    def child(self, nspid: int) -> Hand:
        """A child of the init with this pid inside; a hand on it."""
        program = Program()
        args = spawn.clone_args(spawn.CLONE_PTRACE, 0, SIGCHLD)
        program.call("clone3", Struct(args[:64], Block(nspid.to_bytes(4, "little") + bytes(4)), args[72:]), 88, check=nspid)
        _run(self._hand, program, "start a process of a job")
        return self._adopt(self.names.process(nspid))

    def stub(self, taken: frozenset[int]) -> int:
        """A stub inside, for a tree to grow from, with a pid that is not `taken`; our pid of it. It is held, stopped, privileged inside.

        It executes itself anew, because what a process may be asked by whom hangs on the user namespace that its memory was made in:
        a copy of the init has memory of the outer one (Linux include/linux/mm_types.h, mm_struct.user_ns).
        """
        nspid = next(n for n in range(2, 1 << 22) if n not in taken)
        hand = self.child(nspid)
        with open(f"/proc/{hand.tid}/status", "rb", 0) as f:
            permitted = next(int(line.split()[1], 16) for line in f.read(1 << 16).split(b"\n") if line.startswith(b"CapPrm:"))
        keep = Program()  # execve(2) drops the capabilities of a user who is not root, but for ambient ones
        low, high = (permitted & 0xFFFFFFFF).to_bytes(4, "little"), (permitted >> 32).to_bytes(4, "little")
        keep.call("capset", bytes.fromhex("2205082000000000"), low * 3 + high * 3)
        for capability in range(64):
            if permitted >> capability & 1:
                keep.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
        _run(hand, keep, "keep capabilities inside a job")
        failed = execute(hand, b"/proc/self/exe", [b"holdfast-stub"], [])
        if failed:
            raise _lacks("start a stub inside a job", failed)
        hand.to_trap_stop()
        self._stub_nspid = nspid
        return hand.tid

    def reap_stub(self) -> None:
        """Let the init wait for the stub, which has ended."""
        program = Program()
        program.call("wait4", self._stub_nspid, 0, 0x40000000, 0, check=self._stub_nspid)
        self._hand.run(program)

    def release(self, nspid: int, last_pid: int = 0) -> None:
        """Give the init its own life, as the init of the job whose first process is `nspid` inside; it no longer dies with us.

        Shape:   `last_pid`: new processes get pids above it
        """
        hand = self._hand
        program = Program()
        if last_pid:
            fd = program.call("openat", AT_FDCWD, b"/proc/sys/kernel/ns_last_pid\0", 1, 0, check=ANY)
            program.call("write", fd, b"%d" % last_pid, len(b"%d" % last_pid), check=ANY)  # only with CONFIG_CHECKPOINT_RESTORE
        # its own session, so that no terminal sends it signals; the job has its descriptors
        program.call("setsid", check=1)
        program.call("close_range", 0, 0xFFFFFFFF, 0)
        hand.run(program)
        hand.unmap_area()
        hand.to_trap_stop()
        registers = Registers(hand.thread.original)
        registers.enter_init(nspid)
        ptrace.set_registers(hand.tid, registers.pack())
        ptrace.set_sigmask(hand.tid, EVERY_SIGNAL)
        ptrace.request(ptrace.SETOPTIONS, hand.tid, 0, 0)
        ptrace.request(ptrace.DETACH, hand.tid)

    def abandon(self) -> None:
        """End the init and, with it, everything inside.

        An init ends after everything in its namespace has been waited for (Linux kernel/pid_namespace.c zap_pid_ns_processes), and for
        what we trace it is us who must wait: other threads before the first ones.
        """
        if self.init:
            inside = below(self.init)
            os.kill(self.init, SIGKILL)
            for first in (False, True):
                for pid, tid in inside:
                    if (pid == tid) is first:
                        _reap(tid)
            _reap(self.init)
            self.init = 0


def execute(hand: Hand, path: bytes, words: Sequence[bytes], environment: Sequence[bytes]) -> int:
    """Let a held task execute a program; 0 and it stands before its first instruction, or the errno.

    Needs:   an area; it is gone afterwards
    """
    assert hand.area is not None
    blob, at, lists = bytearray(), hand.area.table, []
    for texts in ((path,), words, environment):
        places = []
        for text in texts:
            places.append(at + len(blob))
            blob += text + b"\0"
        lists.append(places)
    blob += bytes(-len(blob) & 7)
    pointers = []
    for places in lists[1:]:
        pointers.append(at + len(blob))
        blob += b"".join(p.to_bytes(8, "little") for p in (*places, 0))
    ptrace.write_memory(hand.tid, at, bytes(blob))
    result = hand.single("execve", lists[0][0], *pointers)
    if result:
        return -result
    hand.area = None
    return 0


def room_for(words: Sequence[bytes], environment: Sequence[bytes]) -> int:
    """The area that execute() needs, in bytes."""
    return AREA + sum(len(w) + 9 for w in (*words, *environment))


def init_of(pid: int, nspids: Sequence[int]) -> int:
    """Our pid of the init of the job that a process belongs to; 0 where it is not in namespaces that we made.

    Shape:   `nspids`: its pids from our namespace inwards
    Source:  the init is known by what it executes, byte by byte, by being pid 1 there, and by being one namespace below us
    """
    if len(nspids) != 2:
        return 0
    inner = nspids[-1]
    while inner != 1:
        try:
            with open(f"/proc/{pid}/status", "rb", 0) as f:
                status = f.read(1 << 16)
        except OSError:
            return 0
        pid = _number(status, b"PPid:")
        if pid <= 0:
            return 0
        try:
            with open(f"/proc/{pid}/status", "rb", 0) as f:
                inner = _number(f.read(1 << 16), b"NSpid:")
        except OSError:
            return 0
    try:
        if os.readlink(f"/proc/{pid}/exe".encode()) != EXECUTABLE:
            return 0
        with open(f"/proc/{pid}/exe", "rb", 0) as f:
            return pid if f.read(1 << 12) == init_elf() else 0
    except OSError:
        return 0


def adopted(init: int, first: int) -> list[int]:
    """Our pids of what the init of a job is the parent of, beside the job's first process; what has ended and waits for it is left out."""
    found = []
    for pid in listing.children(Live(f"/proc/{init}")):
        if int(pid) == first:
            continue
        try:
            with open(f"/proc/{int(pid)}/stat", "rb", 0) as f:
                if f.read(1 << 12).rpartition(b")")[2].split()[0] not in b"ZX":
                    found.append(int(pid))
        except OSError:
            continue  # it has just ended
    return found


def _number(status: bytes, key: bytes) -> int:
    return next((int(line.split()[-1]) for line in status.split(b"\n") if line.startswith(key)), 0)


def _hold(pid: int, area: int) -> Hand:
    # a hand in a stub that was just started
    spawn.hold_stub(pid)
    ptrace.request(ptrace.INTERRUPT, pid)
    thread = Thread(pid)
    spawn.first_stop(thread)
    hand = Hand(thread, Gadget(STUB_SYSCALL), SIGWINCH)
    hand.map_area(area)
    return hand


def _run(hand: Hand, program: Program, what: str) -> Answers:
    try:
        return hand.run(program)
    except CallFailed as cause:
        raise _lacks(what, cause.errno, repr(cause.call)) from cause


def _map(pid: int, users: Ranges, groups: Ranges, setgroups: bool) -> None:
    # setgroups(2) goes first: who lacks CAP_SETGID may write a group map only where it is denied
    files = [("uid_map", _lines(users)), ("gid_map", _lines(groups))]
    if not setgroups:
        files.insert(0, ("setgroups", b"deny"))
    for name, text in files:
        path = f"/proc/{pid}/{name}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, text)
            finally:
                os.close(fd)
        except OSError as cause:
            raise _lacks("map the ids of a job", cause.errno or 0, f"{path}: {text.decode()}") from cause


def _lines(ranges: Ranges) -> bytes:
    return b"".join(b"%d %d %d\n" % r for r in ranges)


def _proc_options() -> tuple[int, bytes]:
    # of the /proc that is there: the kernel refuses one that shows or allows more (Linux fs/namespace.c mnt_already_visible)
    with open("/proc/self/mountinfo", "rb", 0) as f:
        text = b""
        while part := f.read(1 << 16):
            text += part
    found = [m for m in parse_mountinfo(text) if m.point == PROC and m.fstype == "proc"]
    if not found:
        return MOUNT_FLAGS[b"nosuid"] | MOUNT_FLAGS[b"nodev"] | MOUNT_FLAGS[b"noexec"], b""
    flags = sum(MOUNT_FLAGS.get(word, 0) for word in found[-1].options)
    if not flags & (MOUNT_FLAGS[b"noatime"] | MOUNT_FLAGS[b"relatime"]):
        flags |= MS_STRICTATIME
    return flags, b",".join(o for o in found[-1].super_options if o.startswith((b"hidepid=", b"subset=")))


def _end(pid: int) -> None:
    # a task of ours that we trace
    os.kill(pid, SIGKILL)
    _reap(pid)


def _reap(tid: int) -> None:
    try:
        while os.WIFSTOPPED(os.waitpid(tid, ptrace.WALL)[1]):
            pass
    except ChildProcessError:
        return  # neither our child nor traced by us


SWITCHES = "sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns"
WHY = {
    EPERM: f"user namespaces are switched off ({SWITCHES}), or we are in a chroot, or other mounts hide parts of the /proc that is there",
    EACCES: f"a security module denies it ({SWITCHES})",
    ENOSPC: "the limit of namespaces is reached (namespaces(7); sysctl user.max_user_namespaces, max_pid_namespaces, max_mnt_namespaces)",
    EUSERS: "user namespaces are nested too deeply (user_namespaces(7))",
    EINVAL: "this kernel has no such namespaces (CONFIG_USER_NS, CONFIG_PID_NS)",
}


def _lacks(what: str, errno: int, where: str = "") -> KernelLacks:
    why = WHY.get(errno, "")
    return KernelLacks(
        "namespaces",
        f"cannot {what}: {os.strerror(errno)}",
        where=where,
        why=why,
        do="allow it, or use --host, which needs root (CAP_CHECKPOINT_RESTORE) for the restore",
    )
