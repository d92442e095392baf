"""task.sigpending: the signals that wait for a thread or its process.

Carries:  both queues in order, each signal with all that its sender said (siginfo).
Loses:    the tie between a POSIX timer's waiting signal and the timer: further expiries before it is taken count anew.
Sources:  rt_sigqueueinfo(2), sigaction(2), ptrace(2) PTRACE_PEEKSIGINFO, Linux kernel/signal.c.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Difference, Kind, Refusal, StatusKey, Struct, verbs
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.model.ids import ObjectId

INFO_SIZE = 128
HEAD = Format("<iiixxxx")
SI_USER, SI_KERNEL, SI_TIMER = 0, 0x80, -2
SYS_PRIVATE = 32  # offset in struct siginfo of a timer: the kernel's own count, no user's business
SIGALRM, SIGSTOP, SIGVTALRM, SIGPROF, SIGWINCH = 14, 19, 26, 27, 28
OF_TIMERS = (SIGALRM, SIGVTALRM, SIGPROF)


class Signal(Record):
    """One waiting signal; `fields` is what struct siginfo has after the first 16 bytes, without zeros at its end."""

    signal: int
    code: int
    errno: int
    fields: bytes


class SigPending(Record):
    """The queue of a thread, and with a process's first thread that of the process; first in, first out."""

    thread: tuple[Signal, ...] = field(default=())
    process: tuple[Signal, ...] = field(default=())


def detect(ev: ThreadEvidence) -> Claim | None:
    mine = ev.stopped is not None and (ev.stopped.pending or ev.stopped.shared_pending)
    return Claim() if mine or any(_bits(ev)) else None


# The bits as they were before the queues were read: a signal that comes in between is in a queue, whole.
def _bits(ev: ThreadEvidence) -> tuple[int, int]:
    if _first(ev):
        return ev.process.status.pending, ev.process.status.shared_pending
    return ev.status.pending, 0


def _first(ev: ThreadEvidence) -> bool:
    return int(ev.tid) == int(ev.process.pid)


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    own, shared = _bits(ev)
    waiting = own | shared
    for signal, name, why in (
        (SIGSTOP, "SIGSTOP", "no mask holds it back: sent again, it would stop the restored task at once"),
        (SIGWINCH, "SIGWINCH", "the program that restores tasks uses this signal for itself"),
    ):
        if waiting >> (signal - 1) & 1:
            yield Refusal(
                "task.pending_signal",
                f"{tasks.who(ev)} cannot be dumped: {name} waits for it",
                tasks.where(ev, "status SigPnd, ShdPnd"),
                why,
                "try again once it was taken",
            )


def decode(raw: bytes) -> Signal:
    """One struct siginfo."""
    signal, errno, code = HEAD.unpack_from(raw)
    if code == SI_TIMER:
        raw = raw[:SYS_PRIVATE] + bytes(4) + raw[SYS_PRIVATE + 4 :]
    return Signal(signal, code, errno, raw[HEAD.size :].rstrip(b"\0"))


def encode(signal: Signal) -> bytes:
    """A struct siginfo."""
    return (HEAD.pack(signal.signal, signal.errno, signal.code) + signal.fields).ljust(INFO_SIZE, b"\0")


# A signal can wait without an entry in the queue, when there was no memory for one: it will say that nobody sent it.
def _queue(infos: tuple[bytes, ...], bits: int) -> tuple[Signal, ...]:
    out = [decode(raw) for raw in infos]
    seen = {s.signal for s in out}
    out += [Signal(n, SI_USER, 0, b"") for n in range(1, 65) if bits >> (n - 1) & 1 and n not in seen]
    return tuple(out)


def dump(ev: ThreadEvidence) -> SigPending:
    assert ev.stopped is not None
    own, shared = _bits(ev)
    return SigPending(_queue(ev.stopped.pending, own), _queue(ev.stopped.shared_pending, shared))


def restore(rec: SigPending, steps: Steps) -> None:
    # every signal is blocked meanwhile; a task may send itself a signal of any code (kernel/signal.c do_rt_sigqueueinfo)
    part = steps.part(needs=("mm", "actions", "limits"))
    process = part.call("getpid")
    thread = part.call("gettid")
    for signal in rec.process:
        part.call("rt_sigqueueinfo", process, signal.signal, encode(signal))
    for signal in rec.thread:
        part.call("rt_tgsigqueueinfo", process, thread, signal.signal, encode(signal))


def compare(before: SigPending, after: SigPending, where: ObjectId) -> Iterator[Difference]:
    """Every signal in order; a timer may have fired since."""
    for queue in ("thread", "process"):
        old, new = getattr(before, queue), getattr(after, queue)
        found = 0
        late = []
        for signal in new:
            if found < len(old) and signal == old[found]:
                found += 1
            else:
                late.append(signal)
        if found < len(old) or not all(map(_of_timer, late)):
            yield Difference("task.sigpending", where, queue, old, new)


def _of_timer(signal: Signal) -> bool:
    return signal.code == SI_TIMER or (signal.signal in OF_TIMERS and signal.code == SI_KERNEL)


KIND = Kind(
    "task.sigpending",
    record=SigPending,
    subject="thread",
    watches=(Struct("sigpending"), Struct("sigqueue"), StatusKey("SigPnd"), StatusKey("ShdPnd"), StatusKey("SigQ")),
    verbs=verbs(__name__),
)
