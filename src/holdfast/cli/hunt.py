"""holdfast hunt: discover by brute force what a checkpoint and a restore lose."""

from __future__ import annotations

import os
import signal
import sys
import time

import click

from holdfast.cli import output
from holdfast.errors import Found, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from holdfast.hunt.campaign import Campaign, Ended, Plan
    from holdfast.hunt.pool import Known, Pool, Task
    from holdfast.hunt.progress import Progress
    from holdfast.hunt.recipe import Recipe
    from holdfast.hunt.store import Store
    from holdfast.hunt.verdict import Round
    from holdfast.hunt.worker import Crew
    from holdfast.report.result import Report

FORMATS = ("ktap", "junit", "html", "markdown", "sarif")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MOST_JOBS = 4
MOST_TEXT = 64 << 20  # of recipes in one file


class Span(click.ParamType[float]):
    """A time: 90, 90s, 10m, 2h; in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        text = str(value)
        number, unit = (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1)
        try:
            seconds = float(number) * unit
        except ValueError:
            seconds = -1.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{text} is no time: 90s, 10m, 2h", param, ctx)
        return seconds


@click.command(
    name="hunt", short_help="Discover what a checkpoint and a restore lose.", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--engine", "engines", multiple=True, metavar="NAME", help="native, criu:PATH; may be repeated.  [default: native]")
@click.option("--only", multiple=True, metavar="GLOB", help="Only these interfaces, or names of recipes. May be repeated.")
@click.option("--points", is_flag=True, help="Also with the checkpoint at every other point of each recipe whose state is seen.")
@click.option("--pairs", type=click.IntRange(min=0), default=0, help="How many combinations are drawn, rarely tried ones first.")
@click.option(
    "--shrink",
    type=click.Choice(("none", "drawn", "all")),
    default="drawn",
    show_default=True,
    help="Find the least recipe of what only combinations and other points show, or of every loss.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the drawn combinations.")
@click.option("--budget", type=Span(), default=None, help="How long it may take, such as 10m; what is left is done by --resume.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Rounds at a time.  [default: processors, at most 4]")
@click.option("--limit", type=Span(), default=30.0, help="How long one round may take.  [default: 30s]")
@click.option("--as", "as_", type=click.Choice(("root", "user")), default=None, help="With or without a user namespace around it.")
@click.option("--resume", is_flag=True, help="Go on with the last campaign of the store, with its options.")
@click.option("--replay", multiple=True, metavar="FILE", help="Only the recipes in these files, - for stdin. May be repeated.")
@click.option("--store", default="", metavar="FILE", help="Where rounds are kept; default: HOLDFAST_HUNT, or the user's data directory.")
@click.option("--cluster", default="", metavar="ADDRESS", help="Give rounds to the workers of this Dask scheduler.")
@click.option("--list", "list_", is_flag=True, help="Print the recipes and run nothing.")
@click.option("--report", is_flag=True, help="Run nothing: report the last campaign of the store.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--ktap", metavar="FILE", help="Write the results as KTAP, for kselftest and KernelCI.")
@click.option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
@click.option("--sarif", metavar="FILE", help="Write the findings as SARIF.")
@click.option("--html", metavar="FILE", help="Write the results as one self-contained page.")
@click.option("--markdown", metavar="FILE", help="Write the findings, with what a program sees of each, as Markdown.")
@click.option("--propose", metavar="DIR", help="Write ledger rows and discovered tags for review.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Make every state that the interface tables know in a fresh process, checkpoint it, restore it, and compare.

    \b
      holdfast hunt                              everything, on this engine
      holdfast hunt --only setsockopt            one interface
      holdfast hunt --engine native --engine criu:/usr/sbin/criu --budget 30m
      holdfast hunt --replay FILE                one reproducer

    What runs lives in namespaces of its own. Exit code 60 if something was lost without a word.
    """
    ctx.exit(_hunt(given))


def _hunt(given: dict[str, Any]) -> int:
    # each command pays for its own imports only
    from holdfast.hunt.store import Store

    path = given["store"] or _place()
    with Store(path) as store:
        if given["report"]:
            if not store.last():
                raise UsageError("hunt.report", "there is no campaign in the store", where=path, do="run holdfast hunt first")
            return _tell(given, store, store.last(), None, ())
        return _campaign(given, store)


def _place() -> str:
    # XDG Base Directory Specification
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.environ.get("HOLDFAST_HUNT") or os.path.join(home, "holdfast", "hunt.db")


