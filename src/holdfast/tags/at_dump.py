"""What `check` and `dump` ask at dump time: does a discovered tag speak against what these processes use now?

The native engine refuses by its kinds what a reviewer knows; this adds what a hunt has found on this kernel since. It is asked anew for
each dump and nothing is kept: no flag marks a process for ever. Without a store it costs one stat and no import.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.model.census import Refusal
    from holdfast.model.finding import Finding


def place() -> str:
    """The store that commands use: HOLDFAST_TAGS, or a file in the user's data directory.

    Source:  XDG Base Directory Specification
    """
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.environ.get("HOLDFAST_TAGS") or os.path.join(home, "holdfast", "tags.jsonl")


def stops(pids: Iterable[int], engine: str = "native", kernel: str = "", store: str = "") -> list[Finding]:
    """Each discovered tag that is unsafe for the engine and in use by one of these processes, with its reproducer.

    Shape:   `kernel` is the running release; `where` of a finding names the pid and the key
    Needs:   the right to trace the processes; none of them need be stopped
    Raises:  usage.tags.damaged: the store cannot be trusted
    Raises:  target_changed.gone: a process ended meanwhile
    """
    store = store or place()
    if not os.path.exists(store):
        return []
    # only who has a store pays for reading it and for looking at the processes
    from holdfast.tags import discovered, evaluate, process, table

    rows = table.Table(r for r in discovered.tags(discovered.read(store)) if r.kind == "runtime" and r.of(engine))
    if not rows.rows:
        return []
    found = []
    for pid in pids:
        keys, _ = process.keys(pid)
        judged = evaluate.process(sorted(keys), rows, engine, kernel)
        found += [f.replace(where=f"pid {pid}: {f.where}") for f in judged.findings if f.evidence == "discovered" and f.verdict == "UNSAFE"]
    return found


def refusals(pid: int, kernel: str = "", store: str = "") -> list[Refusal]:
    """What discovered tags have against a dump of a process and everything below it by the native engine, as refusals.

    Shape:   `kernel` defaults to the running one
    Needs:   as stops
    """
    if not os.path.exists(store or place()):
        return []
    # only who has a store pays for this
    from holdfast.model.census import Refusal

    return [
        Refusal(
            "tags.discovered",
            f"{f.fact('names')} is in use, and a hunt found: {f.what}",
            f.where,
            f"{f.source}; reproduce it: {f.reproducer}",
            f.do,
        )
        for f in stops(_tree(pid), "native", kernel or os.uname().release, store)
    ]


# The process and its descendants as they are now; who comes later is found by the engine's own look at what it stopped.
def _tree(pid: int) -> list[int]:
    # only who has a store pays for this
    from holdfast.kernel.procfs.listing import children
    from holdfast.kernel.source import Live

    found = [pid]
    for one in found:
        try:
            with Live(f"/proc/{one}") as source:
                found += [int(child) for child in children(source)]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
