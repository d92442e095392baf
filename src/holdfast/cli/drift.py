"""holdfast drift: what changed between two kernels, and which of it matters to a checkpoint."""

from __future__ import annotations

import os

import click

from holdfast.cli import output
from holdfast.drift import compare, history, judge, ledger, maintainers, plot, render
from holdfast.drift import series as steps
from holdfast.errors import UsageError
from holdfast.kernel import cache, debian

FORMATS = ("text", "json", "sarif", "ktap")


@click.command(name="drift")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--fail-on", default="breaks,silent", show_default=True, help="Verdicts that make the exit code 60; `none` for never.")
@click.option("--only", default="", metavar="NAME", help="Only what begins with this name: task_struct, mm_struct.flags.")
@click.option("--all", "everything", is_flag=True, help="Also what is decided, was not carried, or only moved.")
@click.option("--maintainers", "tree", default="", metavar="TREE", help="A kernel tree (or its MAINTAINERS file): names who to tell.")
@click.option("--series", type=click.Choice(["debian"]), help="Walk every Debian kernel, the newest of each upstream series, step by step.")
@click.option("--since", default="6.1", show_default=True, help="The oldest upstream series of --series.")
@click.option("--flavour", type=click.Choice(debian.FLAVOURS), default="cloud", show_default=True, help="The flavour of --series.")
@click.option("--svg", default="", metavar="FILE", help="Write the series as a picture.")
@click.option("--record", is_flag=True, help="Write the series, and the full flavour at its ends, to the ledger's history.tsv.")
@click.option("--ledger", "place", default="", metavar="FOLDER", help="Another ledger.")
@click.pass_context
def command(
    ctx: click.Context,
    old: str,
    new: str,
    form: str,
    as_json: bool,
    fail_on: str,
    only: str,
    everything: bool,
    tree: str,
    series: str,
    since: str,
    flavour: str,
    svg: str,
    record: bool,
    place: str,
) -> None:
    """Compare two kernels and join every difference with the ledger.

    A kernel is `live`, `debian:6.12`, `debian:7.0/cloud`, `debian:newest/cloud`, or the path of raw BTF, a vmlinux, a vmlinuz
    or a Debian kernel package.
    """
    failing = verdicts(fail_on)
    if series:
        ctx.exit(walk(since, flavour, as_json or form == "json", everything, svg, record, place))
    if not old or not new:
        raise UsageError("drift.kernels", "drift compares two kernels", where="holdfast drift OLD NEW", do="holdfast kernels lists names")
    judgement = compare.compare(old, new, ledger.load(place))
    if only:
        judgement = keep(judgement, only)
    found = judge.findings(judgement, maintainers.load(tree) if tree else None)
    form = "json" if as_json else form
    verdict = render.verdict(judgement, failing)
    if form == "text":
        output.write(render.text(judgement, found, failing, everything).rstrip("\n"))
    elif form == "json":
        output.write(output.document("drift", verdict, render.facts(judgement, found)))
    elif form == "sarif":
        output.write(render.sarif(found).rstrip("\n"))
    else:
        output.write(render.ktap(judgement, failing).rstrip("\n"))
    if verdict != "OK":
        ctx.exit(60)


def walk(since: str, flavour: str, as_json: bool, everything: bool, svg: str, record: bool, place: str) -> int:
    """Walk Debian's kernels and print what each step changed."""
    book = ledger.load(place)
    with output.Bar("kernels") as bar:
        found = steps.walk(steps.debian_kernels(flavour, since), book, bar)
    if svg:
        cache.write(svg, plot.svg(found).encode())
    if record:
        ends = {k.series for k in steps.debian_kernels("full", since)} & {"6.1", "6.12", ".".join(map(str, found.snapshots[-1].version))}
        with output.Bar("full flavour") as bar:
            full = steps.walk([k for k in steps.debian_kernels("full", since) if k.series in ends], book, bar)
        written = history.text(history.build([*found.snapshots, *full.snapshots]))
        cache.write(os.path.join(book.where, history.NAME), written.encode())
    if as_json:
        output.write(output.document("drift", "OK", steps.facts(found)))
    else:
        output.write(steps.text(found, everything))
    return 0


def verdicts(text: str) -> list[str]:
    """The verdicts in a list with commas.

    Raises:  usage.drift.verdict: one is not known
    """
    if text == "none":
        return []
    out = [v.strip() for v in text.split(",") if v.strip()]
    for v in out:
        if v not in judge.VERDICTS:
            raise UsageError(
                "drift.verdict", f"{v!r} is no verdict", where="--fail-on", do=f"use some of {','.join(judge.VERDICTS)}, or none"
            )
    return out


def keep(judgement: judge.Judgement, only: str) -> judge.Judgement:
    """The part of a judgement that is about names with a beginning."""
    parts = [j for j in judgement.all() if j.change.name == only or j.change.name.startswith(only.rstrip(".") + ".")]
    moved = tuple(j for j in judgement.moved if j.change.name.startswith(only))
    return judgement.replace(singles=tuple(parts), massacres=(), moved=moved)
