"""What the kinds of processes and threads have in common: words for messages, refusals, our own namespaces.

Kinds may not import each other; what several need beside the contract stands here.
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.errors import Refused
from holdfast.kinds.evidence import ThreadEvidence
from holdfast.model.census import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.kinds.evidence import ProcessEvidence, TreeEvidence

INT = Format("<i")
WORD = Format("<Q")


def who(ev: ProcessEvidence | ThreadEvidence) -> str:
    """A process or thread for a message."""
    comm = ev.stat.comm.decode("utf-8", "backslashreplace")
    if isinstance(ev, ThreadEvidence) and int(ev.tid) != int(ev.process.pid):
        return f"thread {int(ev.tid)} ({comm}) of pid {int(ev.process.pid)}"
    return f"pid {int(ev.process.pid if isinstance(ev, ThreadEvidence) else ev.pid)} ({comm})"


def where(ev: ProcessEvidence | ThreadEvidence, file: str) -> str:
    """A file of the task's /proc folder for a message."""
    if isinstance(ev, ThreadEvidence):
        return f"/proc/{int(ev.process.pid)}/task/{int(ev.tid)}/{file}"
    return f"/proc/{int(ev.pid)}/{file}"


def tasks(ev: ProcessEvidence) -> Sequence[ProcessEvidence | ThreadEvidence]:
    """The threads of a process; the process itself where they were not looked at."""
    return ev.threads or (ev,)


def tid(ev: ProcessEvidence | ThreadEvidence) -> int:
    """The id of a task as we see it."""
    return int(ev.tid if isinstance(ev, ThreadEvidence) else ev.pid)


def refused(code: str, ev: ProcessEvidence | ThreadEvidence, has: str, *, why: str, do: str, at: str = "") -> Refused:
    """The refusal of a dump because of what only the task itself could tell."""
    return Refused(code, f"{who(ev)} cannot be dumped: {has}", where=at or where(ev, ""), why=why, do=do)


def together(ev: ProcessEvidence | ThreadEvidence, found: Sequence[Refused]) -> Refused:
    """Several refusals of one object as one error."""
    if len(found) == 1:
        return found[0]
    each = [Refusal(f.code.partition(".")[2], f.what, f.where, f.why, f.do) for f in found]
    return Refused("dump", f"{who(ev)} cannot be dumped: {len(found)} reasons", refusals=each)


def number(data: bytes) -> int:
    """An int that the kernel wrote into a buffer."""
    value: int = INT.unpack_from(data)[0]
    return value


_own: tuple[TreeEvidence | None, dict[str, int]] = (None, {})
NO_LOGIN = 2**32 - 1  # include/linux/audit.h AUDIT_SID_UNSET


def _ours(tree: TreeEvidence) -> dict[str, int]:
    # what is known of the dumper itself, for one tree
    global _own
    if _own[0] is not tree:
        _own = (tree, {})
    return _own[1]


def own_namespace(tree: TreeEvidence, name: str) -> int:
    """The inode number of one of the dumper's own namespaces, 0 where this kernel has no such namespace."""
    ours = _ours(tree)
    found = ours.get(name)
    if found is None:
        try:
            found = int(tree.host.readlink(f"self/ns/{name}").rpartition(b"[")[2].rstrip(b"]"))
        except FileNotFoundError:
            found = 0
        ours[name] = found
    return found


def own_login(tree: TreeEvidence) -> int:
    """The dumper's own audit session, NO_LOGIN where it has none or this kernel keeps none."""
    ours = _ours(tree)
    if "login" not in ours:
        try:
            ours["login"] = int(tree.host.read("self/sessionid"))
        except FileNotFoundError:
            ours["login"] = NO_LOGIN
    return ours["login"]