def _campaign(given: dict[str, Any], store: Store) -> int:
    # each command pays for its own imports only
    from holdfast.hunt import campaign, cgroup, corpus, least
    from holdfast.hunt.deny import denied, refusal
    from holdfast.hunt.interfaces.registry import chosen
    from holdfast.hunt.worker import crew_for

    number, plan = _plan(given, store)
    engines = campaign.known(plan.engines)
    crew = crew_for(plan.engines, plan.user)
    cgroup.sweep()
    replayed = _replayed(given["replay"])
    for recipe in replayed:
        why = denied(recipe)
        if why:
            raise refusal(recipe, why)
    recipes = replayed or campaign.listed(crew, plan.only)
    if given["list_"]:
        return _list(recipes, given["as_json"])
    if not recipes:
        raise UsageError("hunt.only", "no recipe fits", where=f"--only {' '.join(plan.only)}", do="holdfast hunt --list")
    number = number or store.begin(dict(plan.items()) | {"replayed": len(replayed)})
    began = time.monotonic()
    hunt = campaign.Campaign(store, number, engines)
    failed = [] if replayed else chosen(hunt.old_failures(), plan.only)
    pool = _pool(given, crew, engines)
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, signal.default_int_handler)  # an end that was asked for is told, and cleans up
    try:
        with _progress(given) as progress:
            deadline = began + given["budget"] if given["budget"] else None
            old = [] if replayed else chosen(corpus.load(), plan.only)
            left = hunt.run(_stages(hunt, plan, recipes, failed, old), pool, progress, deadline)
            if not left:
                for round_ in least.find(hunt.rounds(), engines, pool, given["shrink"], deadline, progress.tick):
                    store.add(number, round_)
    except KeyboardInterrupt:
        output.story(f"stopped; what was done is in {store.path}, and holdfast hunt --resume goes on")
        return 130
    finally:
        pool.close()
    if not left:
        store.end(number)
    return _tell(given, store, number, hunt.ended(left, time.monotonic() - began), getattr(pool, "missing", ()))


def _plan(given: dict[str, Any], store: Store) -> tuple[int, Plan]:
    # each command pays for its own imports only
    from holdfast.hunt.campaign import Plan, plan_of

    if given["resume"]:
        unfinished = store.unfinished()
        if unfinished is None:
            raise UsageError("hunt.resume", "there is nothing to go on with", where=store.path, why="the last campaign came to its end")
        if given["replay"] or unfinished[1].get("replayed"):
            raise UsageError("hunt.resume", "a replay does not go on", where=store.path, do="give --replay FILE alone")
        return unfinished[0], plan_of(unfinished[1])
    user = given["as_"] == "user" if given["as_"] else os.geteuid() != 0
    if given["as_"] == "root" and os.geteuid():
        raise UsageError("hunt.as", "--as root needs root", do="sudo, or --as user")
    return 0, Plan(given["engines"] or ("native",), given["only"], given["points"], given["pairs"], given["seed"], user)


def _replayed(files: Sequence[str]) -> list[Recipe]:
    from holdfast.hunt.recipe import HEAD, parse, unique  # as above

    out: list[Recipe] = []
    for name in files:
        try:
            with click.open_file(name, encoding="utf-8") as f:
                text = f.read(MOST_TEXT)
        except (OSError, UnicodeDecodeError) as cause:
            raise UsageError("hunt.replay", f"{name} cannot be read", where=name, why=str(cause)) from cause
        parts = [part for part in text.split(HEAD) if part.strip()]
        out += [parse(HEAD + part, name) for part in parts]
    return unique(out)


def _list(recipes: Sequence[Recipe], as_json: bool) -> int:
    if as_json:
        facts = {"recipes": [{"name": r.name, "interface": r.interface, "key": r.key, "text": r.text()} for r in recipes]}
        output.write(output.document("hunt", "OK", facts))
    else:
        for recipe in recipes:
            output.write(recipe.name, flush=False)
    return 0


def _pool(given: dict[str, Any], crew: Crew, engines: Sequence[Known]) -> Pool:
    kernel = os.uname().release
    if given["cluster"]:
        from holdfast.hunt.cluster import Cluster  # the extra holdfast[cluster]

        return Cluster(given["cluster"], crew, given["limit"], kernel)
    from holdfast.hunt.pool import Local  # as above

    jobs = given["jobs"] or min(MOST_JOBS, len(os.sched_getaffinity(0)))
    return Local(crew, jobs, given["limit"], kernel)


def _progress(given: dict[str, Any]) -> Progress:
    from holdfast.hunt.progress import Progress, Tally  # as above

    return Progress(Tally(given["budget"] or 0.0), sys.stderr, output.story)


def _stages(
    hunt: Campaign, plan: Plan, recipes: Sequence[Recipe], failed: Sequence[Recipe], old: Sequence[Recipe]
) -> Iterator[Iterable[Task]]:
    if old:
        yield hunt.order(old)
    yield hunt.order(recipes, failed)
    if plan.points:
        yield hunt.order(list(hunt.points()))
    if plan.pairs:
        # Hypothesis, the extra holdfast[hunt]: who draws nothing does not need it
        from holdfast.hunt import draw

        done = hunt.rounds()
        yield hunt.order(list(draw.pairs(draw.worth(recipes, done), draw.tried(done), plan.pairs, plan.seed)))


