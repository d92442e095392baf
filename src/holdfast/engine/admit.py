"""Evidence to admission: which kind claims each object, every refusal at once, every loss; nothing is touched."""

from __future__ import annotations

from holdfast.kinds import registry
from holdfast.kinds.contract import Link
from holdfast.model.census import Admission, Census, Found, Loss, Refusal, Unchecked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from holdfast.errors import Refused
    from holdfast.kinds.contract import Kind
    from holdfast.kinds.evidence import ProcessEvidence, TreeEvidence
    from holdfast.model.ids import ObjectId

CORE_FDINFO = frozenset(("pos", "flags", "mnt_id", "ino"))
# What refuses a task that must not make a system call for us either: a filter may end it, a handler of its own would see the call, and we
# have no code for its mode.
CLOSED = frozenset(("task.seccomp", "task.syscall_dispatch", "task.cpu.mode", "task.shadow_stack"))


class Admitted:
    """The admission, and for each object the kinds that will carry it."""

    __slots__ = ("admission", "carriers", "closed", "refused")

    def __init__(
        self, admission: Admission, carriers: list[tuple[Kind, Any]], refused: set[tuple[str, ObjectId]], closed: set[ObjectId]
    ) -> None:
        self.admission, self.carriers = admission, carriers
        self.refused = refused  # kind and object
        self.closed = closed  # processes that cannot be asked

    def answerable(self) -> tuple[list[ProcessEvidence], list[tuple[Kind, Any]]]:
        """Of a tree that is refused already: the processes that can still be asked what only they know, and the kinds that ask them."""
        carriers = [
            (kind, ev)
            for kind, ev in self.carriers
            if kind.subject in ("process", "thread")
            and (kind.name, ev.id) not in self.refused
            and (process := ev if kind.subject == "process" else ev.process).id not in self.closed
            and not process.zombie
        ]
        processes = {(p := ev if kind.subject == "process" else ev.process).id: p for kind, ev in carriers}
        return list(processes.values()), carriers


def admit(tree: TreeEvidence) -> Admitted:
    """Ask every kind about every object.

    Shape:   one carrier for each (kind, object), objects in tree order
    """
    found: list[Found] = []
    verdicts: list[Any] = []
    carriers: list[tuple[Kind, Any]] = []
    refused: set[tuple[str, ObjectId]] = set()
    closed: set[ObjectId] = set()
    understood: dict[tuple[str, ...], frozenset[str]] = {}  # the fdinfo keys that kinds know together
    kinds = registry.kinds_for(f.link for f in tree.files).values()
    by_subject = {s: [k for k in kinds if k.subject == s] for s in ("tree", "process", "thread", "vma", "file", "inode")}
    for_link = _ByLink(by_subject["file"])

    def judge(subject: str, ev: Any) -> None:
        claimed: list[tuple[Kind, str]] = []
        facets: list[Kind] = []
        for kind, detect in for_link.of(ev.link) if subject == "file" else _detecting(by_subject[subject]):
            claim = detect(ev)
            if claim is None:
                continue
            if kind.claims:
                claimed.append((kind, claim.what))
            else:
                facets.append(kind)
        mine = [k for k, _ in claimed] + facets
        if subject in ("vma", "file", "inode"):
            if len(claimed) != 1:
                verdicts.append(_unclaimed(subject, ev, [k.name for k, _ in claimed]))
            if subject == "file":
                together = tuple(k.name for k in mine)
                keys = understood.get(together)
                if keys is None:
                    keys = understood[together] = CORE_FDINFO.union(*(k.fdinfo_keys for k in mine))
                verdicts.extend(_strange_fdinfo(ev, keys))
            if claimed:
                found.append(Found(ev.id, claimed[0][0].name, claimed[0][1], tuple(k.name for k in facets)))
        for kind in mine:
            refuse = kind.verbs.get("refuse")
            for v in () if refuse is None else refuse(ev, _ask):
                verdicts.append(_named(v, kind.name))
                if isinstance(v, Refusal):
                    refused.add((kind.name, ev.id))
                    if v.code in CLOSED:
                        closed.add(ev.process.id if subject == "thread" else ev.id)
            if "dump" in kind.verbs:
                carriers.append((kind, ev))

    judge("tree", tree)
    for process in tree.processes:
        judge("process", process)
        if process.zombie:
            continue
        for thread in process.threads:
            judge("thread", thread)
        for vma in process.vmas:
            judge("vma", vma)
    for inode in tree.inodes:
        judge("inode", inode)
    for file in tree.files:
        judge("file", file)
    admission = Admission(
        Census(tuple(found)),
        tuple(v for v in verdicts if isinstance(v, Refusal)),
        tuple(v for v in verdicts if isinstance(v, Loss)),
        tuple(v for v in verdicts if isinstance(v, Unchecked)),
    )
    return Admitted(admission, carriers, refused, closed)


