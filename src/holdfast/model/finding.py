"""One finding: what drift, tags, hunt and blame all produce, and what report turns into paper."""

from __future__ import annotations

from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SEVERITIES: tuple[str, ...] = ("none", "low", "medium", "high", "critical")
"""From nothing to do, up to a lost sandbox, seal, limit or credential."""


class Finding(Record):
    """One thing that was judged: what it is, the verdict, and why somebody should believe it.

    Shape:   `code` is dotted, begins with the tool and never changes its meaning; `verdict` is one of that tool's closed words;
             `severity` is one of SEVERITIES; `facts` is sorted by key
    """

    code: str  # tags.kconfig.unsafe, drift.field.added, hunt.lost
    subject: str  # what was judged, by its kernel name: CONFIG_IO_URING, task_struct.comm, vm.overcommit_memory
    verdict: str  # UNSAFE, silent, lost
    severity: str  # one of SEVERITIES
    what: str  # one sentence
    where: str = ""  # file:line, a struct, a /proc path
    why: str = ""
    source: str = ""  # man page, kernel file, commit: never empty where why is a kernel fact
    do: str = ""  # what the reader can do about it
    reproducer: str = ""  # a command, or the text of a program, that shows it again
    engine: str = ""  # native, criu; empty where no engine is concerned
    kernel: str = ""  # the kernel or pair of kernels judged
    evidence: str = ""  # known, discovered, measured
    facts: tuple[tuple[str, str], ...] = field(default=())  # further names and values for machines

    @property
    def tool(self) -> str:
        """The tool that produced it: the first word of the code."""
        return self.code.partition(".")[0]

    def fact(self, name: str, default: str = "") -> str:
        """The value of one further fact."""
        return next((v for k, v in self.facts if k == name), default)

    def plain(self) -> dict[str, object]:
        """The finding as plain values, ready for JSON; empty parts are left out."""
        out: dict[str, object] = {n: v for n, v in self.items() if v and n != "facts"}
        if self.facts:
            out["facts"] = dict(self.facts)
        return out

    def __str__(self) -> str:
        lines = [f"{self.verdict} {self.subject}: {self.what}"]
        lines += [f"  {n:<6} {getattr(self, n)}" for n in ("where", "why", "source", "do", "reproducer") if getattr(self, n)]
        return "\n".join(lines)


def at_least(severity: str, floor: str) -> bool:
    """Whether a severity is as bad as the floor or worse."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(floor)


def worst(findings: Iterable[Finding]) -> str:
    """The worst severity among findings; none where there are none."""
    return max((f.severity for f in findings), key=SEVERITIES.index, default="none")
