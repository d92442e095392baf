"""task.status: that every line of /proc/PID/status was looked at by somebody.

Carries:  nothing.
Loses:    nothing: a line that no kind watches and nobody decided about is reported as not checked.
Sources:  proc_pid_status(5), Linux fs/proc/array.c proc_pid_status.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Unchecked, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import ProcessEvidence

# The keys that no kind watches, each with the reason why it may be left alone.
IGNORED = {
    "State": "running, sleeping and stopped follow from what the other kinds carry",
    "Tgid": "task.process carries it as it is in the tree's own namespace",
    "Ngid": "a NUMA balancing group, which the kernel finds anew",
    "Pid": "task.process carries it as it is in the tree's own namespace",
    "PPid": "task.process carries the parent",
    "FDSize": "how much room the descriptor table has",
    "Kthread": "kernel threads are never in a tree",
    "VmPeak": "a high-water mark of memory use",
    "VmSize": "follows from the areas",
    "VmPin": "pages that a device or a transfer holds: whoever pins them is refused by name",
    "VmHWM": "a high-water mark of memory use",
    "VmRSS": "which pages are in memory is the kernel's business",
    "RssAnon": "which pages are in memory is the kernel's business",
    "RssFile": "which pages are in memory is the kernel's business",
    "RssShmem": "which pages are in memory is the kernel's business",
    "VmData": "follows from the areas",
    "VmStk": "follows from the areas",
    "VmExe": "follows from the areas",
    "VmLib": "follows from the areas",
    "VmPTE": "size of the page tables",
    "VmPMD": "size of the page tables",
    "VmSwap": "which pages are in memory is the kernel's business",
    "HugetlbPages": "an area of huge TLB pages is refused by name",
    "CoreDumping": "a process that is being dumped by the kernel cannot be stopped by us",
    "Threads": "follows from the threads",
    "voluntary_ctxt_switches": "a count for accounting",
    "nonvoluntary_ctxt_switches": "a count for accounting",
}


class Status(Record):
    """Nothing: unknown keys are reported."""


def detect(ev: ProcessEvidence) -> Claim | None:
    return Claim() if ev.status.unknown else None


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    for key in ev.status.unknown:
        yield Unchecked(
            "task.status",
            f"what `{key}` of {tasks.where(ev, 'status')} says",
            "this kernel prints a line that Holdfast has not seen before",
        )


KIND = Kind("task.status", record=Status, subject="process", verbs=verbs(__name__))
