"""Many kernels one after the other: what each step changed, and when each field first and last appeared."""

from __future__ import annotations

import itertools
from collections import Counter

from holdfast.drift import compare, history, snapshot
from holdfast.errors import UsageError
from holdfast.kernel import debian, specimen
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from holdfast.drift.history import History
    from holdfast.drift.judge import Judgement
    from holdfast.drift.ledger import Ledger
    from holdfast.drift.snapshot import Snapshot

SHOWN = ("added", "removed", "retyped", "renumbered")


class Series(Record):
    """Kernels in order, the judgement of each step, and the history of every field."""

    snapshots: tuple[Snapshot, ...]
    steps: tuple[Judgement, ...]
    history: History


def debian_kernels(flavour: str, oldest: str = "6.1") -> list[debian.DebianKernel]:
    """The newest Debian kernel of each upstream series from the oldest wanted on.

    Raises:  kernel_lacks.debian.mirror: Debian cannot be asked; usage.drift.series: no suite carries two of them
    """
    floor = debian.numbers(oldest)
    found = [k for k in debian.series(debian.available(), flavour) if debian.numbers(k.series) >= floor]
    if len(found) < 2:
        raise UsageError(
            "drift.series", f"no two {flavour} kernels from {oldest} on", where="--series debian", do="holdfast kernels --series"
        )
    return found


def walk(kernels: Sequence[debian.DebianKernel], ledger: Ledger, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Series:
    """The series of some Debian kernels; those that were never fetched are fetched.

    Raises:  kernel_lacks.debian.fetch: Debian's mirror cannot be asked
    """
    snapshots = []
    for i, kernel in enumerate(kernels):
        progress(i, len(kernels))
        snapshots.append(snapshot.take(specimen.fetched(kernel), ledger))
    progress(len(kernels), len(kernels))
    return of(snapshots, ledger)


def of(snapshots: Sequence[Snapshot], ledger: Ledger) -> Series:
    """The series of some snapshots, in the order given."""
    steps = [compare.of(old, new, ledger) for old, new in itertools.pairwise(snapshots)]
    return Series(tuple(snapshots), tuple(steps), history.build(snapshots))


def changes(step: Judgement) -> dict[str, int]:
    """How many watched fields and constants a step added, removed, retyped and renumbered."""
    counts = Counter(j.change.what for j in step.all() if j.change.domain != "embedded")
    return {what: counts[what] for what in SHOWN}


def facts(series: Series) -> dict[str, Any]:
    """The series as plain values for JSON."""
    found = series.history
    return {
        "kernels": [{"name": s.name, "release": s.release, "fields": s.fields} for s in series.snapshots],
        "steps": [
            {
                "old": step.old,
                "new": step.new,
                "changes": changes(step),
                "verdicts": step.counts(),
                **{what: [j.change.name for j in step.all() if j.change.what == what and j.change.domain != "embedded"] for what in SHOWN},
            }
            for step in series.steps
        ],
        "fields": {
            name: {
                "first": found.kernels[min(i for span in spans for i in span.kernels)],
                "last": found.kernels[max(i for span in spans for i in span.kernels)],
                "types": [{"type": span.type, "kernels": found.runs(span)} for span in spans],
            }
            for name, spans in found.fields.items()
        },
    }


def text(series: Series, everything: bool = False) -> str:
    """The series for a person: a table of steps, and the names of what came and went."""
    lines = [f"{'step':<52}{'fields':>8}" + "".join(f"{what:>12}" for what in SHOWN) + f"{'silent':>8}{'breaks':>8}"]
    for step in series.steps:
        counts, verdicts = changes(step), step.counts()
        name = f"{short(step.old)} -> {short(step.new)}"
        row = f"{name:<52}{step.fields_new:>8}" + "".join(f"{counts[what]:>12}" for what in SHOWN)
        lines.append(f"{row}{verdicts['silent']:>8}{verdicts['breaks']:>8}")
    for step in series.steps:
        named = [j for j in step.all() if j.change.domain != "embedded" and not j.change.whole]
        shown = named if everything else [j for j in named if j.verdict in ("silent", "breaks", "check", "undecided") or not j.row.by]
        lines += ["", f"{short(step.old)} -> {short(step.new)}"]
        for what in SHOWN:
            names = [j.change.name for j in shown if j.change.what == what]
            if names:
                lines.append(f"  {what:<11}{' '.join(names)}")
        whole = sorted({f"{'+' if j.change.what == 'added' else '-'}{j.change.holder}" for j in step.all() if j.change.whole})
        if whole:
            lines.append(f"  {'structs':<11}{' '.join(whole)}")
        hidden = len(named) - len(shown)
        if hidden:
            lines.append(f"  {hidden} more that a rule decides (--all)")
    brief = [
        f"{n} ({series.history.runs(s[0])})"
        for n, s in series.history.fields.items()
        if len(s) == 1 and lived_briefly(series, s[0].kernels)
    ]
    if brief:
        lines += ["", "came and went", *(f"  {line}" for line in brief)]
    return "\n".join(lines)


def lived_briefly(series: Series, kernels: Sequence[int]) -> bool:
    """Whether a field was neither in the first kernel nor is in the last."""
    return kernels[0] > 0 and kernels[-1] < len(series.snapshots) - 1


def short(name: str) -> str:
    """A kernel's name without `debian:`."""
    return name.removeprefix("debian:")
