"""holdfast run: start a program so that it can be saved and brought back without root."""

from __future__ import annotations

import os

from holdfast.cli import output
from holdfast.cli.arguments import HELP, Option, Spec, help_text, parse
from holdfast.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SPEC = Spec(
    "run",
    "Start a program in user, pid and mount namespaces of its own, so that it can be dumped and restored with no privilege at all.",
    (("CMD...", "The program and its arguments; -- before it ends the options."),),
    (
        Option("name", "A name for the job, to be used instead of a pid as long as it runs.", "NAME"),
        Option("host", "Start it plainly: no namespaces. It can then be dumped, but only who may choose pids can restore it."),
    ),
    "The command stays as the parent of the job: it passes signals on (INT, TERM, HUP, QUIT, USR1, USR2, ALRM, CONT, TSTP, WINCH) and "
    "ends with the job's exit status, or 128 + n if signal n ended it. Inside, an init is pid 1 and the program pid 2; when the program "
    "ends, what it left running ends with it. It gets a session of its own unless standard input, output or error is a terminal.\n\n"
    "Exit codes before the program runs: 2 usage, 20 this kernel or user cannot make the namespaces, 70 a mistake of Holdfast.",
)
PIPE, XFSZ = 13, 25
RECEIVERS = {f"--{o.name}": o for o in (*SPEC.options, HELP)}


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    mine, command = split(words)
    given = parse(SPEC.replace(arguments=()), mine)
    if given.flag("help"):
        output.write(help_text(SPEC))
        return 0
    if not command:
        raise UsageError("argument", "the program to run is missing", where="holdfast run [--name NAME] [--host] -- CMD...")
    # only now: --help does not need them
    from holdfast.cli import foreground
    from holdfast.engine import jobs, launch

    name = given.values.get("name", "")
    if name:
        jobs.check(name)
    encoded = tuple(os.fsencode(w) for w in command)
    path = launch.look_up(encoded[0], os.environb.get(b"PATH", b"/bin:/usr/bin"))
    ignored = foreground.ignored() - {PIPE, XFSZ}  # the interpreter ignores these two itself
    with foreground.Signals() as signals:
        start = launch.Start(
            path,
            encoded,
            tuple(k + b"=" + v for k, v in os.environb.items()),
            tuple(sorted(ignored)),
            signals.mask_before,
            not any(os.isatty(fd) for fd in (0, 1, 2)),
        )
        signals.check()
        job = launch.plain(start, name) if given.flag("host") else launch.enclosed(start, name)
        try:
            return signals.stay(job.child, 0 if given.flag("host") else job.group)
        finally:
            if name:
                jobs.forget(name)


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own options, and the command: from the first word that is neither an option nor an option's value, or behind --."""
    mine: list[str] = []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            break
        if not word.startswith("-"):
            todo.insert(0, word)
            break
        mine.append(word)
        option = RECEIVERS.get(word)
        if option is not None and option.metavar and todo:
            mine.append(todo.pop(0))
    return mine, todo
