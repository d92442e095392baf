"""ns.mnt: the mount namespace of the tree's tasks: which file systems are where.

Carries:  nothing: a restored tree sees the restorer's mounts. A job of `holdfast run` has a namespace of its own, which a restore
          makes anew out of the restorer's mounts and a /proc.
Loses:    nothing: a task in another one, and a job that mounted or unmounted something, are refused.
Sources:  namespaces(7), mount_namespaces(7), proc_pid_mountinfo(5).
"""

from __future__ import annotations

from holdfast.kernel.procfs.mountinfo import parse_mountinfo
from holdfast.kinds import namespaces
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Verdict
    from holdfast.kinds.evidence import TreeEvidence

NAME = "mnt"
PROC = b"/proc"


class MntNamespace(Record):
    """Nothing: the namespace is the restorer's."""


def _mounts(tree: TreeEvidence, of: str) -> frozenset[tuple[bytes, int, int, bytes]]:
    found = parse_mountinfo(tree.host.read(f"{of}/mountinfo"))
    return frozenset((m.point, m.major, m.minor, m.root) for m in found if m.point != PROC and not m.point.startswith(PROC + b"/"))


def _changed(tree: TreeEvidence) -> tuple[list[bytes], list[bytes]]:
    # what the job mounted, and what it unmounted
    if not tree.in_run:
        return [], []
    ours, theirs = _mounts(tree, "self"), _mounts(tree, str(tree.init))
    return sorted(m[0] for m in theirs - ours), sorted(m[0] for m in ours - theirs)


def detect(ev: TreeEvidence) -> Claim | None:
    # a process with threads cannot leave it, unless one stopped sharing its working directory, which task.sharing refuses
    return namespaces.detect(ev, NAME, by_thread=False) or (Claim(NAME) if any(_changed(ev)) else None)


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    yield from namespaces.refuse(ev, NAME, "the files at its paths", "mount_namespaces(7)", by_thread=False)
    for points, verb in zip(_changed(ev), ("mounted", "unmounted"), strict=True):
        for point in points:
            path = point.decode("utf-8", "backslashreplace")
            yield Refusal(
                "ns.mounts",
                f"the job cannot be dumped: since it was started, {path} was {verb}",
                f"/proc/{ev.init}/mountinfo",
                "a restore makes the job's mounts out of the restorer's; mount_namespaces(7)",
                f"undo it, or {'mount it outside before the dump' if verb == 'mounted' else 'unmount it outside too'}",
            )


KIND = Kind(
    "ns.mnt",
    record=MntNamespace,
    subject="tree",
    watches=(Struct("nsproxy"), Struct("mnt_namespace"), Struct("mount")),
    verbs=verbs(__name__),
)
