"""holdfast restore: bring an image back to life, and stay as its parent."""

from __future__ import annotations

from holdfast.cli import output
from holdfast.cli.arguments import JSON, Option, Spec, help_text, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

SPEC = Spec(
    "restore",
    "Bring a saved tree back to life, with the same pids, from where it was.",
    (("IMAGE", "The image: a directory that `holdfast dump` wrote."),),
    (
        Option("detach", "Do not stay as the parent: return as soon as the tree runs."),
        Option("no-verify", "Do not look at the restored tree and compare it with the image before it is let go."),
        Option("dry-run", "Say what would be done, and what this machine lacks for it; start nothing."),
        Option("trust", "Restore an image that another user could have written. It decides what code runs as you."),
        JSON,
    ),
    "The pid is printed as soon as the tree runs. Without --detach the command then stays as its parent: it passes signals on "
    "(INT, TERM, HUP, QUIT, USR1, USR2, ALRM, CONT, TSTP, WINCH), stops and goes on with the program, and ends with the program's "
    "exit status, or 128 + n if signal n ended it. On a terminal, the program gets the terminal as it would from a shell.\n\n"
    "Exit codes before the tree runs: 2 usage, 10 refused, 20 this kernel or user cannot (such as: a pid is taken), 30 the image is "
    "damaged, newer or not ours to trust, 50 what came back differed from the image and was destroyed, 70 a mistake of Holdfast.",
)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    given = parse(SPEC, words)
    if given.flag("help"):
        output.write(help_text(SPEC))
        return 0
    image, trust, as_json = given.arguments[0], given.flag("trust"), given.flag("json")
    if given.flag("dry-run"):
        from holdfast.api import plan  # not on the path of a restore

        made = plan(image, trust=trust)
        return output.say(output.Answer("restore", "LOSSY" if made.warnings else "OK", planned_facts(made), planned_lines), as_json)
    # the first imports what the second needs, while nothing is started yet
    from holdfast.cli import foreground
    from holdfast.engine.restore import restore

    check = not given.flag("no-verify")
    with foreground.Signals() as signals, output.Bar("restoring") as bar:

        def progress(done: int, total: int) -> None:
            signals.check()
            bar(done, total)

        done, child = restore(image, check=check, trust=trust, progress=progress)
        facts = {
            "pid": done.pid,
            "pids": done.pids,
            "path": image.encode("utf-8", "surrogateescape"),
            "verified": check,
            "detached": given.flag("detach"),
            "fill_ns": done.fill_ns,
            "total_ns": done.total_ns,
            "warnings": done.warnings,
        }
        output.say(output.Answer("restore", "LOSSY" if done.warnings else "OK", facts, lines), as_json)
        if given.flag("detach"):
            return 0
        return signals.stay(child, done.group if child != done.pid else 0)


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The answer as text."""
    checked = "verified" if facts["verified"] else "not verified"
    many = output.count(len(facts["pids"]), "process", "processes")
    first = f"pid {facts['pid']} runs again: {many}, {checked}, after {output.duration(facts['total_ns'])}"
    return [first, *(f"  warning  {w}" for w in facts["warnings"])]


def planned_facts(made: Any) -> dict[str, Any]:
    """What a restore would do, as plain values."""
    return dict(made.items())


def planned_lines(facts: Mapping[str, Any]) -> list[str]:
    """The plan as text."""
    out = [f"{output.text_of(facts['path'])} could be restored here; nothing was started"]
    out.append(f"  pids     {' '.join(map(str, facts['pids']))}")
    out.append(f"  plan     {output.count(facts['calls'], 'call')} in {output.count(facts['rounds'], 'round')}")
    out.append(f"  memory   {output.size(facts['pages_bytes'])} to fill")
    taken = facts["taken"]
    if taken:
        out.append(f"  taken    {' '.join(map(str, taken))}: in use at the moment; the restore would be refused")
    return [*out, *(f"  warning  {w}" for w in facts["warnings"])]
