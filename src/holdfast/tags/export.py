"""Tags written back for kernel people: a Kconfig file that a tree can source, and a .config fragment that merge_config takes.

Both say the same: every option that is unsafe for the engine off, every option that the engine needs on. An unsafe space is switched
off by its roots. What a config cannot switch off (an option without a prompt, or one that others select) the kernel's own conf decides;
`misses` names it afterwards.
"""

from __future__ import annotations

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.kernel.kconfig import Config
    from holdfast.tags.row import On, Tag
    from holdfast.tags.table import Table
    from holdfast.tags.tree import Tree

_WIDTH = 110


class Wish(Record):
    """One option and what it should be."""

    name: str
    on: bool
    tag: str
    why: str
    do: str
    source: str


def wishes(table: Table, engine: str, effects: Iterable[str] = (), tree: Tree | None = None) -> list[Wish]:
    """What an engine wants of a config, needs first, each option once.

    Shape:   `effects` narrows what counts as unsafe (refused, failed, lost, unseen); empty: all of them. With a tree, options that it does
             not have are left out
    """
    wanted = set(effects)
    out: dict[str, Wish] = {}
    for row in table.rows:
        for on in row.of(engine):
            if on.when == "unset" and on.effect == "missing" and on.verdict == "unsafe":
                for name in row.scope:
                    out.setdefault(name, _wish(name, True, row, on))
    for row in table.rows:
        on_now = [o for o in row.of(engine) if o.when == "set"]
        unsafe = [o for o in on_now if o.verdict == "unsafe" and (not wanted or o.effect in wanted)]
        if not unsafe or row.kind not in {"kconfig", "space"}:
            continue
        # a verdict that holds for some kernels only is left to the judge
        if any(o.kernel or o.version for o in unsafe):
            continue
        for name in row.roots if row.kind == "space" else row.scope:
            out.setdefault(name, _wish(name, False, row, unsafe[0]))
    found = list(out.values())
    return found if tree is None else [w for w in found if w.name in tree.options]


def _wish(name: str, on: bool, row: Tag, verdict: On) -> Wish:
    return Wish(name, on, row.name, verdict.why or row.why, row.do, row.source)


def kconfig(found: Sequence[Wish], engine: str) -> str:
    """A Kconfig file with one symbol that can be y only where nothing unsafe is on and everything needed is.

    Source:  Linux Documentation/kbuild/kconfig-language.rst
    """
    symbol = "CHECKPOINT_SAFE" if engine == "native" else f"CHECKPOINT_SAFE_{engine.upper()}"
    lines = [
        "# SPDX-License-Identifier: GPL-2.0-only",
        f"# Written by `holdfast tags export --format kconfig --engine {engine}`; source it from any Kconfig file.",
        "",
        f"config {symbol}",
        f'\tbool "Only what checkpoint/restart ({engine}) is known to carry"',
    ]
    for wish in found:
        lines += _comment(f"{wish.tag}: {wish.why} ({wish.source})", "\t# ")
        lines.append(f"\tdepends on {'' if wish.on else '!'}{wish.name}")
    lines += [
        "\thelp",
        "\t  Say Y to have a kernel in which no option is set that checkpoint/restart",
        f"\t  by the engine {engine} is known or discovered not to carry, and in which",
        "\t  everything is set that the engine needs. This option changes nothing",
        "\t  by itself: it cannot be set while one of its dependencies fails.",
        "",
        "\t  If unsure, say N.",
    ]
    return "\n".join(lines) + "\n"


def fragment(found: Sequence[Wish], engine: str) -> str:
    """A .config fragment for scripts/kconfig/merge_config.sh.

    Source:  Linux scripts/kconfig/merge_config.sh
    """
    lines = [f"# Written by `holdfast tags export --format fragment --engine {engine}`; merge it with scripts/kconfig/merge_config.sh."]
    last = ""
    for wish in found:
        if wish.tag != last:
            lines += ["", *_comment(f"{wish.tag}: {wish.why}", "# ")]
            last = wish.tag
        lines.append(f"CONFIG_{wish.name}=y" if wish.on else f"# CONFIG_{wish.name} is not set")
    return "\n".join(lines) + "\n"


# A comment must not look like an option to those who read with a pattern.
def _comment(text: str, mark: str) -> list[str]:
    lines, line = [], ""
    for word in text.replace("CONFIG_", "CONFIG-").split():
        if line and len(line) + len(word) + 1 > _WIDTH:
            lines.append(mark + line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, mark + line]


def misses(found: Sequence[Wish], config: Config) -> list[Wish]:
    """The wishes that a config does not grant.

    Shape:   y and m both count as on where an option may be a module
    """
    return [w for w in found if (config.state(w.name) in {"y", "m"}) is not w.on]


def holders(name: str, config: Config, options: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """The options of a config that select this one, and so keep it on.

    Shape:   `options` maps an option to what it selects, as tree.Option.selects
    """
    return sorted(n for n, selects in options.items() if config.state(n) in {"y", "m"} and any(target == name for target, _ in selects))
