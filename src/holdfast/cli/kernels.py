"""holdfast kernels: which kernels can be looked at, and which of them are here already."""

from __future__ import annotations

import click

from holdfast.cli import output
from holdfast.kernel import debian, specimen


@click.command(name="kernels")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--refresh", is_flag=True, help="Ask the mirror again, even if its lists are younger than a day.")
@click.option("--series", is_flag=True, help="Only the newest of each upstream series.")
@click.option("--flavour", type=click.Choice([*debian.FLAVOURS, "all"]), default="all", show_default=True)
@click.option(
    "--fetch", "wanted", multiple=True, metavar="NAME", help="Fetch one into the cache: 6.12, 7.0/cloud, newest. May be repeated."
)
def command(as_json: bool, refresh: bool, series: bool, flavour: str, wanted: tuple[str, ...]) -> None:
    """List the kernels that can be had from Debian's mirror, and those that are cached.

    Any of these names is a kernel for `holdfast drift`, as are `live` and the path of raw BTF, a vmlinux, a vmlinuz or a
    Debian kernel package.
    """
    known = debian.available(refresh)
    for name in wanted:
        specimen.fetched(debian.choose(known, name.removeprefix("debian:")))
    shown = [k for k in known if flavour in ("all", k.flavour)]
    if series:
        shown = [k for f in debian.FLAVOURS for k in debian.series(shown, f)]
    rows = [
        {
            "name": k.name,
            "release": k.release,
            "version": k.version,
            "series": k.series,
            "flavour": k.flavour,
            "package": k.package,
            "cached": specimen.is_cached(k),
        }
        for k in shown
    ]
    if as_json:
        output.write(output.document("kernels", "OK", {"kernels": rows}))
        return
    width = max((len(str(r["name"])) for r in rows), default=0)
    for row in rows:
        output.write(f"{row['name']!s:<{width}}  {row['version']!s:<20}  {'cached' if row['cached'] else ''}".rstrip())
