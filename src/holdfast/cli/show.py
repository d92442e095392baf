"""holdfast show: what an image holds: the tree, the records, the sizes."""

from __future__ import annotations

import time

import click

from holdfast import api
from holdfast.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@click.command(name="show")
@click.argument("image", type=click.Path(path_type=bytes))
@click.option("--record", "kind", metavar="KIND", default="", help="Every record of one kind, such as fd.pipe.")
@click.option("--trust", is_flag=True, help="Read an image that another user could have written.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(image: bytes, kind: str, trust: bool, as_json: bool) -> int:
    """Show who was saved, which kinds of state, and how large it is. Works on images of later versions too.

    The digests of pages are not checked here: see `holdfast verify`.
    """
    if kind:
        found = api.records(image, kind, trust=trust)
        rows = [{"object": str(name), "record": row} for name, row in found]
        return output.say(output.Answer("show", "OK", {"path": image, "kind": kind, "records": rows}, record_lines), as_json)
    shown = api.show(image, trust=trust)
    facts = {
        **dict(shown.items()),
        "arguments": shown.command,
        "digest": shown.digest.hex(),
        "parent": shown.parent.hex() if shown.parent else None,
    }
    del facts["command"]  # in a document that is the name of ours
    return output.say(output.Answer("show", "OK", facts, lines), as_json)


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The overview as text."""
    out = [f"{output.text_of(facts['path'])}: {output.count(len(facts['processes']), 'process', 'processes')}"]
    created = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts["created_ns"] / 1e9))
    how = "left running" if facts["left_running"] else "ended"
    out.append(f"  made     {created} by {facts['tool']} on {facts['kernel']} {facts['machine']}")
    out.append(f"  command  {' '.join(map(output.text_of, facts['arguments']))}")
    out.append(f"  stopped  {output.duration(facts['stopped_ns'])}, then {how}")
    out.append(f"  size     state {output.size(facts['state_bytes'])}, pages {output.size(facts['pages_bytes'])}")
    out.append(f"  digest   {facts['digest']}")
    if facts["parent"]:
        out.append(f"  parent   {facts['parent']}")
    if facts["features"]:
        out.append(f"  needs    {', '.join(facts['features'])}")
    out += ["", f"{'PID':>9}  {'THREADS':>7}  {'AREAS':>5}  {'FDS':>5}  {'MEMORY':>9}  NAME"]
    for p in facts["processes"]:
        name = "  " * p.depth + p.name + (" (zombie)" if p.zombie else "")
        out.append(f"{p.pid:>9}  {p.threads:>7}  {p.areas:>5}  {p.descriptors:>5}  {output.size(p.pages_bytes):>9}  {name}")
    width = max((len(k.kind) for k in facts["kinds"]), default=4)
    out += ["", f"{'KIND':<{width}}  {'VERSION':>7}  {'RECORDS':>7}  {'SIZE':>9}"]
    for k in facts["kinds"]:
        may = "" if k.must_understand else "  may be ignored"
        out.append(f"{k.kind:<{width}}  {k.version:>7}  {k.records:>7}  {output.size(k.bytes):>9}{may}")
    return out


def record_lines(facts: Mapping[str, Any]) -> list[str]:
    """Records as text: a line for each, fields in their order, long byte strings cut."""
    rows = facts["records"]
    out = [f"{output.text_of(facts['path'])}: {output.count(len(rows), 'record')} of {facts['kind']}"]
    for row in rows:
        inner = ", ".join(f"{k}={_short(v)}" for k, v in row["record"].items())
        out.append(f"{row['object']}  {inner}")
    return out


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:160]}... ({len(text)} characters)"
