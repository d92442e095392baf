"""A running tree to a sealed image; the tree is killed afterwards, or goes on as if nothing had been.

Order: stop everything; look; judge; put hands in; ask; copy, or make twins to copy from. A tree that is to go on is let go then, and the
image is written meanwhile. One that is to end is killed only when its image is sealed and on disk.
Nothing is touched before it was judged. Whatever fails, the tree goes on as it was.
"""

from __future__ import annotations

import os
import time

from holdfast.engine import enclosure, faults, foresight, interrupts, memory, unseen
from holdfast.engine.admit import Admitted, admit, told
from holdfast.engine.collect import running_tree, stopped_tree
from holdfast.engine.garbage import Seldom
from holdfast.engine.inside import AREA, Inside, describe
from holdfast.engine.twins import GUARD, Twins, unreadable, without
from holdfast.errors import HoldfastError, Refused, TargetChanged, UsageError
from holdfast.image.inventory import Inventory
from holdfast.image.write import Writer
from holdfast.kernel.procfs.status import parse_status
from holdfast.kinds.evidence import Options
from holdfast.model.record import Record
from holdfast.tracee.seize import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from holdfast.image.write import Sealed
    from holdfast.kernel.procfs.maps import Smap
    from holdfast.kinds.contract import Kind
    from holdfast.kinds.evidence import ProcessEvidence, TreeEvidence
    from holdfast.model.census import Admission, Refusal
    from holdfast.model.ids import ObjectId

VERSION = "0.1.0"
BIG_AREA = 1 << 20


class Dumped(Record):
    """What a dump did.

    Unit:    times in ns, sizes in bytes
    """

    path: bytes
    digest: bytes
    pids: tuple[int, ...]
    admission: Admission
    stopped_ns: int  # from the first stop to the last release, or to the last kill
    total_ns: int
    state_size: int
    pages_size: int
    files: int
    left_running: bool
    how: str  # `twin` or `copy`


