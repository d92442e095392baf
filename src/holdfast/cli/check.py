"""holdfast check: what a dump would refuse, lose or be unable to check; the process is only looked at."""

from __future__ import annotations

import click

from holdfast import api
from holdfast.cli import dump, output
from holdfast.cli.targets import pid_of
from holdfast.kinds.evidence import Options
from holdfast.tags import at_dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

EXIT = {"OK": 0, "LOSSY": 0, "REFUSED": 10, "UNKNOWN": 11}


def options(command: click.Command) -> click.Command:
    """The options that change what a dump allows, the same as those of `holdfast dump`."""
    for option in reversed(dump.OPTIONS):
        command = click.option(f"--{option.name}", is_flag=True, help=option.help)(command)
    return command


@click.command(name="check")
@click.argument("target", metavar="PID|NAME")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(target: str, as_json: bool, **given: bool) -> int:
    """Say what stands against a dump of a process and everything below it: every refusal and every loss, without touching it.

    \b
    Exit codes: 0 OK or LOSSY, 10 REFUSED, 11 UNKNOWN (something could not be checked, so it may be refused or lost).
    """
    pid = pid_of(target)
    found = api.check(pid, options=Options(**given))
    found = found.replace(refusals=(*found.refusals, *at_dump.refusals(pid)))
    kinds: dict[str, int] = {}
    for thing in found.census.objects:
        kinds[thing.kind] = kinds.get(thing.kind, 0) + 1
    facts = {"pid": pid, "objects": kinds, **dump.admission_facts(found)}
    return output.say(output.Answer("check", found.verdict, facts, lines, EXIT[found.verdict]), as_json)


command = options(command)


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The answer as text."""
    parts = []
    for name, one, many in (("refusals", "refusal", "refusals"), ("losses", "loss", "losses"), ("unchecked", "question", "questions")):
        if facts[name]:
            parts.append(output.count(len(facts[name]), one, many) + (" without an answer" if name == "unchecked" else ""))
    found = ", ".join(parts) or f"all {sum(facts['objects'].values())} objects can be carried"
    return [f"pid {facts['pid']}: {found}", *dump.admission_lines(facts)]
