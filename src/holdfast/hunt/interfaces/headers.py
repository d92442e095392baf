"""UAPI headers read as a C preprocessor reads them, without one: every #define and enumerator that is an integer, by header.

Each header is read once, in its own order, with the macros of what it includes; conditions are decided as for user space on x86-64. Values
come from kernel.uapi.defines; macros with arguments are expanded here, and `sizeof` of a structure is computed by the rules of the
x86-64 ABI, so that _IOWR numbers are right. Arithmetic is that of whole numbers: who uses a value cuts it to the width it needs.

Source:  cpp(1); Linux asm-generic/ioctl.h; System V ABI, AMD64 supplement, 3.1.2
"""

from __future__ import annotations

import re

from holdfast.hunt.interfaces.layout import Layout
from holdfast.kernel.uapi import defines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PREDEFINED = {
    "__x86_64__": "1",
    "__LP64__": "1",
    "__linux__": "1",
    "__SIZEOF_INT128__": "16",
    "__BITS_PER_LONG": "64",
    "__GNUC__": "12",
    "__USE_GNU": "1",
    "__CHAR_BIT__": "8",
    "__BYTE_ORDER": "1234",
    "__LITTLE_ENDIAN": "1234",
}
_DEEPEST = 40  # nested macros; the deepest of today's headers needs 9
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')", re.DOTALL)
_DIRECTIVE = re.compile(r"\s*#\s*(\w+)\s*(.*)", re.DOTALL)
_DEFINE = re.compile(r"(\w+)(\(([^)]*)\))?\s*(.*)", re.DOTALL)
_WORD = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\])*'|\b[A-Za-z_]\w*")
_DEFINED = re.compile(r"\bdefined\s*(?:\(\s*(\w+)\s*\)|(\w+))")
_PASTE = re.compile(r"\s*##\s*")
_SIZEOF = re.compile(r"\bsizeof\s*\(")


class Macro:
    """What a #define says: its arguments (None where it takes none), its text, and the header that has it."""

    __slots__ = ("arguments", "header", "text")

    def __init__(self, arguments: tuple[str, ...] | None, text: str, header: str) -> None:
        self.arguments, self.text, self.header = arguments, text, header


