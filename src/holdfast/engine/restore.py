"""A sealed image to a running tree, checked before it is let go."""

from __future__ import annotations

import os
import time

from holdfast.engine import faults
from holdfast.engine.enclosure import Enclosure
from holdfast.engine.execute import Execution, Outcome, part_size, plan_layout
from holdfast.engine.garbage import Seldom
from holdfast.engine.host import LiveHost
from holdfast.engine.plan import Plan, make_plan
from holdfast.engine.verify import verify
from holdfast.errors import Differs, HoldfastError, Refused
from holdfast.image import read
from holdfast.kinds import registry
from holdfast.kinds.evidence import Options
from holdfast.model.ids import ObjectId
from holdfast.model.record import Record
from holdfast.tracee import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from holdfast.image.read import Image
    from holdfast.model.census import Refusal

MIN_AREA = 256 << 10


class Prepared(Record):
    """A restore that only has to be done: the image, its plan, where things go."""

    image: Any
    plan: Plan
    records: Mapping[str, Mapping[str, Any]]
    hole: int
    size: int


def readers() -> dict[str, Any]:
    """What the image room needs to know of every kind: record class, version, upgrades."""
    return {name: (kind.record, kind.version, kind.upgrades or {}) for name, kind in registry.kinds().items()}


def load(image: Image) -> dict[str, dict[Any, Any]]:
    """Every record: kind to object to record."""
    return {kind: dict(image.records(kind)) for kind in image.kinds()}


def prepare(image: Image) -> Prepared:
    """Make the plan and see whether this machine has what it needs; nothing is started.

    Raises:  refused.restore: every reason at once
    """
    records = load(image)
    kinds = registry.kinds()
    host = LiveHost(records)
    refusals: list[Refusal] = []
    for name, kind in kinds.items():
        ready = kind.verbs.get("ready")
        if ready is not None:
            seen: set[Any] = set()
            for rec in records.get(name, {}).values():
                for refusal in ready(rec, host):
                    if refusal not in seen:
                        seen.add(refusal)
                        refusals.append(refusal.replace(kind=name))
    if refusals:
        n = len(refusals)
        raise Refused("restore", f"the image cannot be restored here: {n} reason{'s' if n > 1 else ''}", refusals=refusals)
    paged = _paged(image, records)
    hole, layout, staging_size = plan_layout(records, MIN_AREA)
    plan = make_plan(records, kinds, paged, layout, staging_size)
    largest = max((part_size(p) for p in plan.parts), default=0)
    size = max(MIN_AREA, (largest + 8192 + 4095) & ~4095)
    if size > MIN_AREA:
        hole, layout, staging_size = plan_layout(records, size)
        plan = make_plan(records, kinds, paged, layout, staging_size)
    return Prepared(image, plan, records, hole, size)


def _paged(image: Image, records: Mapping[str, Mapping[str, Any]]) -> set[str]:
    # areas that hold at least one page of the image, found by one merge of sorted lists for each process
    out: set[str] = set()
    by_process: dict[str, list[tuple[int, int, str]]] = {}
    for kind in ("mm.anon", "mm.file"):
        for id, rec in records.get(kind, {}).items():
            by_process.setdefault(f"process:{str(id).split(':')[1]}", []).append((rec.start, rec.end, str(id)))
    for process, areas in by_process.items():
        areas.sort()
        i = 0
        for run in image.runs(ObjectId(process)):
            start = run.start
            while i < len(areas) and areas[i][1] <= start:
                i += 1
            if i < len(areas) and areas[i][0] <= start:
                out.add(areas[i][2])
    return out


def restore(
    path: str | bytes, *, check: bool = True, trust: bool = False, progress: Callable[[int, int], None] | None = None
) -> tuple[Outcome, Any]:
    """Restore an image as children of this process.

    Shape:   the outcome, and the pid to wait for: of the first process, or of its init where it has one
    Raises:  bad_image.*, refused.restore, kernel_lacks.*; differs.verify: the tree was destroyed
    """
    began = time.monotonic_ns()
    with Seldom(), read.open(path, readers(), trust=trust) as image:
        prepared = prepare(image)
        tree = prepared.plan.draft.tree
        # a number of a session or group whose leader is gone is in use as well
        taken = frozenset(n for p in tree.values() for n in (*map(int, p.threads), int(p.session), int(p.group)))
        space = enclosure_of(prepared)
        execution = Execution(prepared.plan, image, prepared.hole, prepared.size, None if space is None else space.names)
        stub = spawn.held_stub(taken) if space is None else space.stub(taken)
        with execution.filler as filler:
            try:
                filler.check_digests()
                execution.start(stub)
                if space is not None:
                    space.reap_stub()
                execution.run(progress)
                execution.settle(leave=not check)
                if check:
                    checked(execution, prepared)
                filler.checked()
                warnings = named(execution, prepared, space)
                group = os.getpgid(next(iter(execution.pids.values())))
                pid = execution.let_go()
                if space is not None:
                    space.release(int(next(iter(tree.values())).nspid), max(taken))
            except BaseException:
                execution.abandon()
                if space is None:
                    _end(stub)
                else:
                    space.abandon()
                raise
        outcome = Outcome(
            pid,
            group,
            tuple(execution.pids.values()),
            len(prepared.plan.rounds),
            prepared.plan.calls,
            execution.fill_ns,
            time.monotonic_ns() - began,
            (*image.warnings, *warnings),
        )
        return outcome, pid if space is None else space.init


def enclosure_of(prepared: Prepared) -> Enclosure | None:
    """The namespaces for a tree that `holdfast run` started; None for one of the host.

    Raises:  kernel_lacks.namespaces: they cannot be made
    """
    run = next(iter(prepared.records.get("ns.run", {}).values()), None)
    if run is None:
        return None
    users, groups = (tuple((r.inside, r.outside, r.count) for r in ranges) for ranges in (run.users, run.groups))
    return Enclosure(users, groups, run.setgroups, run.name)


def named(execution: Execution, prepared: Prepared, space: Enclosure | None) -> tuple[str, ...]:
    """Give a job its name again; a warning where another job has it now."""
    if space is None:
        return ()
    run = next(iter(prepared.records["ns.run"].values()))
    if not run.name:
        return ()
    from holdfast.engine import jobs  # only jobs with a name need it

    try:
        jobs.register(run.name.decode("utf-8", "backslashreplace"), next(iter(execution.pids.values())), space.init)
    except HoldfastError as cause:
        return (f"the job has no name: {cause.what}",)
    return ()


def checked(execution: Execution, prepared: Prepared) -> None:
    """Compare the restored tree with the image.

    Raises:  differs.verify: with every difference
    """
    # what needs an option was decided at the dump: a connection that was restored as reset has an error to report, and may have it here
    tree = execution.look(Options(reset_tcp=True))
    try:
        differences = [d for d in verify(execution.held, tree, prepared.records, registry.kinds(), there=execution.areas) if d.matters]
    finally:
        tree.close()
    if differences:
        raise Differs(
            "verify",
            f"the restored tree differs from the image in {len(differences)} places; it was destroyed",
            where="; ".join(str(d) for d in differences[:20]),
            why="something was not brought back as it was",
            do="report it with the image; --no-verify lets the tree go as it is",
        )
    faults.point("restore.verified")


def _end(stub: int) -> None:
    try:
        os.kill(stub, 9)
        os.waitpid(stub, 0x40000000)
    except OSError:
        return  # it went when the tree was born
