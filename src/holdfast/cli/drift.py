"""holdfast drift: what changed between two kernels, and which of it matters to a checkpoint."""

from __future__ import annotations

import click

from holdfast.cli import output
from holdfast.drift import compare, judge, ledger, maintainers, render
from holdfast.errors import UsageError

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
@click.option("--ledger", "place", default="", metavar="FOLDER", help="Another ledger.")
@click.pass_context
def command(
    ctx: click.Context, old: str, new: str, form: str, as_json: bool, fail_on: str, only: str, everything: bool, tree: str, place: str
) -> None:
    """Compare two kernels and join every difference with the ledger.

    A kernel is `live`, `debian:6.12`, `debian:7.0/cloud`, `debian:newest/cloud`, or the path of raw BTF, a vmlinux, a vmlinuz
    or a Debian kernel package.
    """
    failing = verdicts(fail_on)
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
