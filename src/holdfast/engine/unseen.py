"""What a dump refuses and only live kernel structs show: the last question of an admission, for who may read them.

No interface shows that a thread is in a Landlock domain, that a program of somebody's is attached to a socket, or what is in a keyring. The
ledger says which of these no dump can carry; kernel/state/ reads them. Whoever may not read them is told so in one line, and how many
states that are, and the verdict stays what it is: for an ordinary user it would be UNKNOWN for ever otherwise. With the option
`strict` it is UNKNOWN, and a dump refuses. A reader is opened once and kept, before anything is stopped.
Source:  decisions/0055-what-only-kernel-structs-show.md
"""

from __future__ import annotations

import os

from holdfast.errors import KernelLacks, TargetChanged
from holdfast.model.census import Refusal, Unchecked
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from holdfast.kinds.evidence import Options, ProcessEvidence, TreeEvidence
    from holdfast.model.census import Admission

CAP_SYS_RAWIO, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 17, 21, 38, 39
# Refusals of kinds that say the same of the same process; those of a socket, a folder or another task say it wherever they stand.
TOLD = {
    "cred.jit_keyring": ("task.request_keyring",),
    "cred.session_keyring": ("task.thread_keyring", "task.process_keyring"),
    "fpu.perm": ("task.amx",),
    "landlock_cred_security.domain": ("task.landlock",),
    "mm_struct.context.ldt": ("task.ldt",),
    "mm_struct.context.pkey_allocation_map": ("task.pkeys", "mm.protection_key"),
    "sysv_sem.undo_list": ("task.sem_undo",),
    "task_struct.compat_robust_list": ("task.compat", "task.cpu.mode"),
    "task_struct.perf_event_ctxp": ("task.cpu.debug_registers",),
    "task_struct.syscall_dispatch": ("task.syscall_dispatch",),
    "thread_struct.features": ("task.shadow_stack",),
    "thread_struct.io_bitmap": ("task.cpu.io_ports",),
    "thread_struct.iopl_emul": ("task.cpu.io_ports",),
    "thread_struct.ptrace_bps": ("task.cpu.debug_registers",),
    "vm_area_struct.vm_policy": ("mm.policy",),
}
TOLD_ANYWHERE = {
    "dnotify_mark": ("fd.directory.notify",),
    "netlink_sock.cb_running": ("sock.netlink.queued",),
    "task_struct.ptraced": ("task.traced",),
    "tcp_sock.ao_info": ("sock.tcp.ao",),
    "tcp_sock.md5sig_info": ("sock.tcp.md5",),
    "udp_sock.pending": ("sock.udp.corked",),
    "unix_sock.oob_skb": ("sock.unix.oob",),
}

# where struct user_regs_struct has what the call returned, and -ERESTART_RESTARTBLOCK (include/linux/errno.h)
_RAX, _RESTART = slice(80, 88), ((1 << 64) - 516).to_bytes(8, "little")

_reader: Any = None


class Seen(Record):
    """What live kernel structs showed: refusals, each with its process; the states that were asked for; why none were, where none were."""

    refusals: tuple[tuple[int, Refusal], ...] = ()
    asked: frozenset[str] = frozenset()
    unread: Unchecked | None = None


def prepare(options: Options) -> None:
    """Open the reader, if it can be, while nothing stands still yet."""
    if not options.no_kernel_state and _allowed():
        try:
            _open()
        except KernelLacks:
            return  # look() says why


def look(tree: TreeEvidence) -> Seen:
    """What the tree's processes use that no dump can carry, as far as this caller may see it.

    Raises:  target_changed.died: a process ended meanwhile, which one that is stopped does not
    """
    if tree.options.no_kernel_state:
        return Seen(unread=_unread("it was not asked for: --no-kernel-state"))
    if not _allowed():
        return Seen(unread=_unread("reading them needs CAP_BPF and CAP_PERFMON, which root has"))
    try:
        reader = _open()
    except KernelLacks as cause:
        return Seen(unread=_unread(cause.why or cause.what))
    # only who may read them pays for it
    from holdfast.kernel.state.in_use import in_use, unasked
    from holdfast.kernel.state.predicates import PREDICATES

    alive = {int(p.pid): p for p in tree.processes if not p.zombie}
    try:
        found = in_use(reader, {str(pid): pid for pid in alive})
    except ProcessLookupError as cause:
        raise TargetChanged("died", "a process of the tree ended while its kernel structs were read", do="try again") from cause
    missing = unasked(reader)
    asked = frozenset(_name(row[2], row[3]) for row in PREDICATES).difference(missing)
    return Seen(tuple((one.pid, _refusal(alive[one.pid], one)) for one in found), asked, _unasked(missing) if missing else None)


