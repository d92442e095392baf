"""Every command but dump and restore, and their shared --help and completion: a click group that loads a command when it is named.

A command is a file of this folder whose docstring begins with `holdfast NAME: `, and which holds a click command `command`;
so a new command is one file. The two that are read by hand hold a SPEC instead, which is shown to click only for help and completion.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import output
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cli.arguments import Spec

MARK = '"""holdfast '
VERSION = "0.1.0"


def summaries() -> dict[str, str]:
    """Every command with what it does, in one line, sorted by name; read from the files, not imported."""
    here = os.path.dirname(__file__)
    found = {}
    for name in sorted(os.listdir(here)):
        if not name.endswith(".py"):
            continue
        with open(os.path.join(here, name), encoding="utf-8") as file:
            first = file.readline()
        command, colon, summary = first.removeprefix(MARK).partition(": ")
        if first.startswith(MARK) and colon and command.replace("-", "_") == name.removesuffix(".py"):
            found[command] = summary.strip().removesuffix('"""').rstrip(".")
    return found


class Commands(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name."""
        return list(summaries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, loaded now."""
        if cmd_name not in summaries():
            return None
        module: Any = import_module(f"holdfast.cli.{cmd_name.replace('-', '_')}")
        found = getattr(module, "command", None)
        return found if isinstance(found, click.Command) else _by_hand(module.SPEC, module.main)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names.

        Raises:  usage.unknown_command: there is no such command
        """
        name = args[0]
        if name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        import difflib  # only who mistypes pays for it

        near = difflib.get_close_matches(name, list(summaries()), 1)
        hint = f"did you mean {near[0]}?" if near else "holdfast --help lists the commands"
        raise UsageError("unknown_command", f"there is no command {name}", do=hint)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for --help, without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(summaries().items()))


class Target(click.ParamType[str]):
    """A pid or a job's name; completes the names of jobs."""

    name = "pid|name"


# The form in which click completes a command that is read by hand.
def _by_hand(spec: Spec, main: Any) -> click.Command:
    params: list[click.Parameter] = []
    for metavar, _ in spec.arguments:
        kind: click.ParamType[Any] = click.Path() if metavar == "IMAGE" else Target()
        name = "".join(letter if letter.isalnum() else "_" for letter in metavar.lower())
        params.append(click.Argument([name], type=kind, metavar=metavar, nargs=-1 if metavar.endswith("...") else 1))
    for option in spec.options:
        names = [f"--{option.name}", *([f"-{option.letter}"] if option.letter else [])]
        if option.metavar:
            params.append(click.Option(names, help=option.help, metavar=option.metavar, type=click.Path()))
        else:
            params.append(click.Option(names, help=option.help, is_flag=True))
    return click.Command(spec.name, params=params, help=spec.summary, callback=lambda **_: main(["--help"]))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, invoke_without_command=True)
@click.version_option(VERSION, prog_name="holdfast")
@click.pass_context
def group(ctx: click.Context) -> None:
    """Checkpoint/restart for Linux processes: save running programs to disk and bring them back, or say exactly why not.

    Exit codes: 0 done; 2 the call is wrong; 10 refused: state that cannot be carried; 20 this kernel or user cannot; 30 the image is
    bad; 40 the target changed, try again; 50 what was restored differs; 60 something was found; 70 a mistake of Holdfast.
    """
    if ctx.invoked_subcommand is None:
        output.write(ctx.get_help())


def main(words: Sequence[str]) -> int:
    """Run a command by name; its exit code.

    Raises:  usage.click: what click says of a wrong call
    """
    try:
        code = group.main(args=list(words), prog_name="holdfast", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        return 130
    except click.ClickException as wrong:
        context = getattr(wrong, "ctx", None)
        raise UsageError(
            "click",
            wrong.format_message(),
            where=context.get_usage().removeprefix("Usage: ") if context is not None else f"holdfast {' '.join(words)}",
            do=f"{context.command_path if context is not None else 'holdfast'} --help",
        ) from wrong
    sys.stdout.flush()
    return code if isinstance(code, int) else 0
