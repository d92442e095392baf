"""How many bytes a C type takes on x86-64, from the text that defines it.

Source:  System V ABI, AMD64 supplement, 3.1.2
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {
    "char": 1, "short": 2, "int": 4, "long": 8, "float": 4, "double": 8, "_Bool": 1, "bool": 1, "signed": 4, "unsigned": 4, "size_t": 8,
    "ssize_t": 8, "off_t": 8, "loff_t": 8, "pid_t": 4, "uid_t": 4, "gid_t": 4, "mode_t": 4, "dev_t": 8, "ino_t": 8, "time_t": 8,
    "clockid_t": 4, "sa_family_t": 2, "socklen_t": 4, "__int128": 16, "uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "uint64_t": 8,
    "int8_t": 1, "int16_t": 2, "int32_t": 4, "int64_t": 8, "u_char": 1, "u_short": 2, "u_int": 4, "caddr_t": 8,
    "__u8": 1, "__s8": 1, "__u16": 2, "__s16": 2, "__u32": 4, "__s32": 4, "__u64": 8, "__s64": 8,
}  # fmt: skip
_NOISE = frozenset("const volatile __user __force __bitwise __extension__ __signed__".split())
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)|\b__packed\b", re.DOTALL)
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_NESTED = re.compile(r"\s*(?:__extension__\s*)?(struct|union|enum)\s*(?:__attribute__\s*\(\(.*?\)\)\s*)?(\w*)\s*\{")
_HEAD = re.compile(r"\b(struct|union)\s+((?:__attribute__\s*\(\(.*?\)\)\s*)?)(\w+)\s*\{")
_ENUM = re.compile(r"\benum\s+(\w+)\s*\{")
_TYPEDEF = re.compile(r"\btypedef\b\s*([^;{}]*);")
_TYPEDEF_BODY = re.compile(r"\btypedef\s+(struct|union|enum)\s*(\w*)\s*\{")
_ALIGNED = re.compile(r"aligned\s*\(\s*(\d+)\s*\)")


class Layout:
    """Sizes of the types that were learnt; `value` gives the value of a constant expression."""

    def __init__(self, value: Callable[[str], int | None]) -> None:
        self.value = value
        self.bodies: dict[str, tuple[str, str, str]] = {}  # struct foo -> struct or union, body, what follows it
        self.names: dict[str, str] = {}  # typedef -> what it stands for
        self.known: dict[str, tuple[int, int] | None] = {name: (size, min(size, 16)) for name, size in SIZES.items()}

    def learn(self, text: str) -> None:
        """Remember every structure, union, enum and typedef of a preprocessed text."""
        for found in _HEAD.finditer(text):
            end = _closing(text, found.end())
            name_of = f"{found[1]} {found[3]}"
            self.bodies.setdefault(name_of, (found[1], text[found.end() : end], text[end + 1 : end + 80].partition(";")[0]))
        for found in _ENUM.finditer(text):
            self.known.setdefault(f"enum {found[1]}", (4, 4))
        for found in _TYPEDEF_BODY.finditer(text):
            end = _closing(text, found.end())
            tail = text[end + 1 : end + 120].partition(";")[0]
            name = re.search(r"(\w+)\s*$", tail)
            if not name:
                continue
            if found[1] == "enum":
                self.known.setdefault(name[1], (4, 4))
            else:
                self.bodies.setdefault(name[1], (found[1], text[found.end() : end], tail))
        for found in _TYPEDEF.finditer(text):
            text_of = found[1].strip()
            name = re.search(r"(\w+)\s*(\[[^\]]*\])?\s*$", text_of)
            if name and "(" not in text_of:
                self.names.setdefault(name[1], (text_of[: name.start()] + (name[2] or "")).strip())

    def size(self, text: str) -> int | None:
        """The size of a type as written (`struct foo`, `__u32 [4]`, `char *`); None where it is not known."""
        found = self._type(text, 0)
        return None if found is None else found[0]

    def _type(self, text: str, depth: int) -> tuple[int, int] | None:
        if depth > 30:
            return None
        count = 1
        for inside in _BRACKETS.findall(text):
            number = self.value(inside) if inside.strip() else 0
            if number is None:
                return None
            count *= number
        text = _BRACKETS.sub("", text)
        if "*" in text:
            return 8 * count, 8
        words = [w for w in text.split() if w not in _NOISE]
        one = self._scalar(words, depth)
        return None if one is None else (one[0] * count, one[1])

    def _scalar(self, words: list[str], depth: int) -> tuple[int, int] | None:
        name = " ".join(words)
        if name in self.known:
            return self.known[name]
        out: tuple[int, int] | None = None
        if name in self.bodies:
            kind, body, tail = self.bodies[name]
            out = self._body(kind, body, tail, depth + 1)
        elif len(words) == 1 and name in self.names:
            out = self._type(self.names[name], depth + 1)
        elif words and words[0] != "struct" and all(w in ("unsigned", "signed", "long", "int", "short", "char") for w in words):
            size = 1 if "char" in words else 2 if "short" in words else 8 if "long" in words else 4
            out = (size, size)
        self.known[name] = out
        return out

    def _body(self, kind: str, body: str, tail: str, depth: int) -> tuple[int, int] | None:
        packed = "packed" in tail
        size, align, bits = 0, 1, 0
        for member in _members(body):
            found = self._member(member, depth)
            if found is None:
                return None
            for member_size, member_align, width in found:
                step = 1 if packed else member_align
                if width >= 0:  # a bit field goes into the unit of its type where it still fits there
                    unit = member_size * 8
                    start = bits or size * 8
                    if width == 0 or start // unit != (start + width - 1) // unit:
                        start = -(-start // unit) * unit
                    bits = start + width
                    if kind == "union":
                        size, bits = max(size, member_size), 0
                    else:
                        size = bits // 8 if bits % 8 == 0 else size
                else:
                    if bits:
                        size, bits = -(-bits // 8), 0
                    if kind == "union":
                        size = max(size, member_size)
                    else:
                        size = -(-size // step) * step + member_size
                align = max(align, step)
        if bits:
            size = -(-bits // 8)
        if wanted := _ALIGNED.search(tail):
            align = max(align, int(wanted[1]))
        return -(-size // align) * align, align

    def _member(self, text: str, depth: int) -> list[tuple[int, int, int]] | None:
        # one declaration: (size, align, bits or -1) of each declarator
        forced = _ALIGNED.search(text)
        nested = _NESTED.match(text)
        if nested:
            end = _closing(text, nested.end())
            tail = text[end + 1 :]
            inner = (4, 4) if nested[1] == "enum" else self._body(nested[1], text[nested.end() : end], tail, depth + 1)
            declarators = _ATTRIBUTE.sub("", tail).split(",")
        else:
            text = _ATTRIBUTE.sub("", text)
            if re.search(r"\(\s*\*", text):  # a pointer to a function
                return [(8, 8, -1)]
            declarators = text.split(",")
            words = _BRACKETS.sub("", declarators[0].partition(":")[0]).replace("*", " * ").split()
            if ":" not in declarators[0] or self._type(" ".join(words), depth) is None:  # a bit field may have no name
                words.pop()
            while words and words[-1] == "*":
                words.pop()
            inner = self._type(" ".join(w for w in words if w not in _NOISE), depth)
        out: list[tuple[int, int, int]] = []
        for declarator in declarators:
            found = (8, 8) if "*" in _BRACKETS.sub("", declarator) else inner
            if found is None:
                return None
            size, align = found
            name, colon, bits = declarator.partition(":")
            width = self.value(bits) if colon else -1
            for inside in _BRACKETS.findall(name):
                count = self.value(inside) if inside.strip() else 0
                if count is None:
                    return None
                size *= count
            if width is None:
                return None
            out.append((size, max(align, int(forced[1])) if forced else align, width))
        return out


def _members(body: str) -> list[str]:
    # at semicolons outside brackets
    out, depth, start = [], 0, 0
    for i, c in enumerate(body):
        depth += (c in "{(") - (c in "})")
        if c == ";" and not depth:
            out.append(body[start:i])
            start = i + 1
    return [member for member in out if member.strip()]


def _closing(text: str, at: int) -> int:
    # where the brace that opened just before `at` closes
    depth = 1
    for i in range(at, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if not depth:
            return i
    return len(text)
