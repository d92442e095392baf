"""holdfast completion: a script that completes commands, options and images in bash, zsh or fish."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from holdfast.cli import output


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the script. For this shell only: `eval "$(holdfast completion bash)"`; for every one, put that in its start-up file."""
    from holdfast.cli.commands import group  # it loads this file by name

    made = get_completion_class(shell)
    assert made is not None
    output.write(made(group, {}, "holdfast", "_HOLDFAST_COMPLETE").source().rstrip("\n"))
    return 0