# --- the answer


def _tell(given: dict[str, Any], store: Store, number: int, ended: Ended | None, missing: Sequence[str]) -> int:
    # each command pays for its own imports only
    from holdfast.drift import ledger
    from holdfast.hunt import triage
    from holdfast.report import as_json

    rounds = list(store.rounds(number))
    found = triage.report(rounds, ledger.load(), _facts(store, number, ended), _gaps(ended, missing, _user(store)))
    _write(given, found, rounds)
    lost = sum(r.verdict == "lost" for r in rounds)
    # what failed or was flaky says nothing good of what it was about
    unsure = found.verdict == "UNKNOWN" or any(r.verdict in ("failed", "flaky") for r in rounds)
    verdict = "LOSSY" if lost else "UNKNOWN" if unsure else "OK"
    code = Found.exit_code if lost else 0
    if given["as_json"]:
        facts = as_json.facts(found) | {"campaign": number, "store": store.path, "engines_differ": _differing(store, number)}
        output.write(output.document("hunt", verdict, facts))
        return code
    from holdfast.report import as_text  # as above

    text = as_text.render(found).partition(" ")[2].rstrip("\n")
    lines = [*text.split("\n"), *_side_by_side(store, number)]
    if ended is not None and ended.left:
        lines += ["", f"{output.count(ended.left, 'round')} left: holdfast hunt --resume"]
    return output.say(output.Answer("hunt", verdict, {}, lambda _: lines, code), False)


def _facts(store: Store, number: int, ended: Ended | None) -> dict[str, str]:
    facts = {"campaign": str(number), "store": store.path}
    if ended is not None and ended.seconds > 0:
        facts["rounds"] = f"{ended.done}, {output.count(len(ended.new), 'new loss', 'new losses')}, in {ended.seconds:.1f} s"
    return facts


# Whether the last campaign ran in user namespaces.
def _user(store: Store) -> bool:
    return bool(store.options(store.last()).get("user"))


def _gaps(ended: Ended | None, missing: Sequence[str], user: bool) -> list[str]:
    gaps = [f"no limit of {name} could be set for subjects (cgroup)" for name in missing]
    if user:
        gaps.append("live kernel structs: --as user cannot read them, so only getters, /proc, memory and behaviour were looked at")
    if ended is not None and ended.denied:
        gaps.append(f"{output.count(len(ended.denied), 'recipe')} on the deny list: {', '.join(n for n, _ in ended.denied[:5])}")
    if ended is not None and ended.left:
        gaps.append(f"{output.count(ended.left, 'round')} for which there was no time")
    return gaps


def _differing(store: Store, number: int) -> dict[str, dict[str, str]]:
    return dict(store.differing(number))


MOST_LINES = 40


def _side_by_side(store: Store, number: int) -> list[str]:
    rows = list(store.differing(number))
    if not rows:
        return []
    engines = sorted({e for _, by in rows for e in by})
    width = min(70, max(len(name) for name, _ in rows))
    widths = [max(len(e), 10) for e in engines]
    out = ["", f"engines differ on {output.count(len(rows), 'recipe')}:"]
    out.append("  ".join(["recipe".ljust(width), *(e.ljust(w) for e, w in zip(engines, widths, strict=True))]).rstrip())
    for name, by in rows[:MOST_LINES]:
        out.append(
            "  ".join([name[:width].ljust(width), *(by.get(e, "-").ljust(w) for e, w in zip(engines, widths, strict=True))]).rstrip()
        )
    if len(rows) > MOST_LINES:
        out.append(f"... and {len(rows) - MOST_LINES} more: --json, --html")
    return out


def _write(given: dict[str, Any], found: Report, rounds: Sequence[Round]) -> None:
    for form in FORMATS:
        path = given.get(form)
        if path:
            text = _rendered(form)(found)
            with click.open_file(path, "w", encoding="utf-8") as f:
                f.write(text)
    if given["propose"]:
        from holdfast.hunt import propose  # as above

        output.story(f"{output.count(len(propose.write(given['propose'], rounds)), 'file')} for review in {given['propose']}")


def _rendered(form: str) -> Callable[[Report], str]:
    if form == "ktap":
        from holdfast.report import as_ktap  # who wants one form does not pay for the others

        return as_ktap.of
    if form == "junit":
        from holdfast.report import as_junit  # as above

        return as_junit.render
    if form == "markdown":
        from holdfast.report import as_markdown  # as above

        return as_markdown.render
    if form == "sarif":
        from holdfast.report import as_sarif  # as above

        return as_sarif.of
    from holdfast.report import as_page  # as above

    return as_page.render
