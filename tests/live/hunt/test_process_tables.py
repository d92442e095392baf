"""Each recipe about a process and its memory, made in a subject without any checkpoint: what cannot be set is not our mistake."""

from __future__ import annotations

import errno
import importlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import TargetChanged
from holdfast.hunt import place
from holdfast.hunt.interfaces import harvest
from holdfast.hunt.sandbox import run
from holdfast.hunt.subject import NOT_BACK, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.hunt.recipe import Recipe
    from holdfast.prog.text import Line

pytestmark = [pytest.mark.root, pytest.mark.live]

PROGRAM = "/tmp/subject"
MISTAKES = {errno.EFAULT, errno.EBADF, errno.ESRCH, errno.ENOTDIR, errno.ENOENT, errno.ENOTTY, errno.E2BIG, errno.EMSGSIZE, errno.ECHILD}
"""What a call says to a wrong address, descriptor, path or size; a state that a kernel lacks is another errno."""
SETTABLE = {
    "prctl": {"prctl"},
    "arch": {"arch_prctl"},
    "memory": {"mmap", "mprotect", "madvise", "mremap", "mlock", "munmap", "brk"},
    "memfd": {"memfd_create", "seals"},
    "userfaultfd": {"userfaultfd"},
    "mempolicy": set(),
    "sched": {"sched_setattr", "sched_setscheduler", "setpriority", "ioprio_set", "sched_setaffinity"},
    "limits": {"prlimit"},
    "credentials": {"setresuid", "setgroups", "capset", "securebits", "keyctl", "personality", "umask", "unshare", "setns", "sethostname"},
    "security": {"seccomp", "set_robust_list", "membarrier", "futex", "rseq"},
    "procwrite": {"proc"},
}
"""Interfaces of each table of which every kernel that we know has states to set."""


def ask(lines: Sequence[Line], getter: Line) -> bytes | int | None:
    """What a getter says in a fresh subject."""
    subject = Subject.start(PROGRAM)
    try:
        seen = subject.run((*lines, getter))
        if any(one.error for one in seen):
            return None
        return seen[-1].data[0] if seen[-1].data else seen[-1].result
    finally:
        subject.end()


def wrong(recipe: Recipe) -> str:
    """Why a state cannot be set; empty where it is set and every line that looks or goes on can be made."""
    place.fresh(place.FOLDER)
    subject = Subject.start(PROGRAM)
    line = None
    try:
        for line in recipe.lines:
            (seen,) = subject.run((line,))
            if seen.error:
                return f"{errno.errorcode[seen.error]} {line}"
            if line.blocks and seen.result != NOT_BACK:
                return f"does not block: {line}"
        if not subject.alive():
            return "it died"
        for line in (*recipe.get, *recipe.after):
            subject.run((line,))
    except (TargetChanged, OSError) as error:
        return f"{type(error).__name__} {error} at {line}"
    finally:
        subject.end()
    return ""


def tried(table: str) -> dict[str, Any]:
    """What became of the recipes of a table, inside a sandbox."""
    module = importlib.import_module(f"holdfast.hunt.interfaces.{table}")
    recipes = list(module.recipes(harvest.load(()), ask))
    why = {r.name: wrong(r) for r in recipes}
    settable = Counter(r.interface for r in recipes if not why[r.name])
    return {"settable": settable, "unsettable": {name: text for name, text in why.items() if text}}


@pytest.mark.parametrize("table", SETTABLE)
def test_what_cannot_be_set_is_what_the_kernel_lacks(table: str) -> None:
    told = run(tried, table)
    mistakes = {errno.errorcode[n] for n in MISTAKES} | {"TargetChanged", "OSError", "does", "FileNotFoundError", "ProcessLookupError"}
    assert {name: text for name, text in told["unsettable"].items() if text.split()[0] in mistakes} == {}
    assert SETTABLE[table] - set(told["settable"]) == set()
