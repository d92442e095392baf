"""Each recipe about descriptors, signals, timers, IPC and trees, made in a subject without a checkpoint: what cannot be set is known."""

from __future__ import annotations

import errno
import importlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.hunt import place
from holdfast.hunt.interfaces import harvest
from holdfast.hunt.sandbox import run
from holdfast.hunt.subject import NOT_BACK, Subject

if TYPE_CHECKING:
    from holdfast.hunt.recipe import Recipe

pytestmark = [pytest.mark.root, pytest.mark.live]

PROGRAM = "/tmp/subject"
LACKS = r"ENOTSUP|EOPNOTSUPP|ENODEV|ENOPKG|ENOSYS|EPERM|ENOMEM"
# Every recipe may fail by an errno of LACKS: the kernel or the sandbox has it not. What else the kernel says no to, and why.
EXPECTED: dict[str, tuple[str, ...]] = {
    "fcntl": (
        r"EBADF .*/path\.F_SETFL",  # O_PATH: open(2)
        r"EINVAL .*F_SETFL=O_DIRECT",  # needs a file system or pipe that has it
        r"EINVAL .*F_SET_FILE_RW_HINT",  # Linux 5.17 took it away: F_SET_FILE_RW_HINT(2const)
        r"EINVAL .*F_SETDELEG",  # Linux 6.19
        r"EINVAL .*F_(DUPFD|CREATED)_QUERY",  # Linux 6.10, 6.12
        r"EINVAL .*LOCK_(READ|WRITE|RW|MAND)",  # Linux 5.15 took mandatory locks away
        r"EINVAL .*F_ADD_SEALS",
        r"EINVAL .*RWF_WRITE_LIFE_NOT_SET|EINVAL .*RWH_",
        r"EINVAL .*F_SETFL=",
    ),
    "open": (
        r"EISDIR .*/dir\.O_|ENOTDIR .*O_(DIRECTORY|TMPFILE)|EINVAL .*O_(DIRECT|TMPFILE)",
        r"ENOENT .*special\.|EINVAL .*special\.|EACCES .*special\.|ENXIO .*special\.",  # not on every kernel
        r"EINVAL .*(fallocate|RESOLVE_|FSSETXATTR|pidfd|posix_acl|O_EMPTYPATH)|ENOTTY .*FS_IOC|EXDEV .*RESOLVE_|EAGAIN .*RESOLVE_",
    ),
    "events": (
        r"EINVAL .*timerfd/CLOCK_",  # timerfd_create(2)
        r"ENOTDIR .*IN_ONLYDIR",
        r"(EINVAL|EEXIST|EISDIR|ENOTDIR) .*fanotify/",  # fanotify_mark(2): flags that go together, or do not
        r"(EINVAL|ENOTTY) .*EPIOCSPARAMS|EINVAL .*EPOLLEXCLUSIVE|EINVAL .*EPOLL",
        r"ENOTTY .*ticks=",  # TFD_IOC_SET_TICKS needs CONFIG_CHECKPOINT_RESTORE
        r"EINVAL .*inotify/.*IN_MASK_CREATE|EINVAL .*inotify/",
    ),
    "pipes": (),
    "ttys": (),
    "signals": (r"EINVAL .*SIG(KILL|STOP)\.",),  # sigaction(2)
    "timers": (r"EINVAL .*timer_create/",),  # clocks that no timer counts by; PR_TIMER_CREATE_RESTORE_IDS is of Linux 6.16
    "ipc": (),
    "aio": (r"(EINVAL|EFAULT) .*io_uring/setup",),
    "perfbpf": (r"(EINVAL|ENOENT) .*(PERF_COUNT_SW|PERF_FORMAT|PERF_FLAG|BPF_MAP_TYPE|frozen)|EBADF .*BPF_MAP_TYPE",),
    "tree": (r"(EINVAL|EBADF|E2BIG) .*clone/",),
    "blocking": (),
}
SETTABLE = {
    "fcntl": 190, "open": 380, "events": 360, "pipes": 60, "ttys": 200, "signals": 255, "timers": 75, "ipc": 88, "aio": 9, "perfbpf": 20,
    "tree": 70, "blocking": 105,
}  # fmt: skip
"""How many of each table every kernel from 6.1 on can set, less some that it may be configured without."""


def tried(recipe: Recipe) -> str:
    """Why a state cannot be set, or a call that waits does not, or does not end; empty where all is well."""
    place.fresh(place.FOLDER)
    subject = Subject.start(PROGRAM)
    line = None
    try:
        for line in recipe.lines:
            (seen,) = subject.run((line,))
            if seen.error:
                return f"{errno.errorcode[seen.error]} {recipe.name}: {line}"
        # what a line that waits has returned comes at once, or when it is let go
        early = [str(blocked[0]) for tid, blocked in subject.blocked.items() if subject.returned(tid) != NOT_BACK]
        if early:
            return f"does not wait {recipe.name}: {early}"
        for line in recipe.after:
            subject.run((line,))
        for tid in list(subject.blocked):
            subject.back(tid)
    except (HoldfastError, OSError, KeyError) as error:
        return f"{type(error).__name__} {recipe.name}: {error} at {line}"
    finally:
        subject.end()
    return ""


def table(name: str) -> dict[str, Any]:
    """What became of each recipe of a table, inside a sandbox."""
    module = importlib.import_module(f"holdfast.hunt.interfaces.{name}")
    said = [tried(r) for r in module.recipes(harvest.load(()), lambda _lines, _getter: None)]
    return {"settable": said.count(""), "unsettable": [text for text in said if text]}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_cannot_be_set_is_what_the_kernel_lacks(name: str) -> None:
    told = run(table, name)
    known = re.compile("|".join((rf"({LACKS}) ", *EXPECTED[name])))
    assert [text for text in told["unsettable"] if not known.match(text)] == []
    assert told["settable"] >= SETTABLE[name]
