"""What `check` and `dump` ask at dump time: does a discovered tag speak against what these processes use now?

The native engine refuses by its kinds what a reviewer knows; this adds what a hunt has found on this kernel since. It is asked anew for
each dump and nothing is kept: no flag marks a process for ever. Without a store it costs one stat and no import.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
