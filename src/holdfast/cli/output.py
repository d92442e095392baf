"""The only place that prints. Every command makes one Answer; text and JSON are both rendered from its facts.

The first word is a verdict: OK, LOSSY, REFUSED or UNKNOWN. Standard output is the answer, standard error the story.
In JSON, keys are sorted, a byte string that is not UTF-8 has its exact value beside it (`path` and `path_b64`), and
`schema` says which version of this form it is.
"""

from __future__ import annotations

import errno
import os
import sys
import time

from holdfast.errors import BadImage, HoldfastError, InternalError, KernelLacks, Refused
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Self, TextIO

SCHEMA = 1
COLOURS = {"OK": "32", "LOSSY": "33", "UNKNOWN": "33", "REFUSED": "31"}
LONG_S = 0.4  # work that takes longer gets a bar
FRAME_S = 0.1  # between two pictures of a bar


class Unread(Exception):
    """Nobody reads our answer: the pipe is closed. Not an OSError, which click would turn into exit code 1."""


class Answer(Record):
    """What a command has to say.

    Shape:   `facts` are plain values: None, bool, int, float, str, bytes, lists, maps with text keys, Records;
             `lines` renders them: the text after the verdict, then further lines
    """

    command: str
    verdict: str
    facts: Mapping[str, Any]
    lines: Callable[[Mapping[str, Any]], Sequence[str]]
    exit_code: int = field(default=0)


def say(answer: Answer, as_json: bool) -> int:
    """Print an answer; the exit code."""
    if as_json:
        write(document(answer.command, answer.verdict, answer.facts))
    else:
        text = _printable("\n".join(answer.lines(answer.facts)), sys.stdout)
        _put(f"{coloured(answer.verdict, sys.stdout)} {text}", True)
    return answer.exit_code


def write(text: str, flush: bool = True) -> None:
    """Text and a new line on standard output."""
    _put(_printable(text, sys.stdout), flush)


def _put(text: str, flush: bool) -> None:
    try:
        print(text, flush=flush)
    except BrokenPipeError as closed:
        raise Unread from closed


def story(text: str, verdict: str = "") -> None:
    """Text and a new line on standard error, perhaps after a verdict."""
    text = _printable(text, sys.stderr)
    try:
        print(f"{coloured(verdict, sys.stderr)} {text}" if verdict else text, file=sys.stderr, flush=True)
    except OSError:
        return  # nobody listens


def failed(error: HoldfastError, command: str, as_json: bool) -> int:
    """Print an error that we know, as one JSON document on standard output or as text on standard error; its exit code."""
    if as_json:
        facts: dict[str, Any] = {"error": error.parts()}
        if isinstance(error, Refused) and error.refusals:
            facts["refusals"] = list(error.refusals)
        write(document(command, verdict_of(error), facts))
    else:
        story(str(error), "REFUSED" if isinstance(error, Refused) else "")
    return error.exit_code


def crashed(error: BaseException, command: str, as_json: bool) -> int:
    """Report an error that nobody foresaw, with its traceback on standard error; exit code 70."""
    import traceback  # 4 ms, for a case that should not be

    story("".join(traceback.format_exception(error)).rstrip("\n"))
    if isinstance(error, HoldfastError):
        return failed(error, command, as_json)
    known = InternalError(
        "unexpected",
        f"{type(error).__name__}: {error}",
        where=f"holdfast {command}",
        why="this is a mistake in Holdfast",
        do="report it with the lines above",
    )
    return failed(known, command, as_json)


# a full or broken disk, a limit: nobody's mistake, and it can happen to any call
_OUTSIDE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM))


def outside(error: OSError) -> KernelLacks | None:
    """What an error of the system amounts to if it is one that the machine's owner can mend."""
    if error.errno not in _OUTSIDE:
        return None
    return KernelLacks(
        "resource",
        f"the system has no room for this: {error.strerror}",
        where=os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "",
        why=f"{errno.errorcode[error.errno]}; see errno(3)",
        do="free some space or raise the limit, and try again",
    )


