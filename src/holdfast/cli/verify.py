"""holdfast verify: whether an image is whole, and whether this version understands all of it."""

from __future__ import annotations

import click

from holdfast import api
from holdfast.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@click.command(name="verify")
@click.argument("image", type=click.Path(path_type=bytes))
@click.option("--trust", is_flag=True, help="Read an image that another user could have written.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(image: bytes, trust: bool, as_json: bool) -> int:
    """Check the seal, the digest of every frame and of every page, the schema, and that every record can be read.

    \b
    Exit codes: 0 whole, 30 not; the answer says what and where.
    """
    with output.Bar("verifying") as bar:
        found = api.verify(image, trust=trust, progress=bar)
    facts = {**dict(found.items()), "digest": found.digest.hex()}
    return output.say(output.Answer("verify", found.verdict, facts, lines), as_json)


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The answer as text."""
    counts = f"{output.count(facts['frames'], 'frame')}, {output.count(facts['records'], 'record')}"
    what = f"{counts}, {output.size(facts['pages_bytes'])} of pages"
    out = [f"{output.text_of(facts['path'])} is whole: {what}", f"  digest   {facts['digest']}"]
    out += [f"  warning  {w}" for w in facts["warnings"]]
    return out + [f"  unknown  {w}" for w in facts["unchecked"]]
