"""holdfast tags: what of a kernel, a machine or a process is known or discovered to be C/R unsafe."""

from __future__ import annotations

import click

from holdfast.cli import output
from holdfast.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from holdfast.tags.evaluate import Judged
    from holdfast.tags.table import Table

FORMATS = ("text", "json", "sarif")


class Group(click.Group):
    """A group whose first word may be a path: what is no command is given to `judge`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The words, with `judge` before them where the first names no command."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["judge", *args]
        return super().parse_args(ctx, args)


@click.group(
    name="tags",
    cls=Group,
    short_help="What of a kernel, a machine or a process is C/R unsafe.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Judge a kernel config, the running system or one process by what checkpoint/restart is known to carry.

    \b
      holdfast tags                    this machine: config, boot parameters, sysctls
      holdfast tags PATH...            a .config, config.gz, kernel .deb, - for stdin, debian:6.12
      holdfast tags --pid PID          what one process uses now
      holdfast tags show NAME          every row about a name
      holdfast tags add FINDING        a finding becomes a discovered tag
      holdfast tags export             the rows for a kernel tree

    `holdfast tags judge --help` lists the options of the first three.
    """


@command.command(name="judge")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--pid", type=click.IntRange(min=1), multiple=True, help="What this process uses now. May be repeated.")
@click.option("--cmdline", metavar="FILE", help="Boot parameters from a file, as /proc/cmdline has them.")
@click.option("--sysctl", "sysctls", metavar="FILE", help="Sysctls from a file, as `sysctl -a` prints them.")
@click.option(
    "--engine", "engines", default="native", show_default=True, metavar="NAME", help="native, criu, criu:3.17, or several: native,criu."
)
@click.option("--kernel", default="", metavar="RELEASE", help="Judge as for this kernel, such as 6.12; default: what the config says.")
@click.option("--tree", default="", metavar="DIR", help="A kernel tree or debian:newest: where options of newer kernels are declared.")
@click.option("--store", default="", metavar="FILE", help="Discovered tags; default: HOLDFAST_TAGS, or the user's data directory.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--why", is_flag=True, help="With each finding: where, why, source, proof, what to do.")
@click.option("--all", "everything", is_flag=True, help="Also what is OK; in JSON also the verdict of every option.")
@click.option(
    "--fail-on", default="unsafe,unknown,untested,partial", show_default=True, help="Verdicts that make the exit code 60; none: never."
)
@click.pass_context
def judge(
    ctx: click.Context,
    paths: tuple[str, ...],
    pid: tuple[int, ...],
    cmdline: str | None,
    sysctls: str | None,
    engines: str,
    kernel: str,
    tree: str,
    store: str,
    form: str,
    as_json: bool,
    why: bool,
    everything: bool,
    fail_on: str,
) -> None:
    """Verdicts: OK, PARTIAL, UNTESTED, UNKNOWN, UNSAFE. UNKNOWN is never green."""
    # each command pays for its own imports only
    from holdfast.tags import render

    failing = _words(fail_on)
    rows = _table(store, processes=bool(pid) and not (paths or cmdline or sysctls))
    parts: list[tuple[str, Judged]] = []
    for engine, version in _engines(engines):
        if pid:
            parts += [_process(p, rows, engine, kernel, version) for p in pid]
        if cmdline:
            parts.append(_cmdline(cmdline, rows, engine, kernel, version))
        if sysctls:
            parts.append(_sysctl(sysctls, rows, engine, kernel, version))
        if paths:
            parts += [_config(p, rows, tree, engine, kernel, version) for p in paths]
        if not (paths or pid or cmdline or sysctls):
            parts.append(_config("", rows, tree, engine, kernel, version))
            parts.append(_cmdline("", rows, engine, kernel, version))
            parts.append(_sysctl("", rows, engine, kernel, version))
    form = "json" if as_json else form
    if form == "json":
        _print(output.document("tags", render.verdict(j for _, j in parts), render.facts(parts, options=everything)))
    elif form == "sarif":
        _print(render.sarif(parts))
    else:
        _print(render.text(parts, everything=everything, why=why))
    if render.verdict(j for _, j in parts) in failing:
        ctx.exit(60)


