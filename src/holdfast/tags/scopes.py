"""Where each option is declared: a snapshot of symbol to Kconfig file, so that a bare .config can be judged without a tree."""

from __future__ import annotations

import os

from holdfast.errors import InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.tags.tree import Tree

SHIPPED = os.path.join(os.path.dirname(__file__), "scopes.txt")
_MAGIC = "# holdfast scopes 1"


def write(trees: Iterable[tuple[str, Tree]]) -> str:
    """The snapshot text of some trees, the oldest first; where a symbol moved, the newest tree counts.

    Shape:   a magic line, the trees' names, then one line per file: path, colon, names; several paths are joined by |
    """
    paths: dict[str, str] = {}
    names = []
    for name, tree in trees:
        names.append(name)
        for option in tree.options.values():
            paths[option.name] = "|".join(option.files)
    groups: dict[str, list[str]] = {}
    for symbol, path in paths.items():
        groups.setdefault(path, []).append(symbol)
    lines = [_MAGIC, f"# from {' '.join(names)}"]
    lines += [f"{path}: {' '.join(sorted(groups[path]))}" for path in sorted(groups)]
    return "\n".join(lines) + "\n"


def read(text: str, where: str = "scopes") -> dict[str, str]:
    """Symbol to the files that declare it, joined by |.

    Raises:  internal.scopes.damaged: the text is not a snapshot
    """
    head, _, body = text.partition("\n")
    if head != _MAGIC:
        raise InternalError("scopes.damaged", "the snapshot of Kconfig scopes is damaged", where=where, do="install Holdfast again")
    out: dict[str, str] = {}
    for line in body.splitlines():
        path, colon, names = line.partition(": ")
        if colon:
            out.update(dict.fromkeys(names.split(" "), path))
    return out


def shipped() -> dict[str, str]:
    """The snapshot that comes with Holdfast."""
    with open(SHIPPED, encoding="ascii") as file:
        return read(file.read(), SHIPPED)


def sources(text: str) -> tuple[str, ...]:
    """The trees that a snapshot was made from."""
    for line in text.splitlines()[:3]:
        if line.startswith("# from "):
            return tuple(line[7:].split())
    return ()


def name_of(root: str) -> str:
    """linux-6.12.117: what a tree's Makefile calls its version, or the folder's name.

    Source:  Linux Makefile VERSION, PATCHLEVEL, SUBLEVEL
    """
    try:
        with open(os.path.join(root, "Makefile"), encoding="utf-8", errors="replace") as file:
            words = dict(line.split(" = ", 1) for line in file.read(4096).splitlines() if " = " in line)
        return f"linux-{int(words['VERSION'])}.{int(words['PATCHLEVEL'])}.{int(words['SUBLEVEL'])}"
    except (OSError, KeyError, ValueError):
        return os.path.basename(os.path.abspath(root)).replace(" ", "_")


def of_tree(tree: Tree) -> Mapping[str, str]:
    """Symbol to files, straight from a tree."""
    return {option.name: "|".join(option.files) for option in tree.options.values()}
