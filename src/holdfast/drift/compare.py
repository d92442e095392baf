"""Two kernels by name to one judgement: loads them, the ledger and what else is known, and warns where they are not of one family."""

from __future__ import annotations

import re

from holdfast.drift import carriers, diff, facts, guards, snapshot
from holdfast.drift.judge import Judgement, judge
from holdfast.kernel import specimen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.drift.guards import Guards
    from holdfast.drift.ledger import Ledger
    from holdfast.drift.snapshot import Snapshot

_FLAVOUR = re.compile(r"-(cloud-amd64|rt-amd64|amd64|generic|azure|aws|gcp|fc\w*|microsoft\w*)(?:-|$)")


def compare(old: str, new: str, ledger: Ledger) -> Judgement:
    """The judgement of two kernels, each by any of the names that kernel.specimen knows.

    Raises:  what kernel.specimen.load raises
    """
    before, after = (snapshot.take(specimen.load(name), ledger) for name in (old, new))
    return of(before, after, ledger)


def of(before: Snapshot, after: Snapshot, ledger: Ledger) -> Judgement:
    """The judgement of two snapshots."""
    known = guards.between(ledger.where, before, after)
    warnings = family(before, after, known)
    asked = [facts.of(kernel, ledger.where) for kernel in (before, after)]
    more = list(facts.changes(asked[0], asked[1])) if asked[0] is not None and asked[1] is not None else []
    unread: set[str] = set()
    for table in ledger.flags.values():
        if before.version in table.measured and after.version in table.measured:
            more += diff.values("flag", table.name, table.bits(before.version), table.bits(after.version))
        elif before.version != after.version:
            unread.update(k.name for k in (before, after) if k.version not in table.measured)
    if unread:
        warnings.append(f"bits that are #defines are not compared: nobody has read the headers of {' and '.join(sorted(unread))}")
    for kernel, found in zip((before, after), asked, strict=True):
        if found is None:
            warnings.append(f"nobody has probed {kernel.name}: formats of /proc, kernel areas and calls are not compared")
        elif found.release != kernel.release:
            warnings.append(f"facts of {found.release} stand for {kernel.name}")
    return judge(before, after, ledger, carriers.known(), known, warnings, more)


def family(before: Snapshot, after: Snapshot, known: Guards) -> list[str]:
    """Why the two may not be of one configuration family, so that differences are of the build and not of the source."""
    out = []
    one, other = flavour(before.release), flavour(after.release)
    if one != other:
        names = [f"{k.name} ({f or 'flavour unknown'})" for k, f in ((before, one), (after, other))]
        out.append(f"not of one config family: {' and '.join(names)}; fields may differ by configuration only")
    differing = known.family()
    if differing:
        shown = ", ".join(f"CONFIG_{name}" for name in differing[:8])
        out.append(f"{len(differing)} options that watched fields depend on differ: {shown}{' ...' if len(differing) > 8 else ''}")
    missing = [k.name for k in (before, after) if not k.config]
    if missing:
        out.append(f"configuration not known: {', '.join(missing)}; changes of configuration are shown as changes of the source")
    return out


def flavour(release: str) -> str:
    """The config family that a release names: cloud-amd64, amd64, rt-amd64; empty when it names none that is known."""
    match = _FLAVOUR.search(release)
    return match[1] if match else ""