@command.command(name="show")
@click.argument("name")
@click.option("--store", default="", metavar="FILE", help="Discovered tags.")
def show(name: str, store: str) -> None:
    """Every row that speaks about NAME: an option, a path, a boot parameter, a sysctl, a runtime key."""
    # each command pays for its own imports only
    from holdfast.tags import page, scopes

    rows = _table(store)
    short = name.removeprefix("CONFIG_")
    paths = scopes.shipped().get(short, "")
    found = rows.of_option(short, paths) if paths else rows.under(name)
    found = found + [r for kind in ("kconfig", "cmdline", "sysctl", "runtime") for r in rows.names[kind].get(name, []) if r not in found]
    if not found:
        raise UsageError(
            "tags.name", f"no row speaks about {name}", why="UNKNOWN is the verdict", do="holdfast tags judge --all lists subjects"
        )
    declared = f"declared in {paths.replace('|', ' and ')}\n\n" if paths else ""
    _print(declared + "\n".join(line for row in found for line in [*page.lines_of(row), ""]))


@command.command(name="add")
@click.argument("finding", type=click.File("rb"))
@click.option("--store", default="", metavar="FILE", help="Where to; default: HOLDFAST_TAGS, or the user's data directory.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def add(finding: BinaryIO, store: str, as_json: bool) -> None:
    """Make a FINDING (a JSON file, - for stdin) a discovered tag.

    Discovered tags are kept apart from reviewed rows and never edited: a later finding about the same thing supersedes.
    """
    # each command pays for its own imports only
    from holdfast.tags import at_dump, discovered

    data = finding.read(1 << 20)
    where = store or at_dump.place()
    added = discovered.add(where, discovered.from_finding(discovered.load_finding(data)))
    if as_json:
        _print(output.document("tags add", "OK", {"store": where, "added": added}))
        return
    for entry in added:
        over = f", supersedes {entry.supersedes[:12]}" if entry.supersedes else ""
        what = f"{entry.kind} {' '.join(entry.names)} is {entry.verdict} ({entry.effect}) for {entry.engine}"
        _print(f"added discovered.{entry.digest[:12]}: {what}{over}")
    if not added:
        _print(f"nothing new: {where} says the same already\n")


@command.command(name="export")
@click.option("--format", "form", type=click.Choice(("kconfig", "fragment", "markdown", "scopes")), default="fragment", show_default=True)
@click.option("--engine", default="native", show_default=True)
@click.option("--effect", "effects", multiple=True, help="Only rows of this effect: lost, refused, failed, unseen. May be repeated.")
@click.option("--tree", default="", metavar="DIR", help="Leave out options that this kernel tree, or debian:6.12, does not have.")
@click.option("--config", default="", metavar="PATH", help="With --tree: also switch off what in this config selects an unsafe option.")
@click.option("--store", default="", metavar="FILE", help="Discovered tags.")
def export(form: str, engine: str, effects: tuple[str, ...], tree: str, config: str, store: str) -> None:
    """The rows for kernel people: a Kconfig file to source, or a fragment for scripts/kconfig/merge_config.sh.

    --format markdown writes the page docs/tags.md; --format scopes the snapshot tags/scopes.txt from trees with commas between them.
    """
    # each command pays for its own imports only
    from holdfast.kernel import kconfig
    from holdfast.tags import export as paper
    from holdfast.tags import fetch, page, source
    from holdfast.tags.tree import read

    if form == "markdown":
        _print(page.render())
        return
    if form == "scopes":
        # only what this command needs is paid for
        from holdfast.tags import scopes

        places = [fetch.tree(t) for t in tree.split(",") if t]
        _print(scopes.write([(scopes.name_of(place), read(place)) for place in places]))
        return
    name = _engines(engine)[0][0]
    if config and not tree:
        raise UsageError("tags.export", "--config needs --tree", why="only a tree says what selects an option", do="give the kernel's tree")
    known = read(fetch.tree(tree)) if tree else None
    found = paper.wishes(_table(store), name, effects, known)
    fixed: dict[str, str] = {}
    if known is not None and config:
        found, fixed = paper.closed(found, known, kconfig.parse(source.read(config)[0]))
    _print(paper.kconfig(found, name) if form == "kconfig" else paper.fragment(found, name, fixed))


def _table(store: str, processes: bool = False) -> Table:
    # only what this command needs is paid for
    from holdfast.tags import at_dump, discovered, in_use, table

    entries = discovered.read(store or at_dump.place())
    return table.load(discovered.tags(entries), in_use.AREAS if processes else ())


# "native,criu:3.17" to pairs of engine and version.
def _engines(text: str) -> list[tuple[str, str]]:
    # only what this command needs is paid for
    from holdfast.kernel.release import numbers
    from holdfast.tags.row import ENGINES

    out = []
    for word in text.split(","):
        name, _, version = word.strip().partition(":")
        if name not in ENGINES:
            raise UsageError(
                "tags.engine", f"no rows about an engine {name!r}", why=f"there are {', '.join(ENGINES)}", do="choose one of them"
            )
        if version:
            numbers(version)
        out.append((name, version))
    return out


def _words(text: str) -> set[str]:
    # only what this command needs is paid for
    from holdfast.tags.evaluate import ORDER

    words = {w.strip().upper() for w in text.split(",")} - {"NONE", ""}
    if words - set(ORDER):
        raise UsageError("tags.fail_on", f"{text!r} holds no verdict", why=f"there are {', '.join(ORDER)}", do="give some, or none")
    return words


def _config(path: str, rows: Table, tree: str, engine: str, kernel: str, version: str) -> tuple[str, Judged]:
    # only what this command needs is paid for
    from holdfast.kernel import kconfig
    from holdfast.tags import evaluate, scopes, source

    data, where = source.read(path) if path else source.running()
    if tree:
        # only what this command needs is paid for
        from holdfast.tags import fetch
        from holdfast.tags.tree import read

        declared = {**scopes.shipped(), **scopes.of_tree(read(fetch.tree(tree)))}
    else:
        declared = scopes.shipped()
    return where, evaluate.config(kconfig.parse(data), rows, declared, engine, kernel, version)


def _cmdline(path: str, rows: Table, engine: str, kernel: str, version: str) -> tuple[str, Judged]:
    # only what this command needs is paid for
    from holdfast.kernel import cmdline
    from holdfast.tags import evaluate

    where = path or "/proc/cmdline"
    return where, evaluate.cmdline(cmdline.parse(_file(where)), rows, engine, kernel or _running(path), version)


def _sysctl(path: str, rows: Table, engine: str, kernel: str, version: str) -> tuple[str, Judged]:
    # only what this command needs is paid for
    from holdfast.kernel import sysctl
    from holdfast.tags import evaluate

    if path:
        known = sysctl.parse(_file(path))
        missing: dict[str, str] = {}
    else:
        known, missing = sysctl.gather(rows.names["sysctl"], _file)
    return path or "/proc/sys", evaluate.sysctl(known, missing, rows, engine, kernel or _running(path), version)


def _process(pid: int, rows: Table, engine: str, kernel: str, version: str) -> tuple[str, Judged]:
    # only what this command needs is paid for
    from holdfast.tags import evaluate, process

    found, dark = process.keys(pid)
    judged = evaluate.process(sorted(found), rows, engine, kernel or _running(""), version)
    if dark:
        judged = evaluate.judge(judged.findings, engine, judged.kernel, {}, dark)
    return f"pid {pid}", judged


def _running(path: str) -> str:
    # only what this command needs is paid for
    import os

    return "" if path else os.uname().release


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError as error:
        if path.startswith("/proc/sys/"):
            raise
        raise UsageError(
            "tags.unreadable", f"{path} cannot be read", where=path, why=str(error.strerror), do="give another file"
        ) from error


def _print(text: str) -> None:
    output.write(text.rstrip("\n"))
