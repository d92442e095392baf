"""A kernel tree's Kconfig: every option with its files, menu, dependencies and selects.

It reads declarations and runs nothing: no shell macro, no compiler probe, so a tree from anywhere is safe to read. Conditions stay text.
kconfiglib 14.1.0 stops at `modules` (v5.13), `transitional` (v6.18) and `depends on A if B` (v7.0); see decisions/0040.
"""

from __future__ import annotations

import os
import re

from holdfast.errors import UsageError
from holdfast.model.record import Record

_WORD = re.compile(r"\s*([a-z_]+)\b\s*(.*)")
_ASSIGN = re.compile(r"[A-Za-z_][\w-]*\s*(?::=|\+=|=)")
_IF = re.compile(r"\s+if\s+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'')
_TYPES = frozenset({"bool", "tristate", "int", "hex", "string", "def_bool", "def_tristate"})
_PLAIN = frozenset({"range", "optional", "modules", "option", "visible", "prompt", "comment", "mainmenu", "default"})
_DEPTH = 40  # of source inside source; the kernel has 6


class Option(Record):
    """One symbol as the tree declares it, all of its declarations joined.

    Shape:   `files` and `menus` in order of declaration; `depends` are conditions as written, enclosing `if` and menus included;
             `selects` and `implies` are pairs of name and condition
    """

    name: str
    type: str
    prompt: str
    prompt_if: str  # the condition behind the prompt; empty: always shown
    files: tuple[str, ...]
    menus: tuple[str, ...]
    depends: tuple[str, ...]
    selects: tuple[tuple[str, str], ...]
    implies: tuple[tuple[str, str], ...]
    transitional: bool


class Tree(Record):
    """Every option of a tree, and what in it was not understood."""

    options: dict[str, Option]
    problems: tuple[str, ...]
    files: int


def read(root: str, srcarch: str = "x86", top: str = "Kconfig") -> Tree:
    """The options reachable from a tree's top Kconfig for one architecture.

    Raises:  usage.tree.absent: there is no such file
    Source:  Linux Documentation/kbuild/kconfig-language.rst, scripts/kconfig/lexer.l, parser.y
    """
    if not os.path.isfile(os.path.join(root, top)):
        raise UsageError(
            "tree.absent", f"{root} is not a kernel tree", where=os.path.join(root, top), do="give a directory that holds Kconfig"
        )
    reader = _Reader(os.path.realpath(root), srcarch)
    reader.file(top, (), (), 0)
    options = {name: draft.done(name) for name, draft in reader.drafts.items()}
    return Tree(options, tuple(reader.problems), reader.count)


class _Draft:
    __slots__ = ("depends", "files", "implies", "menus", "prompt", "prompt_if", "selects", "transitional", "type")

    def __init__(self) -> None:
        self.type, self.prompt, self.prompt_if, self.transitional = "", "", "", False
        self.files: list[str] = []
        self.menus: list[str] = []
        self.depends: list[str] = []
        self.selects: list[tuple[str, str]] = []
        self.implies: list[tuple[str, str]] = []

    def done(self, name: str) -> Option:
        files, menus = tuple(dict.fromkeys(self.files)), tuple(dict.fromkeys(self.menus))
        depends, selects = tuple(dict.fromkeys(self.depends)), tuple(dict.fromkeys(self.selects))
        return Option(
            name, self.type or "bool", self.prompt, self.prompt_if, files, menus, depends, selects, tuple(self.implies), self.transitional
        )


# Blocks nest across files in no kernel tree: each file opens and closes its own, which the tests of scripts/kconfig require.
class _Reader:
    def __init__(self, root: str, srcarch: str) -> None:
        self.root, self.srcarch = root, srcarch
        self.drafts: dict[str, _Draft] = {}
        self.problems: list[str] = []
        self.count = 0
        self.open: set[str] = set()

    def problem(self, path: str, number: int, text: str) -> None:
        self.problems.append(f"{path}:{number}: {text}")

    def lines(self, path: str, number: int) -> list[str]:
        full = os.path.realpath(os.path.join(self.root, path))
        if not full.startswith(self.root + os.sep):
            self.problem(path, number, "lies outside of the tree")
            return []
        try:
            with open(full, encoding="utf-8", errors="replace") as file:
                return file.read().split("\n")
        except OSError as error:
            self.problem(path, number, f"cannot be read: {error.strerror}")
            return []

    def file(self, path: str, menus: tuple[str, ...], conditions: tuple[str, ...], depth: int) -> None:
        path = os.path.normpath(path)
        if depth > _DEPTH or path in self.open:
            self.problem(path, 0, "is sourced by itself")
            return
        self.open.add(path)
        self.count += 1
        self.block(path, self.lines(path, 0), menus, conditions, depth)
        self.open.discard(path)

    # One pass over the lines: `stack` holds what endmenu, endif and endchoice close, `entry` the symbol that attributes belong to.
    def block(self, path: str, lines: list[str], menus: tuple[str, ...], conditions: tuple[str, ...], depth: int) -> None:
        stack: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        entry: _Draft | None = None
        in_menu = False
        number, size = 0, len(lines)
        while number < size:
            line = lines[number]
            number += 1
            while line.endswith("\\") and number < size:
                line = line[:-1] + " " + lines[number]
                number += 1
            found = _WORD.match(line)
            if found is None or _ASSIGN.match(line.lstrip()):
                if line.strip() and line.lstrip()[0] not in "#$" and not _ASSIGN.match(line.lstrip()):
                    self.problem(path, number, f"not understood: {line.strip()[:60]}")
                continue
            word, rest = found.groups()
            if word == "help":
                number = _skip_help(lines, number)
            elif word in {"config", "menuconfig"}:
                name = rest.split("#")[0].strip()
                entry, in_menu = self.drafts.setdefault(name, _Draft()), False
                entry.files.append(path)
                entry.menus.append(" > ".join(menus))
                entry.depends.extend(conditions)
            elif word == "source":
                entry = None
                self.source(path, number, rest, menus, conditions, depth)
            elif word in {"menu", "if", "choice"}:
                stack.append((word, menus, conditions))
                entry, in_menu = None, word != "if"
                if word == "menu":
                    menus = (*menus, _text(rest))
                elif word == "if":
                    conditions = (*conditions, _bare(rest))
            elif word in {"endmenu", "endif", "endchoice"}:
                if not stack or stack[-1][0] != word[3:]:
                    self.problem(path, number, f"{word} closes nothing")
                    continue
                _, menus, conditions = stack.pop()
                entry, in_menu = None, False
            elif word == "depends":
                condition = _bare(rest.removeprefix("on").strip())
                if entry is not None:
                    entry.depends.append(condition)
                elif in_menu:
                    conditions = (*conditions, condition)
            elif word in {"select", "imply"}:
                target, condition = _split_if(_bare(rest))
                if entry is not None:
                    (entry.selects if word == "select" else entry.implies).append((target, condition))
            elif word in _TYPES:
                if entry is not None:
                    entry.type = word.removeprefix("def_")
                    if not word.startswith("def_") and rest[:1] in {'"', "'"}:
                        entry.prompt, entry.prompt_if = _text(rest), _split_if(_bare(rest))[1]
            elif word == "transitional":
                if entry is not None:
                    entry.transitional = True
            elif word in _PLAIN:
                if word == "prompt" and entry is not None:
                    entry.prompt, entry.prompt_if = _text(rest), _split_if(_bare(rest))[1]
                elif word == "comment":
                    entry, in_menu = None, False
            else:
                self.problem(path, number, f"unknown word: {word}")
        if stack:
            self.problem(path, number, f"{stack[-1][0]} is never closed")

    def source(self, path: str, number: int, rest: str, menus: tuple[str, ...], conditions: tuple[str, ...], depth: int) -> None:
        target = _text(rest) or rest.strip()
        target = target.replace("$(SRCARCH)", self.srcarch).replace("$SRCARCH", self.srcarch).replace("$(HEADER_ARCH)", self.srcarch)
        if "$" in target:
            self.problem(path, number, f"source of an unknown variable: {target}")
            return
        self.file(target, menus, conditions, depth + 1)


# lexer.l: help text is what is indented at least as far as its first line; a line with text indented less ends it.
def _skip_help(lines: list[str], number: int) -> int:
    while number < len(lines) and not lines[number].strip():
        number += 1
    if number == len(lines):
        return number
    first = lines[number].expandtabs()
    indent = len(first) - len(first.lstrip())
    if indent == 0:
        return number
    while number < len(lines):
        line = lines[number].expandtabs()
        if line.strip() and len(line) - len(line.lstrip()) < indent:
            return number
        number += 1
    return number


def _text(rest: str) -> str:
    found = _QUOTED.match(rest.strip())
    return "" if found is None else (found.group(1) or found.group(2) or "").replace('\\"', '"')


# A comment begins at a # that no quote holds.
def _bare(rest: str) -> str:
    if "#" in rest:
        out, quote = "", ""
        for char in rest:
            if char == "#" and not quote:
                break
            if char in "\"'":
                quote = "" if char == quote else quote or char
            out += char
        rest = out
    return " ".join(rest.split())


def _split_if(rest: str) -> tuple[str, str]:
    parts = _IF.split(rest, maxsplit=1)
    return parts[0].strip(), parts[1].strip() if len(parts) == 2 else ""
