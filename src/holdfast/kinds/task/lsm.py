"""task.lsm: the label that a security module gave a task.

Carries:  nothing is set: a restored task has the restorer's label, and the label in the image must equal it.
Loses:    nothing: a label that is not the dumper's own, and one set for the next execve, file, key or socket, are refused.
Sources:  proc_pid_attr(5), Linux Documentation/admin-guide/LSM/.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Refusal, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Probes, Steps, Verdict
    from holdfast.kinds.evidence import ProcessEvidence, Task, TreeEvidence

CURRENT = "attr/current"
FOR_LATER = ("attr/exec", "attr/fscreate", "attr/keycreate", "attr/sockcreate")


class Lsm(Record):
    """A process's label; one without a security module that labels has no record."""

    label: bytes


def _own(tree: TreeEvidence) -> bytes:
    try:
        return tree.host.read("self/" + CURRENT)
    except OSError:  # EINVAL: no security module gives labels
        return b""


def _text(ev: Task, file: str) -> bytes:
    try:
        return ev.read(file).strip(b"\0\n ")
    except OSError:
        return b""


def detect(ev: ProcessEvidence) -> Claim | None:
    return Claim() if not ev.zombie and _text(ev, CURRENT) else None


def refuse(ev: ProcessEvidence, kernel: Probes) -> Iterator[Verdict]:
    own = _own(ev.tree).strip(b"\0\n ")
    for thread in tasks.tasks(ev):
        label = _text(thread, CURRENT)
        if label != own:
            yield Refusal(
                "task.lsm_label",
                f"{tasks.who(thread)} cannot be dumped: its security label is {_show(label)}, ours is {_show(own)}",
                tasks.where(thread, CURRENT),
                "restored, it would have the restorer's label; proc_pid_attr(5)",
                "dump and restore under its label",
            )
        for file in FOR_LATER:
            if _text(thread, file):
                yield Refusal(
                    "task.lsm_attribute",
                    f"{tasks.who(thread)} cannot be dumped: it has set a security label for later",
                    tasks.where(thread, file),
                    "proc_pid_attr(5)",
                    "let it clear the attribute",
                )


def _show(label: bytes) -> str:
    return label.decode("utf-8", "backslashreplace") or "none"


def dump(ev: ProcessEvidence) -> Lsm:
    return Lsm(_text(ev, CURRENT))


def restore(rec: Lsm, steps: Steps) -> None:
    """Nothing to emit: what the restored task has is compared."""


KIND = Kind("task.lsm", record=Lsm, subject="process", verbs=verbs(__name__))
