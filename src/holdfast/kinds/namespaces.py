"""What the kinds of namespaces have in common: which tasks of a tree are in another one than a restore gives them.

A host tree is restored into the restorer's own namespaces, so it must be in the dumper's. A tree that `holdfast run` started
has its own user, pid and mount namespaces, made anew by the restore.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.evidence import ProcessEvidence, ThreadEvidence, TreeEvidence

OF_A_RUN = ("user", "pid", "mnt")
RUN = "start the program inside it with `holdfast run`, or dump it with a Holdfast that runs inside it"


def expected(tree: TreeEvidence, name: str) -> int:
    """The namespace that a restore gives the tree: the dumper's own, or that of the job's init; 0 where this kernel has none."""
    if tree.in_run and name.removesuffix("_for_children") in OF_A_RUN:
        return int(tree.host.readlink(f"{tree.init}/ns/{name}").rpartition(b"[")[2].rstrip(b"]"))
    return tasks.own_namespace(tree, name)


def strangers(tree: TreeEvidence, name: str, by_thread: bool = True) -> list[tuple[ProcessEvidence | ThreadEvidence, int]]:
    """The tasks that are elsewhere, and where they are.

    Shape:   `by_thread`: a single thread can be elsewhere, unshare(2)
    """
    wanted = expected(tree, name)
    out: list[tuple[ProcessEvidence | ThreadEvidence, int]] = []
    for process in tree.processes:
        if process.zombie:
            continue
        every: list[ProcessEvidence | ThreadEvidence] = [process]
        if by_thread:
            every += process.threads[1:]
        for task in every:
            here = task.namespace(name)
            if here != wanted:
                out.append((task, here))
    return out


def detect(tree: TreeEvidence, name: str, by_thread: bool = True) -> Claim | None:
    """A claim where a task is elsewhere."""
    return Claim(name) if strangers(tree, name, by_thread) else None


def refuse(tree: TreeEvidence, name: str, holds: str, man: str, by_thread: bool = True) -> Iterator[Refusal]:
    """One refusal for each namespace that the tree's tasks are in and a restore would not give them.

    Shape:   `holds`: what is lost with it; `man`: the page that says so
    """
    seen: dict[int, list[ProcessEvidence | ThreadEvidence]] = {}
    wanted = expected(tree, name)
    for task, here in strangers(tree, name, by_thread):
        seen.setdefault(here, []).append(task)
    for here, members in seen.items():
        first = members[0]
        others = f" and {len(members) - 1} more" if len(members) > 1 else ""
        yield Refusal(
            f"ns.{name}",
            f"{tasks.who(first)}{others} cannot be dumped: in another {name} namespace",
            tasks.where(first, f"ns/{name} -> {name}:[{here}]; a restore gives {name}:[{wanted}]"),
            f"{holds} would be another's; {man}",
            RUN,
        )
