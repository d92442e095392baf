"""Tags written back for kernel people: a Kconfig file that a tree can source, and a .config fragment that merge_config takes.

Both say the same: every option that is unsafe for the engine off, every option that the engine needs on. An unsafe space is switched
off by its roots. An option that others select stays on whatever a fragment says, so with a tree and a config `closed` adds those others,
and names what nothing switches off. The kernel's own conf has the last word; `misses` says what it did not grant.
"""

from __future__ import annotations

from holdfast.model.record import Record
from holdfast.tags.row import FIXED

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
        if row.roots == (FIXED,):
            continue
        for name in row.roots if row.kind == "space" else row.scope:
            out.setdefault(name, _wish(name, False, row, unsafe[0]))
    found = list(out.values())
    return found if tree is None else [w for w in found if w.name in tree.options and tree.options[w.name].type in {"bool", "tristate"}]


def _wish(name: str, on: bool, row: Tag, verdict: On) -> Wish:
    return Wish(name, on, row.name, verdict.why or row.why, row.do, row.source)


def closed(found: Sequence[Wish], tree: Tree, config: Config) -> tuple[list[Wish], dict[str, str]]:
    """The wishes that this config can grant, with what selects an option that shall be off; and what nothing switches off, with its holder.

    Shape:   holders that the config has off are left alone; an option without a prompt is switched off by its own holders
    """
    selectors: dict[str, list[str]] = {}
    for option in tree.options.values():
        for target, _ in option.selects:
            selectors.setdefault(target, []).append(option.name)
    closure = _Closure({w.name: w for w in found}, selectors, tree, config)
    fixed: dict[str, str] = {}
    for wish in [w for w in found if not w.on]:
        holder = closure.hold(wish, wish.name, set())
        if holder:
            fixed[wish.name] = holder
    return [w for w in closure.wanted.values() if w.name not in fixed], fixed


# Follows who selects what, upwards, until a prompt that a fragment can answer.
class _Closure:
    def __init__(self, wanted: dict[str, Wish], selectors: Mapping[str, Sequence[str]], tree: Tree, config: Config) -> None:
        self.wanted, self.selectors, self.tree, self.config = wanted, selectors, tree, config
        self.needed = {w.name for w in wanted.values() if w.on}

    def is_on(self, name: str) -> bool:
        return self.config.state(name) in {"y", "m"}

    # A prompt behind a condition that is off is none.
    def has_switch(self, name: str) -> bool:
        option = self.tree.options[name]
        return bool(option.prompt) and (option.prompt_if not in self.tree.options or self.is_on(option.prompt_if))

    # An option goes with what it depends on, if that is wished off too.
    def falls(self, name: str) -> bool:
        terms = {term.strip(" ()") for text in self.tree.options[name].depends for term in text.split("&&")}
        return any(term in self.wanted and not self.wanted[term].on for term in terms)

    # Adds a wish for each holder of `name` that can be switched off; the name of the first that cannot, or nothing.
    def hold(self, wish: Wish, name: str, seen: set[str]) -> str:
        if name in seen:
            return ""
        seen.add(name)
        on = [h for h in self.selectors.get(name, ()) if self.is_on(h)]
        if not on and self.is_on(name) and not self.has_switch(name) and not self.falls(name):
            return name if name != wish.name else "its own default"
        for holder in on:
            if holder in self.needed:
                return holder
            if self.has_switch(holder):
                self.wanted.setdefault(holder, Wish(holder, False, wish.tag, f"selects {name}", wish.do, wish.source))
            stuck = self.hold(wish, holder, seen)
            if stuck:
                return stuck
        return ""


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


def fragment(found: Sequence[Wish], engine: str, fixed: Mapping[str, str] | None = None) -> str:
    """A .config fragment for scripts/kconfig/merge_config.sh, with what nothing switches off as comments at its end.

    Source:  Linux scripts/kconfig/merge_config.sh
    """
    lines = [f"# Written by `holdfast tags export --format fragment --engine {engine}`; merge it with scripts/kconfig/merge_config.sh."]
    last = ""
    for wish in found:
        if wish.tag != last:
            lines += ["", *_comment(f"{wish.tag}: {wish.why}", "# ")]
            last = wish.tag
        lines.append(f"CONFIG_{wish.name}=y" if wish.on else f"# CONFIG_{wish.name} is not set")
    if fixed:
        lines += ["", "# Unsafe, and no switch was found for it here:"]
        lines += [f"#   {name}, held by {holder}" for name, holder in sorted(fixed.items())]
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
