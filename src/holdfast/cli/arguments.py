"""The words of a command line, without argparse or click: dump and restore cannot afford the 6 and 28 ms that those cost to import."""

from __future__ import annotations

from holdfast.errors import UsageError
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 100


class Option(Record):
    """One option: `--name`, perhaps a letter, a word for its value (none: a flag), and what it does."""

    name: str
    help: str
    metavar: str = ""
    letter: str = ""
    required: bool = False


class Spec(Record):
    """What a command takes: its arguments in order, all of them required, and its options."""

    name: str
    summary: str
    arguments: tuple[tuple[str, str], ...]  # metavar and help
    options: tuple[Option, ...] = ()
    essay: str = ""


JSON = Option("json", "One JSON document on standard output.")
HELP = Option("help", "Show this text.", letter="h")


class Given(Record):
    """What was given: the arguments in order, the values of options by name, the flags that are set."""

    arguments: tuple[str, ...]
    values: Mapping[str, str]
    flags: frozenset[str]

    def flag(self, name: str) -> bool:
        """Whether a flag was given."""
        return name in self.flags


def parse(spec: Spec, words: Sequence[str]) -> Given:
    """What the words say; `help` among the flags ends the reading.

    Raises:  usage.option, usage.argument
    """
    known = {f"--{o.name}": o for o in (*spec.options, HELP)} | {f"-{o.letter}": o for o in (*spec.options, HELP) if o.letter}
    arguments: list[str] = []
    values: dict[str, str] = {}
    flags: set[str] = set()
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            arguments += todo
            break
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        name, value = word, None
        if word.startswith("--") and "=" in word:
            name, _, value = word.partition("=")
        elif not word.startswith("--") and len(word) > 2 and word[:2] in known:
            name, value = word[:2], word[2:]
        option = known.get(name)
        if option is None:
            raise _usage(spec, f"holdfast {spec.name} has no option {name}", _nearest(name, list(known)))
        if option is HELP:
            return Given((), {}, frozenset({"help"}))
        if not option.metavar:
            if value is not None:
                raise _usage(spec, f"{name} takes no value", "")
            flags.add(option.name)
            continue
        if value is None:
            if not todo:
                raise _usage(spec, f"{name} needs a value: {option.metavar}", "")
            value = todo.pop(0)
        values[option.name] = value
    for option in spec.options:
        if option.required and option.name not in values:
            raise _usage(spec, f"--{option.name} {option.metavar} is missing", "")
    if len(arguments) != len(spec.arguments):
        wanted = " ".join(metavar for metavar, _ in spec.arguments)
        what = f"{wanted} is missing" if len(arguments) < len(spec.arguments) else f"there is more than {wanted}: {' '.join(arguments)}"
        raise UsageError("argument", what, where=usage(spec), do=f"holdfast {spec.name} --help")
    return Given(tuple(arguments), values, frozenset(flags))


def usage(spec: Spec) -> str:
    """One line: how the command is called."""
    required = "".join(f" {_shown(o)}" for o in spec.options if o.required)
    return f"holdfast {spec.name} {' '.join(m for m, _ in spec.arguments)}{required} [OPTIONS]"


def help_text(spec: Spec) -> str:
    """The text of --help."""
    rows = list(spec.arguments)
    options = [(_shown(o), o.help) for o in (*spec.options, HELP)]
    width = max(len(left) for left, _ in (*rows, *options))
    out = [f"Usage: {usage(spec)}", "", *_wrapped(spec.summary, 2)]
    for paragraph in spec.essay.split("\n\n"):
        if paragraph:
            out += ["", *_wrapped(paragraph, 2)]
    out += ["", "Arguments:", *_table(rows, width), "", "Options:", *_table(options, width)]
    return "\n".join(out)


def _shown(option: Option) -> str:
    name = f"-{option.letter}, --{option.name}" if option.letter else f"--{option.name}"
    return f"{name} {option.metavar}" if option.metavar else name


def _table(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    out = []
    for left, right in rows:
        first, *more = _wrapped(right, width + 4)
        out += [f"  {left:<{width}}  {first.strip()}", *more]
    return out


def _wrapped(text: str, indent: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and indent + len(line) + 1 + len(word) > WIDTH:
            lines.append(" " * indent + line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, " " * indent + line]


def _nearest(name: str, known: list[str]) -> str:
    import difflib  # only who mistypes pays for it

    found = difflib.get_close_matches(name, known, 1)
    return f"did you mean {found[0]}?" if found else ""


def _usage(spec: Spec, what: str, hint: str) -> UsageError:
    return UsageError("option", what, where=usage(spec), do=hint or f"holdfast {spec.name} --help")
