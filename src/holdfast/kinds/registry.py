"""Every kind there is, found by walking the folders; a file that fails to import is fatal: a lost kind is a lost refusal."""

from __future__ import annotations

import os
import sys

from holdfast.errors import InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kinds.contract import Kind

ROOMS = ("fd", "ipc", "mm", "ns", "sock", "task")

_kinds: dict[str, Kind] = {}


def modules() -> list[str]:
    """The module names of all kind files, sorted."""
    here = os.path.dirname(__file__)
    out = []
    for room in ROOMS:
        folder = os.path.join(here, room)
        if os.path.isdir(folder):
            out += [f"holdfast.kinds.{room}.{n[:-3]}" for n in os.listdir(folder) if n.endswith(".py") and n != "__init__.py"]
    return sorted(out)


def kinds() -> dict[str, Kind]:
    """Every kind by name, sorted by name; imported once.

    Raises:  internal.kind: a kind file cannot be imported, has no KIND, or takes another's name
    """
    if not _kinds:
        found: dict[str, Kind] = {}
        for name in modules():
            try:
                __import__(name)  # importlib itself would be half a millisecond
                kind: Kind = sys.modules[name].KIND
            except Exception as e:
                raise InternalError(
                    "kind", f"{name} cannot be loaded: {e!r}", do="a lost kind would be a lost refusal: mend the file"
                ) from e
            if kind.name in found:
                raise InternalError("kind", f"{name} takes the name {kind.name}, which another kind has")
            found[kind.name] = kind
        _kinds.update(sorted(found.items()))
    return _kinds


def of_subject(subject: str) -> tuple[Kind, ...]:
    """The kinds about one sort of subject, sorted by name."""
    return tuple(k for k in kinds().values() if k.subject == subject)
