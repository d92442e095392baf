"""task.rseq: the memory in which the kernel tells a thread its CPU, and which makes its sequences restartable.

Carries:  address, size, signature, the time slice extension.
Loses:    nothing: a sequence that was under way has been or is aborted by the kernel, as after any preemption.
Sources:  rseq(2), ptrace(2) PTRACE_GET_RSEQ_CONFIGURATION, Linux kernel/rseq.c, prctl(2) PR_RSEQ_SLICE_EXTENSION (v7.0).
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Struct, Unchecked, verbs
from holdfast.model.ids import RemoteAddr
from holdfast.model.record import Record, field
from holdfast.prog.call import ANY, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

PR_RSEQ_SLICE_EXTENSION, PR_RSEQ_SLICE_EXTENSION_GET, PR_RSEQ_SLICE_EXTENSION_SET, PR_RSEQ_SLICE_EXT_ENABLE = 79, 1, 2, 1


class Rseq(Record):
    """A registration of struct rseq."""

    address: RemoteAddr
    size: int  # as registered, bytes
    signature: int  # what stands before each abort handler
    slice_extension: bool = field(default=False)


def detect(ev: ThreadEvidence) -> Claim | None:
    if ev.stopped is None:
        return None
    return Claim() if ev.stopped.rseq is None or ev.stopped.rseq[0] else None


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    if ev.stopped is not None and ev.stopped.rseq is None:
        yield Unchecked(
            "task.rseq",
            f"whether {tasks.who(ev)} has registered restartable sequences",
            "PTRACE_GET_RSEQ_CONFIGURATION needs Linux 5.13 with CONFIG_RSEQ",
        )


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, Rseq | None]:
    assert ev.stopped is not None
    if ev.stopped.rseq is None:
        return None
    address, size, signature = ev.stopped.rseq
    program = Program()
    # before v7.0 there is no such extension: EINVAL
    extension = program.call("prctl", PR_RSEQ_SLICE_EXTENSION, PR_RSEQ_SLICE_EXTENSION_GET, 0, 0, 0, check=ANY)
    answers = yield program
    return Rseq(RemoteAddr(address), size, signature, answers.value(extension) == PR_RSEQ_SLICE_EXT_ENABLE)


def restore(rec: Rseq, steps: Steps) -> None:
    part = steps.part()
    part.call("rseq", int(rec.address), rec.size, 0, rec.signature)
    if rec.slice_extension:
        part.call("prctl", PR_RSEQ_SLICE_EXTENSION, PR_RSEQ_SLICE_EXTENSION_SET, PR_RSEQ_SLICE_EXT_ENABLE, 0, 0)


KIND = Kind(
    "task.rseq",
    record=Rseq,
    subject="thread",
    watches=(Struct("rseq_data", why_absent="before v6.19 task_struct held its fields"),),
    verbs=verbs(__name__),
)
