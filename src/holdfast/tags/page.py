"""docs/tags.md, written from the rows: every row of every area, so that a reader need not run anything."""

from __future__ import annotations

from holdfast.tags import scopes, table
from holdfast.tags.row import ENGINES, FIXED, READ_AT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.tags.row import On, Tag

_HEAD = """\
# Tags

What is known to be safe, partial, unsafe or untested for checkpoint/restart, per engine. This page is written by `make docs` from
`src/holdfast/tags/facts/`; edit the rows, not the page.

| command | answers |
|---|---|
| `holdfast tags` | this machine: config, boot parameters, sysctls |
| `holdfast tags PATH` | a .config, /boot/config-*, config.gz, kernel .deb, `-` for stdin, `debian:6.12` |
| `holdfast tags --pid PID` | what one process uses now |
| `holdfast tags show IO_URING` | every row about a name |
| `holdfast tags add FINDING` | a finding of the hunter becomes a discovered tag |
| `holdfast tags export --format kconfig\\|fragment` | the rows for a kernel tree |

Verdicts are about a process that *uses* what a row names. `safe`: everything it adds is carried, or it adds nothing a process can hold.
`partial`: the usual use is carried; the effect says what happens to the rest. `unsafe`: whoever uses it cannot be checkpointed, or is
restored wrong. `untested`: nobody has looked. Effects: `refused` by name before anything is touched, `failed` loudly, `lost` without a
word, `told` (lost too, but listed under the kind's Loses and by `holdfast check`), `unseen` (no interface or no kind looks at it, so it
is refused only where the kernel-state reader may run), `missing` (the engine needs it and it is off). What no row names is UNKNOWN, and
UNKNOWN is never OK.

An option's own row wins over the row of its space; among spaces the longest path wins. Discovered tags come on top of both and never make
anything safer. Rows about criu were read against version {criu} where they do not say another.
"""


def render() -> str:
    """The page."""
    areas = table.known()
    count = sum(map(len, areas.values()))
    with open(scopes.SHIPPED, encoding="ascii") as file:
        trees = ", ".join(scopes.sources(file.read()))
    lines = [_HEAD.format(criu=READ_AT["criu"])]
    lines.append(f"{count} rows cover {len(scopes.shipped())} options of {trees}.\n")
    for area, rows in areas.items():
        lines.append(f"## {area}\n")
        for row in rows:
            lines += [*lines_of(row), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def lines_of(row: Tag) -> list[str]:
    """One row as Markdown lines."""
    lines = [f"### {row.name}\n", f"{_sentence(row.why)}\n", f"- names: {' '.join(f'`{n}`' for n in row.scope)}"]
    if row.roots and row.roots != (FIXED,):
        lines.append(f"- switched off by: {' '.join(f'`{n}`' for n in row.roots)}")
    lines += [f"- {engine}: {_verdicts(row.of(engine))}" for engine in ENGINES]
    lines.append(f"- source: {_plain(row.source)}")
    lines.append(f"- proof: {_plain(row.proof)}")
    if row.do:
        lines.append(f"- do: {_plain(row.do)}")
    return lines


def _verdicts(verdicts: Sequence[On]) -> str:
    return "; ".join(_verdict(on) for on in verdicts)


def _verdict(on: On) -> str:
    conditions = [
        c for c in (on.when if on.when != "set" else "", on.kernel and f"Linux {on.kernel}", on.version and f"version {on.version}") if c
    ]
    text = f"**{on.verdict}**" + (f" ({on.effect})" if on.effect not in {"none", "unknown"} else "")
    text += f" when {', '.join(conditions)}" if conditions else ""
    return text + (f": {_plain(on.why)}" if on.why else "")


def _sentence(text: str) -> str:
    return _plain(text[:1].upper() + text[1:]) + "."


# Kernel names hold what Markdown takes for markup.
def _plain(text: str) -> str:
    return text.replace("_", "\\_").replace("*", "\\*").replace("<", "&lt;").replace("|", "\\|")
