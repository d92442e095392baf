"""task.personality: the execution domain of a thread.

Carries:  domain and flags.
Loses:    nothing.
Sources:  personality(2), proc_pid_personality(5), include/uapi/linux/personality.h.
"""

from __future__ import annotations

from holdfast.kernel.procfs.scalar import parse_number
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, Unchecked, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence

FLAGS = {
    "uname26": 0x0020000,
    "addr_no_randomize": 0x0040000,
    "fdpic_funcptrs": 0x0080000,
    "mmap_page_zero": 0x0100000,
    "addr_compat_layout": 0x0200000,
    "read_implies_exec": 0x0400000,
    "addr_limit_32bit": 0x0800000,
    "short_inode": 0x1000000,
    "whole_seconds": 0x2000000,
    "sticky_timeouts": 0x4000000,
    "addr_limit_3gb": 0x8000000,
}
DOMAINS = {"linux": 0, "linux32": 8}
_DOMAIN_NAMES = {n: name for name, n in DOMAINS.items()}
DOMAIN_MASK = 0xFFFF  # the domain's number and the flags that belong to other systems' domains


class Personality(Record):
    """A thread's execution domain."""

    domain: str
    flags: tuple[str, ...]


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def _parts(ev: ThreadEvidence) -> tuple[str, tuple[str, ...]]:
    value = parse_number("personality", ev.read("personality"))
    name = _DOMAIN_NAMES.get(value & DOMAIN_MASK)
    if name is None:
        raise ValueError(f"execution domain {value & DOMAIN_MASK:#x} has no name")
    return name, tasks.names(FLAGS, value & ~DOMAIN_MASK)


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    try:
        _parts(ev)
    except PermissionError:
        yield Unchecked("task.personality", f"the personality of {tasks.who(ev)}", "its owner or root may read it, proc_pid_personality(5)")
    except ValueError as e:
        yield Refusal(
            "task.personality",
            f"{tasks.who(ev)} cannot be dumped: {e}",
            tasks.where(ev, "personality"),
            "personality(2)",
            "start it without setarch",
        )


def dump(ev: ThreadEvidence) -> Personality:
    return Personality(*_parts(ev))


def restore(rec: Personality, steps: Steps) -> None:
    # read_implies_exec changes what mmap and mprotect do: after all of them
    value = DOMAINS[rec.domain] | tasks.bits(FLAGS, rec.flags)
    steps.part(needs=("mm", "fds")).call("personality", value)


KIND = Kind("task.personality", record=Personality, subject="thread", verbs=verbs(__name__))