class Reader:
    """Headers by way of `source(name)`, which gives a header's text or None; each is read once.

    Shape:   names are as in an #include: linux/tcp.h, asm/socket.h
    """

    def __init__(self, source: Callable[[str], str | None]) -> None:
        self.source = source
        self.macros = {name: Macro(None, text, "") for name, text in PREDEFINED.items()}
        self.code: dict[str, list[str]] = {}  # header -> what is no directive; an included one before the one that includes it
        self.begun: set[str] = set()
        self.named: dict[str, Macro] = {}  # every macro ever defined: a header may take one back

    def read(self, name: str) -> bool:
        """Read a header and what it includes; False where there is no such header."""
        if name in self.begun:
            return True
        text = self.source(name)
        if text is None:
            return False
        self.begun.add(name)
        lines: list[str] = []
        states: list[tuple[bool, bool]] = []  # (this branch is read, one of the branches was read)
        live = True
        for line in _uncommented(text).replace("\\\n", " ").split("\n"):
            found = _DIRECTIVE.fullmatch(line)
            if not found:
                if live and line.strip():
                    lines.append(line)
                continue
            word, rest = found[1], found[2].strip()
            if word in ("if", "ifdef", "ifndef"):
                taken = live and self._condition(word, rest)
                states.append((live, taken))
                live = taken
            elif word in ("elif", "else") and states:
                outer, before = states[-1]
                live = outer and not before and (word == "else" or self._condition("if", rest))
                states[-1] = (outer, before or live)
            elif word == "endif" and states:
                live = states.pop()[0]
            elif live:
                self._directive(word, rest, name)
        self.code[name] = lines
        return True

    def _directive(self, word: str, rest: str, header: str) -> None:
        if word == "include":
            self.read(rest.strip('<>" '))
        elif word == "undef":
            self.macros.pop(rest, None)
        elif word == "define" and (found := _DEFINE.fullmatch(rest)):
            arguments = tuple(a.strip() for a in found[3].split(",")) if found[2] else None
            self.macros[found[1]] = macro = Macro(arguments, found[4].strip(), header)
            self.named.setdefault(found[1], macro)

    def _condition(self, word: str, rest: str) -> bool:
        if word != "if":
            return (rest.split(maxsplit=1)[0] in self.macros) == (word == "ifdef")
        text = _DEFINED.sub(lambda m: str(int((m[1] or m[2]) in self.macros)), rest)
        return bool(defines.evaluate(_WORD.sub("0", self.expanded(text)), {}))  # a word that is no macro is 0

    def expanded(self, text: str, active: tuple[str, ...] = ()) -> str:
        """A text with every macro in it replaced, but for one inside itself."""
        out: list[str] = []
        at = 0
        while found := _WORD.search(text, at):
            out.append(text[at : found.start()])
            name, at = found[0], found.end()
            macro = None if name[0] in "\"'" or name in active or len(active) > _DEEPEST else self.macros.get(name)
            if macro is None:
                out.append(name)
                continue
            body = macro.text
            if macro.arguments is not None:
                given, end = arguments(text, at)
                if given is None:
                    out.append(name)
                    continue
                at = end
                body = self._applied(macro, given, active)
            out.append(self.expanded(_PASTE.sub("", body), (*active, name)))
        return "".join(out) + text[at:]

    def _applied(self, macro: Macro, given: list[str], active: tuple[str, ...]) -> str:
        names = macro.arguments or ()
        plain = dict(zip(names, given, strict=False))
        # an argument beside ## goes in as it is written, any other one expanded
        raw = set(re.findall(r"##\s*(\w+)", macro.text)) | set(re.findall(r"(\w+)\s*##", macro.text))
        return _WORD.sub(
            lambda m: m[0] if m[0] not in plain else plain[m[0]] if m[0] in raw else self.expanded(plain[m[0]], active), macro.text
        )

    def constants(self) -> dict[str, tuple[int, str]]:
        """Every name that is an integer constant: its value, and the header that defines it."""
        numbers: dict[str, int] = {}
        home: dict[str, str] = {}
        layout = Layout(lambda text: self._value(text, numbers, None))
        for name, lines in self.code.items():
            text = self.expanded("\n".join(lines))
            for constant, number in defines.enumerators(text, numbers).items():
                if constant not in numbers:
                    numbers[constant], home[constant] = number, name
            layout.learn(text)
        macros = {**self.named, **{name: macro for name, macro in self.macros.items() if name in self.named}}
        for name, macro in macros.items():
            if macro.arguments is None and macro.text and name not in numbers:
                value = self._value(macro.text, numbers, layout, name)
                if value is not None:
                    numbers[name], home[name] = value, self.named[name].header  # where it was first: another may repeat it
        return {name: (value, home[name]) for name, value in numbers.items()}

    def _value(self, text: str, numbers: dict[str, int], layout: Layout | None, name: str = "") -> int | None:
        body = self.expanded(text, (name,) if name else ())
        while layout is not None and (found := _SIZEOF.search(body)):
            given, end = arguments(body, found.end() - 1)
            size = layout.size(",".join(given)) if given is not None else None
            if size is None:
                return None
            body = f"{body[: found.start()]}{size}{body[end:]}"
        return defines.evaluate(body, numbers)


def _uncommented(text: str) -> str:
    return _COMMENT.sub(lambda m: m[1] or " ", text.replace("\r", ""))


def arguments(text: str, at: int) -> tuple[list[str] | None, int]:
    """The arguments of a macro whose bracket opens at or after `at`, and where they end; None where no bracket opens."""
    while at < len(text) and text[at].isspace():
        at += 1
    if at >= len(text) or text[at] != "(":
        return None, at
    out, depth, start = [], 0, at + 1
    for i in range(at, len(text)):
        c = text[i]
        if c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if not depth:
                out.append(text[start:i].strip())
                return out, i + 1
        elif c == "," and depth == 1:
            out.append(text[start:i].strip())
            start = i + 1
    return None, at


def constants(source: Callable[[str], str | None], names: Iterable[str]) -> dict[str, tuple[int, str]]:
    """The integer constants of some headers and of all that they include: value and header by name."""
    reader = Reader(source)
    for name in names:
        reader.read(name)
    return reader.constants()