def dump(
    pid: int,
    image: str | bytes,
    *,
    leave_running: bool = False,
    options: Options | None = None,
    sync: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Dumped:
    """Dump the tree whose first process is `pid`.

    Shape:   `progress` is told how many bytes of memory are copied, of how many, while that lasts; it may raise, and nothing has happened
    Needs:   the right to trace every task of the tree
    Raises:  refused.*: something in it has no C/R part; nothing was touched
             target_changed.*: it died or could not be stopped
             usage.image.*: the image's name cannot be used
    """
    options = options or Options()
    if pid == os.getpid() or pid <= 0:
        raise UsageError("pid", f"{pid} is not a process that can be dumped from here", do="give the pid of another process")
    began = time.monotonic_ns()
    try:
        return _dump(pid, image, leave_running, options, sync, progress, began, foresee=True)
    except TargetChanged as cause:
        if cause.code != "target_changed.areas":
            raise
        return _dump(pid, image, leave_running, options, sync, progress, began, foresee=False)


def _dump(
    pid: int,
    image: str | bytes,
    leave_running: bool,
    options: Options,
    sync: bool,
    progress: Callable[[int, int], None] | None,
    began: int,
    foresee: bool,
) -> Dumped:
    with Seldom(), interrupts.Held() as signals, Writer(image, sync=sync) as writer:
        work = _Work(pid, writer, leave_running, options, signals, foresee)
        work.pages.progress = progress
        unseen.prepare(options)
        try:
            for step in (work.hold, work.judge, work.ask, work.take, *((work.let_go, work.finish_pages) if leave_running else ())):
                step()
                signals.safe()
            sealed = work.write()
            signals.safe()
            if not leave_running:
                work.kill()
        except BaseException:
            work.undo()
            raise
        work.reap()
        work.tree.close()
        return work.result(sealed, began)


class _Work:
    def __init__(self, pid: int, writer: Writer, leave_running: bool, options: Options, signals: interrupts.Held, foresee: bool) -> None:
        self.pid, self.writer, self.leave, self.options, self.foresee = pid, writer, leave_running, options, foresee
        self.held = Held()
        self.tree: TreeEvidence
        self.admitted: Admitted
        self.inside: Inside | None = None
        self.records: list[Any] = []
        self.twins: Twins | None = None
        self.foreseen: dict[int, list[Smap]] = {}
        self.command: tuple[bytes, ...] = ()
        self.stop_began = self.stop_ended = 0
        self.how = "copy"
        file = writer.pages(0)
        self.pages = memory.Pages(file.fd)
        self.signals = signals
        self.pages.settled = self._settled
        self.pages.hashed = lambda i, digest: writer.hashed(0, i, digest)

    def _settled(self, end: int) -> None:
        self.writer.settled(0, end)
        self.signals.safe()  # between two runs of a program

    def hold(self) -> None:
        if self.leave and self.foresee:
            self.foreseen = foresight.look(self.pid)
        self.stop_began = time.monotonic_ns()
        try:
            self.held.freeze(self.pid)
            self._freeze_adopted()
        except Refused as cause:
            self.held.release()
            raise _refused(self.pid, _with_others(self.pid, self.options, cause)) from cause
        faults.point("dump.frozen")
        self.tree = stopped_tree(self.held, self.options, foreseen=self.foreseen)
        unseen.waits(self.tree)
        self.command = _command(self.tree.processes[0])  # now: a process that is ended has none

    def _freeze_adopted(self) -> None:
        # the rest of a job: what its init adopted, until a look finds nobody new
        with open(f"/proc/{self.pid}/status", "rb", 0) as f:
            nspids = parse_status(f.read(1 << 16)).ns_tgids
        init = enclosure.init_of(self.pid, nspids) if len(nspids) > 1 else 0
        seen: set[int] = set()
        while init and (fresh := [p for p in enclosure.adopted(init, self.pid) if p not in seen]):
            seen.update(fresh)
            for pid in fresh:
                try:
                    self.held.freeze(pid)
                except TargetChanged as cause:
                    if cause.code != "target_changed.died":
                        raise

    def judge(self) -> None:
        self.admitted = admit(self.tree)
        by_kinds, seen = self.admitted.admission.refusals, unseen.look(self.tree)
        self.admitted.admission = unseen.judged(self.admitted.admission, seen, self.options.strict)
        strict = unseen.against(self.admitted.admission)
        if self.admitted.admission.refusals or strict:
            processes, carriers = self.admitted.answerable()
            try:
                more = self._ask(processes, AREA, carriers) if carriers else ()
            except Exception as cause:
                raise _refused(self.pid, (*self.admitted.admission.refusals, *strict)) from cause
            raise _refused(self.pid, (*unseen.merged((*by_kinds, *more), seen), *strict))
        faults.point("dump.admitted")

    def ask(self) -> None:
        """Describe every object, with what only the tasks themselves can tell."""
        size = BIG_AREA if any(a.vma.size > memory.SMALL for p in self.tree.processes for a in p.vmas if not a.vma.has_file) else AREA
        refusals = self._ask(self.tree.processes, size, self.admitted.carriers)
        if refusals:
            raise _refused(self.pid, refusals)
        faults.point("dump.described")

    def _ask(self, processes: list[ProcessEvidence], size: int, carriers: list[tuple[Kind, Any]]) -> tuple[Refusal, ...]:
        self.inside = Inside(self.held, processes, size, guarded=True)
        self.inside.open()
        faults.point("dump.area")
        self.records = describe(self.inside, [(ev, kind.verbs["dump"]) for kind, ev in carriers])
        return tuple(
            r for (kind, _), said in zip(carriers, self.records, strict=True) if isinstance(said, Refused) for r in told(kind.name, said)
        )

    def take(self) -> None:
        """Copy memory, or make twins to copy it from later; then take our hands out and let go or kill."""
        assert self.inside is not None
        alive = [p for p in self.tree.processes if not p.zombie]
        guards = {
            ev.id: rec.ranges for (kind, ev), rec in zip(self.admitted.carriers, self.records, strict=True) if rec and kind.name == GUARD
        }
        for inode in self.tree.inodes:
            memory.inode_contents(self.pages, inode)
        self.twins = Twins(self.inside, self.pages, guards)
        if self.leave and sum(foresight.own_memory(p.status) for p in alive) > memory.SMALL:
            self._make_twins(alive)
        if not self.twins:
            ranges = {p.id: without(memory.ranges_of(int(p.pid), memory.private_areas(p)), guards.get(p.id, ())) for p in alive}
            self.pages.total = self.pages.end + sum(b - a for r in ranges.values() for a, b in r)
            for p in alive:
                mine = ranges[p.id]
                copy = self.pages.copy if sum(b - a for a, b in mine) <= memory.SMALL else self.pages.copy_much
                try:
                    copy(p.pid, p, mine)
                except OSError as cause:
                    raise unreadable(p, cause) from cause
        faults.point("dump.pages")
        for file in self.tree.files:
            file.close()

    def let_go(self) -> None:
        """Take our hands out; the tree goes on."""
        assert self.inside is not None
        self.inside.close()
        faults.point("dump.left")
        self.held.release()
        self.stop_ended = time.monotonic_ns()
        if not self.twins:
            self.inside.dismiss()
        faults.point("dump.released")

    def kill(self) -> None:
        """End the tree, now that its image is whole and on disk: until here it could have gone on."""
        self.held.kill()
        self.stop_ended = time.monotonic_ns()
        if self.inside is not None:
            self.inside.dismiss()

    def reap(self) -> None:
        """Leave no zombie of ours."""
        if self.inside is not None:
            self.inside.reap()

    def _make_twins(self, alive: list[ProcessEvidence]) -> None:
        if any(_adopts(r) for r in self.records) or any(int(p.nspid) == 1 for p in alive):
            return
        assert self.twins is not None
        self.twins.make(alive)
        if self.twins:
            self.how = "twin"

    def finish_pages(self) -> None:
        """Copy from the twins; the tree runs already."""
        if self.twins:
            self.twins.finish(foresight.used(self.tree.processes, self.foreseen))

    def write(self) -> Sealed:
        by_kind: dict[str, tuple[Kind, list[tuple[ObjectId, Any]]]] = {}
        for (kind, ev), record in zip(self.admitted.carriers, self.records, strict=True):
            if record is not None:  # nothing beside the default
                by_kind.setdefault(kind.name, (kind, []))[1].append((ev.id, record))
        for name, (kind, entries) in by_kind.items():
            self.writer.add(name, kind.version, kind.record, entries)
        self.writer.index(self.pages.rows)
        faults.point("dump.written")
        self.signals.safe()
        root = self.tree.processes[0]
        sealed = self.writer.seal(
            Inventory(
                tool=f"holdfast {VERSION}",
                kernel=os.uname().release,
                machine=os.uname().machine,
                created_ns=time.time_ns(),
                root=root.id,
                kernel_build=os.uname().version,
                command=self.command,
                left_running=self.leave,
                stopped_ns=(self.stop_ended or time.monotonic_ns()) - self.stop_began,
            )
        )
        faults.point("dump.sealed")
        return sealed

    def result(self, sealed: Sealed, began: int) -> Dumped:
        return Dumped(
            sealed.path,
            sealed.digest,
            tuple(int(p.pid) for p in self.tree.processes),
            self.admitted.admission,
            self.stop_ended - self.stop_began,
            time.monotonic_ns() - began,
            sealed.state_size,
            sealed.pages_size,
            sealed.files,
            self.leave,
            self.how,
        )

    def undo(self) -> None:
        """Leave the tree as it was."""
        try:
            if self.twins is not None:
                self.twins.end()
        finally:
            try:
                if self.inside is not None:
                    self.inside.close()
            finally:
                self.held.release()
                if self.inside is not None:
                    self.inside.reap()
                # a duplicate of a listener that we kept would keep its port
                tree: TreeEvidence | None = getattr(self, "tree", None)  # not there where the tree could not be stopped
                if tree is not None:
                    tree.close()


def _refused(pid: int, refusals: tuple[Refusal, ...]) -> Refused:
    n = len(refusals)
    return Refused("dump", f"pid {pid} cannot be dumped: {n} reason{'s' if n > 1 else ''}", refusals=refusals)


def _with_others(pid: int, options: Options, cause: Refused) -> tuple[Refusal, ...]:
    # a task could not be stopped: with what stands against a dump as far as it can be seen of a running tree
    mine = told("", cause)
    try:
        tree = running_tree(pid, options)
        try:
            found = admit(tree).admission.refusals
        finally:
            tree.close()
    except (HoldfastError, OSError):  # it may not be looked at either, or is gone
        return mine
    known = {r.code for r in found}
    return (*(r for r in mine if r.code not in known), *found)


def _adopts(record: Any) -> bool:
    return type(record).__name__ == "ChildSubreaper"


def _takes_direct(fd: int) -> bool:
    try:
        os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC | memory.O_DIRECT))
    except OSError:
        return False
    return True


def _command(root: ProcessEvidence) -> tuple[bytes, ...]:
    try:
        return tuple(root.read("cmdline").rstrip(b"\0").split(b"\0"))
    except OSError:
        return ()
