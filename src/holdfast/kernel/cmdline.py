"""The kernel's boot command line as a mapping."""

from __future__ import annotations

from holdfast.errors import UsageError

LIMIT_BYTES = 65536  # x86 takes 2048 (COMMAND_LINE_SIZE); other CPUs more


def parse(data: bytes) -> dict[str, tuple[str, ...]]:
    """Every boot parameter with all its values in order; a parameter without a value has the value "".

    Shape:   names with - read as _, as the kernel compares them; nothing after a lone -- (that is init's)
    Raises:  usage.cmdline.malformed: the bytes are not a command line
    Source:  Linux kernel/params.c parse_args, parameq; lib/cmdline.c next_arg; Documentation/admin-guide/kernel-parameters.rst
    """
    if len(data) > LIMIT_BYTES or b"\0" in data.rstrip(b"\0\n"):
        raise UsageError("cmdline.malformed", "the input is not a boot command line", where=f"{len(data)} bytes", do="give /proc/cmdline")
    out: dict[str, list[str]] = {}
    for word in _words(data.rstrip(b"\0\n").decode("utf-8", "backslashreplace")):
        if word == "--":
            break
        name, _, value = word.partition("=")
        out.setdefault(name.replace("-", "_"), []).append(value)
    return {name: tuple(values) for name, values in out.items()}


# next_arg: a quote anywhere protects spaces; quotes around a word or a value are dropped.
def _words(text: str) -> list[str]:
    words: list[str] = []
    word, quoted, started = "", False, False
    for char in text:
        if char == '"':
            quoted, started = not quoted, True
        elif char in " \t\n\r" and not quoted:
            if started:
                words.append(word)
            word, started = "", False
        else:
            word, started = word + char, True
    if started:
        words.append(word)
    return words
