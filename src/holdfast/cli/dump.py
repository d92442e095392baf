"""holdfast dump: save a running process and everything below it."""

from __future__ import annotations

from holdfast.cli import output
from holdfast.cli.arguments import JSON, Option, Spec, help_text, parse
from holdfast.cli.targets import pid_of
from holdfast.engine.dump import dump
from holdfast.errors import Refused
from holdfast.kinds.evidence import Options
from holdfast.tags import at_dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from holdfast.engine.dump import Dumped

OPTIONS = (
    Option("shell-job", "A terminal or session outside the tree becomes the one that it is restored in."),
    Option("external-stdio", "Pipes and sockets on descriptors 0 to 2 that lead out of the tree become the restorer's."),
    Option("reset-tcp", "Established TCP connections are restored as reset by the other side."),
    Option("no-kernel-state", "Live kernel structs are not read for state that nothing else shows (reading them needs root)."),
    Option("strict", "What cannot be checked counts against a dump."),
)
SPEC = Spec(
    "dump",
    "Save a running process, its threads and its children, to an image.",
    (("PID|NAME", "The process at the top of the tree, or the name of a job of `holdfast run`."),),
    (
        Option("output", "The image: a directory that does not exist yet.", "IMAGE", "o", required=True),
        Option("leave-running", "Let the tree go on; it stands still only while a copy-on-write twin of it is made."),
        *OPTIONS,
        JSON,
    ),
    "Everything is looked at before anything is touched. What cannot be carried is refused by name, all reasons at once, and the tree "
    "goes on as it was. Without --leave-running the tree is killed once its state is copied.\n\n"
    "Exit codes: 0 dumped, 2 usage, 10 refused, 20 this kernel or user cannot, 40 the tree changed: try again, 70 a mistake of Holdfast. "
    "The first word of the answer is OK, LOSSY (carried in part; says what), or UNKNOWN (something could not be checked; says what).",
)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    given = parse(SPEC, words)
    if given.flag("help"):
        output.write(help_text(SPEC))
        return 0
    pid = pid_of(given.arguments[0])
    options = Options(**{option.name.replace("-", "_"): given.flag(option.name) for option in OPTIONS})
    if against := at_dump.refusals(pid):
        tags = output.count(len(against), "discovered tag")
        raise Refused("discovered", f"pid {pid} cannot be dumped: {tags} against it", refusals=against)
    with output.Bar("dumping") as bar:
        done = dump(pid, given.values["output"], leave_running=given.flag("leave-running"), options=options, progress=bar)
    return output.say(output.Answer("dump", done.admission.verdict, facts(pid, done), lines), given.flag("json"))


def facts(pid: int, done: Dumped) -> dict[str, Any]:
    """What a dump did, as plain values."""
    return {
        "pid": pid,
        "pids": done.pids,
        "path": done.path,
        "digest": done.digest.hex(),
        "left_running": done.left_running,
        "how": done.how,
        "stopped_ns": done.stopped_ns,
        "total_ns": done.total_ns,
        "state_bytes": done.state_size,
        "pages_bytes": done.pages_size,
        "files": done.files,
        **admission_facts(done.admission),
    }


def admission_facts(admission: Any) -> dict[str, Any]:
    """Refusals, losses and what could not be checked, as plain values."""
    return {"refusals": admission.refusals, "losses": admission.losses, "unchecked": admission.unchecked, "unread": admission.unread}


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The answer as text."""
    then = "it goes on" if facts["left_running"] else "it was ended"
    size = output.size(facts["state_bytes"] + facts["pages_bytes"])
    many = output.count(len(facts["pids"]), "process", "processes")
    return [
        f"{many} of pid {facts['pid']} saved to {output.text_of(facts['path'])}; {then}",
        f"  stopped  {output.duration(facts['stopped_ns'])}, whole dump {output.duration(facts['total_ns'])}",
        f"  size     {size} in {output.count(facts['files'], 'file')}",
        *admission_lines(facts),
    ]


def admission_lines(facts: Mapping[str, Any]) -> list[str]:
    """Refusals, losses and what could not be checked, as text."""
    out = [str(refusal) for refusal in facts["refusals"]]
    out += [f"  lost     {loss}" for loss in facts["losses"]]
    for first, more in _alike(facts["unchecked"]):
        why = f" ({first.why})" if first.why else ""
        out.append(f"  unknown  {first.kind}: {first.what}{f', and {more} more like it' if more else ''}{why}")
    if facts["unread"] is not None:
        out.append(f"  unread   {facts['unread'].what} ({facts['unread'].why})")
    return out


def _alike(questions: Sequence[Any]) -> Iterable[tuple[Any, int]]:
    # of many questions with one reason the first, and how many follow
    found: dict[tuple[str, str], list[Any]] = {}
    for question in questions:
        found.setdefault((question.kind, question.why), []).append(question)
    for group in found.values():
        yield from ((group[0], len(group) - 1),) if len(group) > 3 else ((one, 0) for one in group)
