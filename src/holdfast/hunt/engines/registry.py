"""Engines by the text that names them: `native`, `criu:PATH`; a new one is one file here and one row."""

from __future__ import annotations

from holdfast.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.hunt.engines.contract import Engine


def _native(rest: str) -> Engine:
    from holdfast.hunt.engines.native import Native  # who hunts in CRIU does not need it

    if rest:
        raise UsageError("engine", f"the engine native takes nothing behind its name, not {rest!r}")
    return Native()


def _criu(rest: str) -> Engine:
    from holdfast.hunt.engines.criu import Criu  # who hunts in the native engine does not need it

    path, *options = rest.split()
    return Criu(path, tuple(options))


def _planted(rest: str) -> Engine:
    from holdfast.hunt.engines.planted import Planted  # for tests of the hunt itself

    return Planted(rest)


ENGINES: dict[str, Callable[[str], Engine]] = {"native": _native, "criu": _criu, "planted": _planted}


def engine_of(text: str) -> Engine:
    """The engine that a text names: its word, and behind a colon what it needs (a path, options).

    Raises:  usage.engine: there is no such engine, or it does not run here
    """
    word, _, rest = text.partition(":")
    if word not in ENGINES or (word == "criu" and not rest.strip()):
        raise UsageError(
            "engine", f"there is no engine {text!r}", why=f"engines are {', '.join(sorted(ENGINES))}", do="give native or criu:PATH"
        )
    return ENGINES[word](rest)