def verdict_of(error: HoldfastError) -> str:
    """The verdict that an error amounts to: refused if somebody can act on it, else unknown."""
    return "REFUSED" if isinstance(error, Refused | BadImage | KernelLacks) else "UNKNOWN"


def document(command: str, verdict: str, facts: Mapping[str, Any]) -> str:
    """A JSON document with sorted keys; equal facts give equal bytes."""
    import json  # 5 ms that only --json pays

    whole = {**plain(facts), "schema": SCHEMA, "command": command, "verdict": verdict}
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False)


def plain(value: Any) -> Any:
    """A value as JSON can say it: records and maps as maps, sets sorted, byte strings as text, exact where text is not."""
    if isinstance(value, Record):
        return plain(dict(value.items()))
    if isinstance(value, dict):
        out: dict[str, Any] = {}
        for key, part in value.items():
            out[str(key)] = plain(part) if not isinstance(part, bytes) else text_of(part)
            if isinstance(part, bytes) and not _is_text(part):
                out[f"{key}_b64"] = base64(part)
        return out
    if isinstance(value, bytes):
        return text_of(value) if _is_text(value) else {"text": text_of(value), "b64": base64(value)}
    if isinstance(value, frozenset | set):
        return sorted(plain(v) for v in value)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def text_of(raw: bytes) -> str:
    """A byte string as text; what is not UTF-8 as \\xNN."""
    return raw.decode("utf-8", "backslashreplace")


def base64(raw: bytes) -> str:
    """RFC 4648 base 64."""
    from binascii import b2a_base64  # few answers need it

    return b2a_base64(raw, newline=False).decode("ascii")


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# A name may hold what no encoding has, and what a terminal would obey: escape sequences, marks that turn the writing round.
def _printable(text: str, to: TextIO) -> str:
    encoding = to.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def coloured(verdict: str, to: TextIO) -> str:
    """A verdict in its colour if a person looks at it on a terminal.

    Source:  the NO_COLOR convention: set and not empty means none
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not to.isatty():
        return verdict
    return f"\x1b[{COLOURS[verdict]}m{verdict}\x1b[0m" if verdict in COLOURS else verdict


def size(bytes_: int) -> str:
    """A number of bytes for people: 512 B, 1.5 KiB, 200 MiB."""
    value = float(bytes_)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def duration(ns: int) -> str:
    """A time for people: 350 us, 3.1 ms, 2.4 s."""
    if ns < 1_000_000:
        return f"{ns / 1e3:.0f} us"
    return f"{ns / 1e6:.1f} ms" if ns < 1_000_000_000 else f"{ns / 1e9:.2f} s"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 process, 3 processes."""
    return f"{number} {one if number == 1 else many or one + 's'}"


class Bar:
    """A progress bar on a terminal for work that turns out to be long; call it with (done, total).

    It never waits for the terminal: who reads it may be in the tree that stands still.
    """

    def __init__(self, what: str) -> None:
        self._what, self._began = what, time.monotonic()
        self._shown: Any = None
        self._task: Any = None
        self._off = not sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` is done."""
        if self._off or (self._shown is None and (time.monotonic() - self._began < LONG_S or done >= total)):
            return
        if self._shown is None:
            # 60 ms of import, and only work that is long already pays for it
            from rich.console import Console
            from rich.progress import Progress

            if not _takes(sys.stderr.fileno()):
                return
            self._shown = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
            self._shown.start()
            self._task = self._shown.add_task(self._what, total=total)
        self._shown.update(self._task, completed=done, total=total)
        if time.monotonic() >= self._next and _takes(sys.stderr.fileno()):
            self._shown.refresh()
            self._next = time.monotonic() + FRAME_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown.stop()


def _takes(fd: int) -> bool:
    import select  # part of the interpreter; only a bar asks

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))