def told(kind: str, said: Refused) -> tuple[Refusal, ...]:
    """What a dump verb raised, as refusals of its kind."""
    if said.refusals:
        return tuple(_named(r, kind) for r in said.refusals)
    return (Refusal(said.code.partition(".")[2], said.what, said.where, said.why, said.do, kind),)


def _detecting(kinds: Iterable[Kind]) -> list[tuple[Kind, Any]]:
    return [(k, k.verbs["detect"]) for k in kinds if "detect" in k.verbs]


class _ByLink:
    # which kinds of files may have something to say about a link: a kind with Link watches claims no other (kinds/registry.py)
    def __init__(self, kinds: list[Kind]) -> None:
        self._kinds = [(k, tuple(w.prefix.encode() for w in k.watches if type(w) is Link) if k.claims else ()) for k in kinds]
        self._prefixes = tuple({p for _, prefixes in self._kinds for p in prefixes})
        self._known: dict[tuple[bytes, ...], list[tuple[Kind, Any]]] = {}

    def of(self, link: bytes) -> list[tuple[Kind, Any]]:
        fits = tuple([p for p in self._prefixes if link.startswith(p)])
        found = self._known.get(fits)
        if found is None:
            found = self._known[fits] = _detecting(k for k, prefixes in self._kinds if not prefixes or not set(prefixes).isdisjoint(fits))
        return found


def _ask(name: str) -> Any:
    from holdfast.kernel import probe  # most targets need none of its answers

    return probe.ask(name)


def _named(verdict: Any, kind: str) -> Any:
    return verdict if verdict.kind else verdict.replace(kind=kind)


def _unclaimed(subject: str, ev: Any, claims: list[str]) -> Refusal:
    process = ev.process if subject != "inode" else (ev.files or ev.vmas)[0].process
    who = f"pid {int(process.pid)} ({process.stat.comm.decode('utf-8', 'backslashreplace')})"
    if subject == "vma":
        what = f"{who} memory {ev.vma.start:#x}-{ev.vma.end:#x} {ev.vma.name.decode('utf-8', 'backslashreplace')}"
        where = f"/proc/{int(process.pid)}/maps"
    elif subject == "file":
        what, where = f"{who} fd {int(ev.fd)} ({ev.link.decode('utf-8', 'backslashreplace')})", ev.where
    else:
        what, where = f"{who} nameless file {ev.link.decode('utf-8', 'backslashreplace')}", f"inode {ev.ino}"
    if claims:
        return Refusal(
            f"{subject}.ambiguous",
            f"{what} is claimed by {' and '.join(claims)}",
            where,
            "exactly one kind must claim each object",
            "report it",
        )
    return Refusal(
        f"{subject}.unclaimed",
        f"{what} cannot be dumped: no kind carries it",
        where,
        "what no kind claims is refused (docs/kinds.md lists what is carried)",
        "close or unmap it and retry",
    )


def _strange_fdinfo(ev: Any, known: frozenset[str]) -> list[Refusal]:
    found: list[str] = ev.info.keys()
    return [
        Refusal(
            "file.fdinfo_key",
            f"pid {int(ev.process.pid)} fd {int(ev.fd)} has state that nobody carries: fdinfo key `{key}`",
            ev.where,
            "a key that no kind of this file watches may be state that a restore would lose",
            "close the descriptor, or teach the kind",
        )
        for key in found
        if key not in known
    ]
