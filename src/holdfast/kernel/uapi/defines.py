"""The #defines and enumerators of a kernel by name and value, from its headers package; only for whoever builds the ledger.

`gcc -E -dM` lists the macros, `gcc -E` expands them, and a small evaluator of C constant expressions gives the values: gcc
compiles nothing. No gcc is needed to dump, restore or compare kernels.

Source:  cpp(1) -dM; Debian's linux-headers-*-common and linux-headers-*-FLAVOUR
"""

from __future__ import annotations

import operator
import os
import re
import subprocess

from holdfast.errors import KernelLacks
from holdfast.kernel import cache, debian
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MARK = "holdfast_mark"
_TOKEN = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|('(?:\\.|[^'\\])')|([A-Za-z_]\w*)|(<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>?:()]))"
)
_LEVELS = (("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"), ("*", "/", "%"))
_TYPES = frozenset(
    "unsigned signed long int short char __u64 __u32 __u16 __u8 __s64 __s32 u64 u32 u16 u8 s64 s32 __force vm_flags_t size_t fmode_t "
    "gfp_t __bitwise blk_opf_t slab_flags_t __poll_t".split()
)
_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "||": lambda a, b: bool(a) or bool(b),
    "&&": lambda a, b: bool(a) and bool(b),
    "|": operator.or_,
    "^": operator.xor,
    "&": operator.and_,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "%": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
}
_DEEPEST = 64


class Headers(Record):
    """Two unpacked folders of headers: what all flavours share, and what one flavour adds."""

    common: str
    flavour: str

    def options(self) -> list[str]:
        """The options that gcc needs to read them as the kernel's own build does."""
        folders = [
            f"{self.common}/arch/x86/include",
            f"{self.flavour}/arch/x86/include/generated",
            f"{self.common}/include",
            f"{self.flavour}/include",
            f"{self.common}/arch/x86/include/uapi",
            f"{self.flavour}/arch/x86/include/generated/uapi",
            f"{self.common}/include/uapi",
            f"{self.flavour}/include/generated/uapi",
        ]
        first = ("compiler-version.h", "kconfig.h", "compiler_types.h")
        included = [part for name in first for part in ("-include", f"{self.common}/include/linux/{name}")]
        return [
            "-nostdinc",
            "-D__KERNEL__",
            "-DMODULE",
            "-DCC_USING_FENTRY",
            '-DKBUILD_MODNAME="x"',
            *(f"-I{folder}" for folder in folders),
            *included,
        ]


def fetched(kernel: debian.DebianKernel) -> Headers:
    """The headers of a Debian kernel, from the cache when they were fetched before.

    Raises:  kernel_lacks.debian.fetch: apt cannot get them
    """
    place = os.path.join(cache.folder("headers"), f"{kernel.abi}-{kernel.flavour}-{kernel.version.replace('~', '_')}")
    stem = kernel.release
    common = f"{stem.rsplit('-', 2 if kernel.flavour != 'full' else 1)[0]}-common"
    root = os.path.join(place, "usr/src")
    out = Headers(os.path.join(root, f"linux-headers-{common}"), os.path.join(root, f"linux-headers-{stem}"))
    with cache.locked(f"headers-{os.path.basename(place)}"):
        if not os.path.exists(os.path.join(place, "complete")):
            for name, body in debian.files([f"linux-headers-{common}", f"linux-headers-{stem}"], is_header, kernel.version).items():
                path = os.path.normpath(os.path.join(place, name))
                if not path.startswith(place + os.sep):
                    continue
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(body)
            cache.write(os.path.join(place, "complete"), b"")
    return out


def is_header(name: str) -> bool:
    """Whether a file of a headers package is one that an #include can reach on x86."""
    return name.endswith(".h") and re.match(r"usr/src/[^/]+/(include/|arch/x86/include/)", name) is not None


def values(headers: Headers, includes: Iterable[str], pattern: str) -> dict[str, int | None]:
    """Every #define and enumerator whose name fits, with its value; None for one that is no integer constant.

    Shape:   `pattern` is a regular expression for the whole name
    Raises:  kernel_lacks.gcc: gcc is missing, or cannot read these headers
    """
    source = "".join(f"#include <{path}>\n" for path in includes)
    listed = _gcc(headers, source, "-dM")
    wanted = re.compile(pattern)
    names = sorted({m for m in re.findall(r"^#define (\w+) ", listed, re.MULTILINE) if wanted.fullmatch(m)})
    asked = "".join(f'\n{_MARK} "{name}" {name}\n' for name in names)
    text, *answers = _gcc(headers, f"{source}\n{asked}", "-P").split(_MARK)
    constants = enumerators(text)
    out: dict[str, int | None] = {name: value for name, value in constants.items() if wanted.fullmatch(name)}
    for answer in answers:
        _, name, expression = answer.split('"', 2)
        out[name] = evaluate(expression, constants)
    return dict(sorted(out.items()))


