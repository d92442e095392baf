"""What the kernel goes on with where a stop interrupted a wait: which call it was, and until when it waits.

A task that is stopped in nanosleep, poll or futex keeps this in its restart block. Its registers tell the call only at the first stop: when
it goes on, the call is restart_syscall, and a second stop finds that.

Source:  Linux include/linux/restart_block.h, kernel/time/hrtimer.c hrtimer_nanosleep_restart, kernel/futex/waitwake.c
         futex_wait_restart, fs/select.c do_restart_poll; time_namespaces(7)
"""

from __future__ import annotations

import time

from holdfast.kernel.state import tasks
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.kernel.state.snapshot import Reader
    from holdfast.kernel.state.walk import Walk

CALLS = {"hrtimer_nanosleep_restart": "nanosleep", "futex_wait_restart": "futex", "do_restart_poll": "poll"}
CLOCKS = {0: "realtime", 1: "monotonic", 7: "boottime", 11: "tai"}
WITH_REMAINDER = 1  # enum timespec_type: TT_NATIVE
_SECOND = 1_000_000_000


class Restart(Record):
    """A wait that was interrupted.

    Shape:   `call`: nanosleep, futex or poll; `remaining_ns`: None is no limit; `remainder`: where nanosleep writes what remains, or 0
    """

    call: str
    clock: str
    remaining_ns: int | None
    remainder: int = 0


def restarts(reader: Reader, tids: Iterable[int]) -> dict[int, Restart]:
    """The wait of each thread that was interrupted in one, by its id as the caller sees it; without those of a sort that has no name here.

    Raises:  ProcessLookupError: a thread is no more
    """
    walk = reader.walk()
    space, _ = tasks.namespace(walk)
    offsets = _offsets()
    found = {}
    for tid in tids:
        try:
            one = _restart(walk, tasks.task_of(walk, space, tid), offsets)
        except ProcessLookupError:
            raise
        except OSError as cause:
            raise ProcessLookupError(tid) from cause
        if one is not None:
            found[tid] = one
    return found


def _restart(walk: Walk, task: int, offsets: dict[str, int]) -> Restart | None:
    block = task + walk.layouts.at("task_struct.restart_block")

    def value(name: str) -> int:
        return walk.field(block, f"restart_block.{name}")

    call = CALLS.get(walk.symbols.name(value("fn")))
    if call == "nanosleep":
        clock = CLOCKS.get(value("nanosleep.clockid"))
        if clock is None:
            return None
        return Restart(
            call,
            clock,
            _remaining(value("nanosleep.expires"), clock, offsets),
            value("nanosleep.rmtp") if value("nanosleep.type") == WITH_REMAINDER else 0,
        )
    if call == "futex":
        return Restart(call, "monotonic", _remaining(value("futex.time"), "monotonic", offsets))
    if call == "poll":
        if not value("poll.has_timeout"):
            return Restart(call, "monotonic", None)
        end = _end(walk, block)
        return None if end is None else Restart(call, "monotonic", _remaining(end, "monotonic", offsets))
    return None


def _end(walk: Walk, block: int) -> int | None:
    if walk.layouts.knows("restart_block.poll.end_time"):
        at = block + walk.layouts.at("restart_block.poll.end_time")
        return walk.number(at) * _SECOND + walk.number(at + 8)
    if walk.layouts.knows("restart_block.poll.tv_sec"):
        return walk.field(block, "restart_block.poll.tv_sec") * _SECOND + walk.field(block, "restart_block.poll.tv_nsec")
    return None


def _remaining(end: int, clock: str, offsets: dict[str, int]) -> int:
    number = next(n for n, name in CLOCKS.items() if name == clock)
    return max(0, end - (time.clock_gettime_ns(number) - offsets.get(clock, 0)))


def _offsets() -> dict[str, int]:
    # how far our own time namespace is from the machine's, in which the kernel keeps its ends
    try:
        with open("/proc/self/timens_offsets", "rb", 0) as f:
            lines = [line.split() for line in f.read(4096).splitlines()]
    except FileNotFoundError:  # no CONFIG_TIME_NS
        return {}
    return {name.decode(): int(seconds) * _SECOND + int(ns) for name, seconds, ns in lines}
