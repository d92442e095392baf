"""Which of some values a kernel tells apart, found by asking a fresh subject: what maps to one state is tried once."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.hunt.interfaces.harvest import Ask
    from holdfast.prog.text import Line


def distinct(ask: Ask, setters: Mapping[str, Line], getters: Sequence[Line]) -> dict[str, str]:
    """The names of the setters worth a recipe, each with the one to make before it: a state that is there already shows only then.

    Shape:   all, with none before, where the getters see no setter; setters that fail stay, for what a kernel lacks is told too
    """
    told: dict[tuple[bytes | int | None, ...], list[str]] = {}
    for name, line in setters.items():
        told.setdefault(tuple(ask((line,), one) for one in getters), []).append(name)
    fresh = tuple(ask((), one) for one in getters)
    lacking = (None,) * len(getters)
    others = [names[0] for seen, names in told.items() if seen not in (fresh, lacking)]
    if not others:
        return dict.fromkeys(setters, "")
    out: dict[str, str] = {}
    for seen, names in told.items():
        out |= dict.fromkeys(names if seen == lacking else names[:1], others[-1] if seen == fresh else "")
    return out