def _gcc(headers: Headers, source: str, option: str) -> str:
    command = ["gcc", "-E", option, "-x", "c", *headers.options(), "-"]
    try:
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise KernelLacks(
            "gcc", "gcc is not on this machine", why="a kernel's #defines are read by it", do="apt-get install gcc"
        ) from error
    if done.returncode:
        why = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
        raise KernelLacks("gcc", "gcc cannot read these headers", where=headers.common, why=why)
    return done.stdout


def enumerators(text: str, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Every enumerator in preprocessed C whose value is a constant; one may name a constant that is `known`."""
    out: dict[str, int] = {}
    for body in re.findall(r"\benum\b[^{;()]*\{([^}]*)\}", text):
        value: int | None = -1
        for item in _split(body):
            name, _, expression = item.partition("=")
            word = re.match(r"\s*(\w+)", name)
            if not word:
                continue
            names = {**known, **out} if known and expression.strip() else out
            value = evaluate(expression, names) if expression.strip() else None if value is None else value + 1
            if value is not None:
                out.setdefault(word[1], value)
    return out


def _split(body: str) -> list[str]:
    # at commas outside parentheses
    out, depth, start = [], 0, 0
    for i, c in enumerate(body):
        depth += (c == "(") - (c == ")")
        if c == "," and not depth:
            out.append(body[start:i])
            start = i + 1
    return [*out, body[start:]]


def evaluate(expression: str, names: Mapping[str, int]) -> int | None:
    """The value of a C integer constant expression; None when it is none, or names something unknown."""
    tokens: list[int | str] = []
    at = 0
    text = expression.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            return None
        number, char, name, sign = match.groups()
        if number:
            tokens.append(int(number, 0) if number[:1] != "0" or number[:2] in ("0x", "0X") else int(number, 8))
        elif char:
            tokens.append(ord(char[1:-1].encode().decode("unicode_escape")))
        else:
            tokens.append(name or sign)
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    try:
        value, end = _ternary(tokens, 0, names, 0)
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if end == len(tokens) else None


def _ternary(tokens: list[int | str], i: int, names: Mapping[str, int], depth: int) -> tuple[int, int]:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    value, i = _binary(tokens, i, 0, names, depth)
    if i < len(tokens) and tokens[i] == "?":
        yes, i = _ternary(tokens, i + 1, names, depth + 1)
        if tokens[i] != ":":
            raise ValueError("no colon")
        no, i = _ternary(tokens, i + 1, names, depth + 1)
        return (yes if value else no), i
    return value, i


def _binary(tokens: list[int | str], i: int, level: int, names: Mapping[str, int], depth: int) -> tuple[int, int]:
    if level == len(_LEVELS):
        return _unary(tokens, i, names, depth)
    left, i = _binary(tokens, i, level + 1, names, depth)
    while i < len(tokens) and tokens[i] in _LEVELS[level]:
        sign = str(tokens[i])
        right, i = _binary(tokens, i + 1, level + 1, names, depth)
        left = _apply(sign, left, right)
    return left, i


def _apply(sign: str, a: int, b: int) -> int:
    if sign in ("<<", ">>") and not 0 <= b < 128:
        raise ValueError("shift")
    return int(_OPERATORS[sign](a, b))


def _unary(tokens: list[int | str], i: int, names: Mapping[str, int], depth: int) -> tuple[int, int]:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    token = tokens[i]
    if isinstance(token, int):
        return token, i + 1
    if token in ("-", "+", "~", "!"):
        value, i = _unary(tokens, i + 1, names, depth + 1)
        return (-value if token == "-" else value if token == "+" else ~value if token == "~" else int(not value)), i
    if token == "(":
        j = i + 1
        while tokens[j] in _TYPES or str(tokens[j]).endswith("_t"):
            j += 1
        if j > i + 1 and tokens[j] == ")":  # a cast: every value that matters fits in 64 bits
            return _unary(tokens, j + 1, names, depth + 1)
        value, i = _ternary(tokens, i + 1, names, depth + 1)
        if tokens[i] != ")":
            raise ValueError("no bracket")
        return value, i + 1
    return names[token], i + 1
