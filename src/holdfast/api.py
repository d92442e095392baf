"""The Python API: `import holdfast`, then dump, restore, check, plan, verify, show. Each returns the value that its command prints.

A process that was restored is a child of the caller, who has to wait for it (Restored.wait), unless detach is asked for.
Every error is a holdfast.HoldfastError with the four parts what, where, why, do.
"""

from __future__ import annotations

import os

from holdfast.errors import FAMILIES, HoldfastError, InternalError, KernelLacks, Refused, UsageError
from holdfast.kinds.evidence import Options
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike
    from typing import Any

    from holdfast.engine.dump import Dumped
    from holdfast.engine.survey import Shown
    from holdfast.image.read import Image
    from holdfast.model.census import Admission
    from holdfast.model.ids import ObjectId

    Path = str | bytes | PathLike[str]


def dump(
    pid: int,
    image: Path,
    *,
    leave_running: bool = False,
    options: Options | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dumped:
    """Save the tree below `pid` to a new image; without `leave_running` the tree is ended once its state is copied.

    Shape:   `progress` is told how many bytes of memory are copied, of how many, while that lasts; it may raise, and nothing has happened
    Raises:  refused.dump: something has no C/R part: all reasons at once, nothing was touched
             target_changed.*: the tree changed or died; kernel_lacks.*: this user may not; usage.*: the call is wrong
    """
    from holdfast.engine import dump as engine  # only who dumps pays for it

    return engine.dump(pid, os.fspath(image), leave_running=leave_running, options=options, progress=progress)


class Restored(Record):
    """A tree that runs again.

    Unit:    times in ns
    """

    pid: int
    pids: tuple[int, ...]
    verified: bool
    detached: bool
    fill_ns: int
    total_ns: int
    warnings: tuple[str, ...] = ()
    child: int = 0  # of ours, which ends as the first process ends: its init, or itself

    def wait(self) -> int:
        """Wait for the end of the first process; its exit status, or minus the number of the signal that ended it.

        Shape:   of a job of `holdfast run`, as its init says it: 128 + the number of the signal
        Raises:  usage.detached: it is not our child
        """
        if self.detached:
            raise UsageError("detached", f"pid {self.pid} is not our child", why="detach was asked for", do="watch it by pidfd_open(2)")
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


def restore(
    image: Path, *, check: bool = True, trust: bool = False, detach: bool = False, progress: Callable[[int, int], None] | None = None
) -> Restored:
    """Bring an image back to life.

    Shape:   the first process is a child of ours; with `detach` of nobody, as a daemon, and wait() is not for it
    Raises:  bad_image.*; refused.restore: this machine lacks what it needs; kernel_lacks.set_tid: a pid is taken
             differs.verify: what came back differed, and was destroyed
    """
    if detach:
        return _restore_detached(os.fspath(image), check, trust)
    from holdfast.engine import restore as engine  # only who restores pays for it

    done, child = engine.restore(os.fspath(image), check=check, trust=trust, progress=progress)
    return Restored(done.pid, done.pids, check, False, done.fill_ns, done.total_ns, done.warnings, child)


# By a process that ends at once: whoever adopts orphans here becomes the parent. It says what happened as JSON, through a pipe.
def _restore_detached(image: str | bytes, check: bool, trust: bool) -> Restored:
    import json  # the other ways do not need it

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            try:
                made = restore(image, check=check, trust=trust)
                said: dict[str, Any] = {"made": dict(made.items())}
            except HoldfastError as error:
                refusals = [dict(r.items()) for r in getattr(error, "refusals", ())]
                said = {"family": error.family, "parts": error.parts(), "refusals": refusals}
            os.write(write, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(write)
    text = b""
    while part := os.read(read, 1 << 16):
        text += part
    os.close(read)
    os.waitpid(child, 0)
    if not text:
        raise InternalError("detach", "the process that restores ended without a word", do="report it")
    said = json.loads(text)
    if "made" in said:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said["made"].items()}
        return Restored(**{**values, "detached": True})
    raise _error(said)


def _error(said: dict[str, Any]) -> Exception:
    from holdfast.model.census import Refusal  # only a refusal has any

    family = next(f for f in FAMILIES if f.family == said["family"])
    parts = dict(said["parts"])
    code = parts.pop("code").partition(".")[2]
    what = parts.pop("what")
    if family is Refused:
        return Refused(code, what, refusals=[Refusal(**r) for r in said["refusals"]], **parts)
    return family(code, what, **parts)


def check(pid: int, *, options: Options | None = None) -> Admission:
    """Every refusal, every loss and everything that cannot be checked if the tree were dumped now; it is only looked at.

    Raises:  target_changed.died: there is no such process; kernel_lacks.permission: it may not be looked at
    """
    # only who checks pays for it
    from holdfast.engine import unseen
    from holdfast.engine.admit import admit
    from holdfast.engine.collect import running_tree

    options = options or Options()
    try:
        tree = running_tree(pid, options)
        try:
            unseen.waits(tree)
            return unseen.judged(admit(tree).admission, unseen.look(tree), options.strict)
        finally:
            tree.close()
    except PermissionError as cause:
        raise KernelLacks(
            "permission",
            f"this user may not look at pid {pid}",
            where=os.fsdecode(cause.filename or f"/proc/{pid}"),
            why="proc(5): what /proc shows of a process is guarded by a ptrace access mode check (ptrace(2))",
            do="run it as root, or start the program with holdfast run",
        ) from cause


class Planned(Record):
    """What a restore would do.

    Shape:   `taken` are the pids of the image that are in use at the moment
    """

    path: bytes
    pids: tuple[int, ...]
    taken: tuple[int, ...]
    rounds: int
    calls: int
    pages_bytes: int = field(unit="bytes")
    records: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()


def plan(image: Path, *, trust: bool = False) -> Planned:
    """What a restore would do, without doing it.

    Raises:  bad_image.*; refused.restore: this machine lacks what it needs, every reason at once
    """
    # only who plans pays for it
    from holdfast.engine.restore import prepare, readers
    from holdfast.image import read

    with read.open(image, readers(), trust=trust) as opened:
        ready = prepare(opened)
        pids = tuple(int(t) for p in ready.plan.draft.tree.values() for t in p.threads)
        return Planned(
            os.fsencode(image),
            pids,
            tuple(p for p in pids if os.path.exists(f"/proc/{p}")),
            len(ready.plan.rounds),
            ready.plan.calls,
            _memory(opened),
            tuple((kind, len(opened.records(kind))) for kind in opened.kinds()),
            tuple(opened.warnings),
        )


def _memory(image: Image) -> int:
    return sum(run.pages for owner in image.owners() for run in image.runs(owner)) * image.inventory.page_size


class Verified(Record):
    """An image that is whole: seal, schema and every digest fit, and this version understands it.

    Shape:   `unchecked` is what could not be checked, such as a parent image that is not here
    """

    path: bytes
    digest: bytes
    frames: int
    records: int
    pages_bytes: int
    warnings: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """UNKNOWN, LOSSY or OK."""
        return "UNKNOWN" if self.unchecked else "LOSSY" if self.warnings else "OK"


def verify(image: Path, *, trust: bool = False, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Check everything about an image that can be checked without restoring it: seal, digests of every page, schema, every record.

    Raises:  bad_image.*: what is wrong, and where
    """
    # only who verifies pays for it
    from holdfast.engine.restore import readers
    from holdfast.image import read

    # first its structure and its pages, so that damage is not taken for a newer version's doing
    with read.open(image, trust=trust) as opened:
        sizes = opened.pages_files()
        done, total = 0, sum(sizes.values())
        for n in sizes:
            done += opened.verify_pages(n)
            if progress is not None:
                progress(done, total)
    with read.open(image, readers(), trust=trust) as opened:
        unchecked = tuple(_parent(opened, os.fsencode(image), trust))
        return Verified(
            os.fsencode(image),
            opened.digest,
            len(opened.frames),
            sum(len(opened.records(kind)) for kind in opened.kinds()),
            total,
            tuple(opened.warnings),
            unchecked,
        )


# What cannot be said about the image that this one builds on.
def _parent(image: Image, path: bytes, trust: bool) -> Iterator[str]:
    from holdfast.image import read  # as in verify

    facts = image.inventory
    if facts.parent is None:
        return
    if facts.parent_name is None:
        yield f"its parent {facts.parent.hex()}: the image does not say where it is"
        return
    place = os.path.join(os.path.dirname(os.path.abspath(path)), facts.parent_name)
    if not os.path.isdir(place):
        yield f"its parent: there is no {os.fsdecode(place)}"
        return
    with read.open(place, trust=trust) as parent:
        image.check_parent(parent)
        yield f"the pages of its parent {os.fsdecode(place)}: verify it too"


def show(image: Path, *, trust: bool = False) -> Shown:
    """What an image holds: who was saved, which kinds, how much. It may be of a version that is not known here yet.

    Raises:  bad_image.*: it is damaged, or not an image
    """
    from holdfast.engine import survey  # only who shows pays for it

    return survey.show(os.fsencode(image), trust)


def records(image: Path, kind: str, *, trust: bool = False) -> list[tuple[ObjectId, dict[str, Any]]]:
    """Every record of one kind in an image as a plain map, with the object that it is about; an absent field has its default.

    Raises:  bad_image.*; usage.record: the image holds no such kind
    """
    from holdfast.engine import survey  # only who shows pays for it

    return survey.records(os.fsencode(image), kind, trust)
