"""task.personality: the execution domain of a thread.

Carries:  domain and flags.
Loses:    nothing.
Sources:  personality(2), proc_pid_personality(5), include/uapi/linux/personality.h.
"""

from __future__ import annotations

from holdfast.kernel import flags
from holdfast.kernel.procfs.scalar import parse_number
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, FlagSet, Kind, Refusal, Unchecked, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence


class Personality(Record):
    """A thread's execution domain."""

    flags: tuple[str, ...]  # the domain among them, where it is not PER_LINUX


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def _names(ev: ThreadEvidence) -> tuple[str, ...]:
    return flags.names("personality", parse_number("personality", ev.read("personality")))


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    try:
        _names(ev)
    except PermissionError:
        yield Unchecked("task.personality", f"the personality of {tasks.who(ev)}", "its owner or root may read it, proc_pid_personality(5)")
    except flags.UnknownFlag as e:
        yield Refusal(
            "task.personality",
            f"{tasks.who(ev)} cannot be dumped: {e}",
            tasks.where(ev, "personality"),
            "personality(2)",
            "start it without setarch",
        )


def dump(ev: ThreadEvidence) -> Personality:
    return Personality(_names(ev))


def restore(rec: Personality, steps: Steps) -> None:
    # read_implies_exec changes what mmap and mprotect do: after all of them
    steps.part(needs=("mm", "fds")).call("personality", flags.bits("personality", rec.flags))


KIND = Kind("task.personality", record=Personality, subject="thread", watches=(FlagSet("personality"),), verbs=verbs(__name__))
