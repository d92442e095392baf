"""The words of `holdfast run`: which are ours, which are the command's."""

from __future__ import annotations

import pytest

from holdfast.cli.run import split


@pytest.mark.parametrize(
    ("words", "mine", "command"),
    [
        (["--", "ls", "-l"], [], ["ls", "-l"]),
        (["ls", "--name", "x"], [], ["ls", "--name", "x"]),
        (["--name", "web", "ls"], ["--name", "web"], ["ls"]),
        (["--name=web", "--host", "--", "--odd"], ["--name=web", "--host"], ["--odd"]),
        (["--host", "ls", "--", "x"], ["--host"], ["ls", "--", "x"]),
        (["--name"], ["--name"], []),
        (["--help"], ["--help"], []),
        ([], [], []),
    ],
)
def test_options_end_where_the_command_begins(words: list[str], mine: list[str], command: list[str]) -> None:
    assert split(words) == (mine, command)
