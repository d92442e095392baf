"""Every kind there is, found by walking the folders; a file that fails to import is fatal: a lost kind is a lost refusal."""

from __future__ import annotations

import os
import sys

from holdfast.errors import InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.kinds.contract import Kind

ROOMS = ("fd", "ipc", "mm", "ns", "sock", "task")

_kinds: dict[str, Kind] = {}
_loaded: dict[str, Kind] = {}  # module to kind
_deferred: dict[str, tuple[str, ...]] = {}  # module to the prefixes of its Link watches
_bring: list[Callable[[list[str]], None]] = []


def modules() -> list[str]:
    """The module names of all kind files, sorted."""
    here = os.path.dirname(__file__)
    out = []
    for room in ROOMS:
        folder = os.path.join(here, room)
        if os.path.isdir(folder):
            out += [f"holdfast.kinds.{room}.{n[:-3]}" for n in os.listdir(folder) if n.endswith(".py") and n != "__init__.py"]
    return sorted(out)


def defer(waiting: dict[str, tuple[str, ...]], bring: Callable[[list[str]], None]) -> None:
    """Leave these modules aside until there is a file whose link begins with one of their prefixes, or until every kind is asked for.

    Shape:   `bring` puts modules into sys.modules
    """
    _deferred.update(waiting)
    _bring[:] = [bring]


def kinds() -> dict[str, Kind]:
    """Every kind by name, sorted by name; imported once.

    Raises:  internal.kind: a kind file cannot be imported, has no KIND, or takes another's name
    """
    if _deferred:
        _undefer(list(_deferred))
    return _load()


def kinds_for(links: Iterable[bytes]) -> dict[str, Kind]:
    """Every kind but those that can have nothing to say about files with these links: a kind of files with Link watches claims no other.

    Raises:  internal.kind: as for kinds
    """
    if _deferred:
        heads = set(links)
        _undefer([m for m, prefixes in _deferred.items() if any(h.startswith(p.encode()) for h in heads for p in prefixes)])
    return _load()


def _undefer(names: list[str]) -> None:
    for bring in _bring:
        bring([n for n in names if n not in sys.modules])
    for name in names:
        del _deferred[name]
    _kinds.clear()


def _load() -> dict[str, Kind]:
    if not _kinds:
        found: dict[str, Kind] = {}
        for name in modules():
            if name in _deferred:
                continue
            kind = _loaded.get(name)
            if kind is None:
                try:
                    __import__(name)  # importlib itself would be half a millisecond
                    kind = _loaded[name] = sys.modules[name].KIND
                except Exception as e:
                    raise InternalError(
                        "kind", f"{name} cannot be loaded: {e!r}", do="a lost kind would be a lost refusal: mend the file"
                    ) from e
            if kind.name in found:
                raise InternalError("kind", f"{name} takes the name {kind.name}, which another kind has")
            found[kind.name] = kind
        _kinds.update(sorted(found.items()))
    return _kinds
