"""Which decisions a finding touches: rows of the ledger, rows of tags, files of kinds."""

from __future__ import annotations

import os
import re

from holdfast.prog.text import Const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.drift.ledger import Ledger
    from holdfast.hunt.recipe import Recipe
    from holdfast.hunt.verdict import Proof

CALLS: dict[str, str] = {
    "eventfd": "fd:anon_inode:[eventfd]",
    "eventfd2": "fd:anon_inode:[eventfd]",
    "timerfd_create": "fd:anon_inode:[timerfd]",
    "signalfd": "fd:anon_inode:[signalfd]",
    "signalfd4": "fd:anon_inode:[signalfd]",
    "epoll_create": "fd:anon_inode:[eventpoll]",
    "epoll_create1": "fd:anon_inode:[eventpoll]",
    "inotify_init": "fd:anon_inode:inotify",
    "inotify_init1": "fd:anon_inode:inotify",
    "fanotify_init": "fd:anon_inode:[fanotify]",
    "userfaultfd": "fd:anon_inode:[userfaultfd]",
    "io_uring_setup": "fd:anon_inode:[io_uring]",
    "perf_event_open": "fd:anon_inode:[perf_event]",
    "pidfd_open": "fd:pidfd",
    "landlock_create_ruleset": "fd:anon_inode:[landlock-ruleset]",
    "landlock_restrict_self": "cred:landlock",
    "memfd_create": "fd:memfd",
    "memfd_secret": "fd:secretmem",
    "mq_open": "fd:mqueue",
    "pipe": "fd:pipe",
    "pipe2": "fd:pipe",
    "ioprio_set": "attr:ioprio",
    "sched_setaffinity": "attr:affinity",
    "set_mempolicy": "numa:policy",
    "mbind": "numa:policy",
}
"""The runtime key of tags (tags/in_use.py) for what a system call makes."""

STATES = re.compile(r"(prctl|arch_prctl|policy|attr|status|vmflag|feature|numa):|cred:landlock$")
"""Keys that name one state. The others name an object with many: a tag on them would condemn whoever has such an object."""


def ledger_row(proof: Proof, ledger: Ledger | None) -> str:
    """What the ledger says of a proof's place, as one line; empty where it does not speak of it."""
    if proof.oracle != "kernel" or not proof.decision:
        return f"{proof.signature} {proof.decision}" if proof.decision else ""
    struct, _, path = proof.signature.partition(".")
    topic = ledger.structs.get(struct) if ledger is not None else None
    row = topic.own(path, ()) if topic is not None else None
    text = f"{proof.signature} {proof.decision}"
    if row is not None and row.decision == proof.decision:
        text += f" by {row.carried}" if row.carried else f" when {row.when}" if row.when else ""
    return text + (f" ({topic.origin})" if topic is not None and topic.origin else "")


def file_of(carried: str, engine: str) -> str:
    """The file of the kind behind KIND.FIELD, from the top of the source tree; empty where there is none."""
    parts = carried.split(".")
    if engine != "native" or len(parts) < 3 or not all(re.fullmatch(r"\w+", p) for p in parts[:2]):
        return ""
    path = os.path.join("kinds", parts[0], f"{parts[1]}.py")
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return f"src/holdfast/{path}" if os.path.exists(os.path.join(here, path)) else ""


def keys(recipe: Recipe, proofs: Iterable[Proof]) -> set[str]:
    """Runtime keys that tags may know for what a recipe does and a proof names."""
    out: set[str] = set()
    for line in recipe.lines:
        out.add(f"syscall:{line.call}")
        if line.call in CALLS:
            out.add(CALLS[line.call])
        names = [c.name for c in line.values if isinstance(c, Const)]
        out.update(f"{prefix}:{name}" for name in names for prefix in ("prctl", "arch_prctl", "policy"))
        if line.call in ("socket", "socketpair"):
            family, kind, protocol = ([n for n in names if n.startswith(p)][:1] for p in ("AF_", "SOCK_", "IPPROTO_"))
            whole = "/".join([*family, *kind, *protocol])
            out.update(f"sock:{'/'.join(whole.split('/')[:n])}" for n in (1, 2, 3))
    for p in proofs:
        word, _, name = p.signature.partition(".")
        if word == "status-keys":
            out.add(f"status:{name}")
        elif word == "smaps-keys" and name == "VmFlags":
            out.update(f"vmflag:{letters}" for letters in set(p.before.split()) ^ set(p.after.split()))
        elif p.signature == "proc.timerslack_ns":
            out.add("attr:timerslack")
    return out


def tags(recipe: Recipe, proofs: Iterable[Proof]) -> tuple[str, ...]:
    """The names of the rows of tags that speak of what a recipe does, sorted."""
    from holdfast.tags import table  # a campaign that finds nothing does not pay for it

    known = table.load().names["runtime"]
    return tuple(sorted({row.name for key in keys(recipe, proofs) for row in known.get(key, ())}))


def exact(recipe: Recipe, proofs: Iterable[Proof]) -> tuple[str, ...]:
    """The runtime keys that name this very state, so that a discovered tag on them condemns nobody else; sorted."""
    from holdfast.tags import table  # a campaign that finds nothing does not pay for it

    known = table.load().names["runtime"]
    return tuple(sorted(k for k in keys(recipe, proofs) if k in known and STATES.match(k)))