def waits(tree: TreeEvidence) -> None:
    """Put beside each thread that was stopped in a wait what it goes on with, as far as this caller may see it."""
    if tree.options.no_kernel_state or not _allowed():
        return
    try:
        reader = _open()
    except KernelLacks:
        return  # look() says why
    tree.sees_waits = True
    stopped = {int(t.tid): t for p in tree.processes for t in p.threads if t.stopped is not None and t.stopped.registers[_RAX] == _RESTART}
    if not stopped:
        return
    from holdfast.kernel.state.restarts import restarts  # only who was stopped in a wait pays for it

    for tid, wait in restarts(reader, stopped).items():
        thread = stopped[tid]
        assert thread.stopped is not None
        thread.stopped = thread.stopped.replace(restart=wait)


def merged(refusals: Iterable[Refusal], seen: Seen) -> tuple[Refusal, ...]:
    """The refusals of kinds, then those of kernel structs that say something new."""
    told = tuple(refusals)
    return (*told, *(r for pid, r in seen.refusals if not _is_told(pid, r, told)))


def judged(admission: Admission, seen: Seen, strict: bool) -> Admission:
    """An admission with what was seen: more refusals, fewer open questions, or a note that nothing was read.

    Shape:   `strict`: whatever could not be checked makes the verdict UNKNOWN
    """
    return admission.replace(
        refusals=merged(admission.refusals, seen),
        unchecked=tuple(u for u in admission.unchecked if u.state not in seen.asked),
        unread=seen.unread,
        strict=strict,
    )


def against(admission: Admission) -> tuple[Refusal, ...]:
    """What a strict dump refuses beside: every question that has no answer."""
    if not admission.strict:
        return ()
    do = "answer it as `why` says, or dump without --strict"
    open_questions = (*admission.unchecked, *(() if admission.unread is None else (admission.unread,)))
    return tuple(Refusal("unchecked", f"not known: {u.what}", "", u.why, do, u.kind) for u in open_questions)


def _allowed() -> bool:
    with open("/proc/self/status", "rb", 0) as f:
        have = next(int(line.split()[1], 16) for line in f.read(1 << 16).split(b"\n") if line.startswith(b"CapEff:"))

    def has(capability: int) -> bool:
        return bool(have >> capability & 1)

    return has(CAP_SYS_ADMIN) or has(CAP_SYS_RAWIO) or (has(CAP_BPF) and has(CAP_PERFMON))


def _open() -> Any:
    global _reader
    if _reader is None or _reader[0] != os.getpid():
        from holdfast.kernel.state.snapshot import Reader  # only who may read kernel structs pays for it

        _reader = (os.getpid(), Reader.open())
    return _reader[1]


def _unread(why: str) -> Unchecked:
    from holdfast.kernel.state.predicates import PREDICATES  # how many is worth a third of a millisecond

    return Unchecked("state", f"whether any of {len(PREDICATES)} states is in use that only live kernel structs show", why)


def _unasked(missing: tuple[str, ...]) -> Unchecked:
    why = "this kernel does not say where it keeps them: no lsm_list_modules(2), no securityfs, or structs newer than this version's ledger"
    return Unchecked("state", f"whether {', '.join(missing)} is in use", why)


def _name(struct: str, field: str) -> str:
    return f"{struct}.{field}" if field else struct


def _refusal(process: ProcessEvidence, one: Any) -> Refusal:
    comm = process.stat.comm.decode("utf-8", "backslashreplace")
    who = f"pid {one.pid} ({comm})" if one.tid == one.pid else f"thread {one.tid} of pid {one.pid} ({comm})"
    return Refusal(
        f"state.{_name(one.struct, one.field)}",
        f"{who} cannot be dumped: {one.what}",
        f"/proc/{one.pid}/task/{one.tid}; struct {one.struct}",
        f"{one.why}; {one.source}",
        one.do or "none known",
    )


def _is_told(pid: int, refusal: Refusal, told: Sequence[Refusal]) -> bool:
    name = refusal.code.partition(".")[2]
    same, anywhere = TOLD.get(name, ()), TOLD_ANYWHERE.get(name, ())
    return any(r.code in anywhere or (r.code in same and r.where.startswith(f"/proc/{pid}/")) for r in told)
