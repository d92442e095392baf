"""POSIX timers of a process: /proc/PID/timers. It tells what a timer is, not how much is left: timer_gettime(2) in the target does."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed
from holdfast.model.record import Record

_SOURCE = "proc_pid_timers(5), Linux fs/proc/base.c show_timer"

_NOTIFY = {b"signal": 0, b"none": 1, b"thread": 2}  # SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD
_THREAD_ID = 4  # SIGEV_THREAD_ID


class PosixTimer(Record):
    """One timer made by timer_create(2)."""

    id: int
    signal: int
    value: int  # sigev_value as the process gave it
    notify: int  # SIGEV_SIGNAL 0, SIGEV_NONE 1, SIGEV_THREAD 2, with SIGEV_THREAD_ID 4
    target: int  # the process, or with SIGEV_THREAD_ID the thread, as this /proc counts; 0 when it is gone
    clockid: int
    more: tuple[tuple[str, bytes], ...] = ()


def _timer(block: dict[str, bytes]) -> PosixTimer:
    signal, _, value = block.pop("signal").partition(b"/")
    how, _, target = block.pop("notify").partition(b"/")
    kind, _, target_id = target.partition(b".")
    if kind not in {b"pid", b"tid"}:
        raise ValueError(target)
    notify = _NOTIFY[how] | (_THREAD_ID if kind == b"tid" else 0)
    ident, clockid = int(block.pop("ID")), int(block.pop("ClockID"))
    return PosixTimer(ident, int(signal), int(value, 16), notify, int(target_id), clockid, tuple(block.items()))


def parse_timers(data: bytes) -> list[PosixTimer]:
    """The timers of /proc/PID/timers, sorted by id.

    Raises:  kernel_lacks.proc_format: a block of unknown form
    Source:  proc_pid_timers(5), Linux fs/proc/base.c show_timer
    """
    blocks: list[dict[str, bytes]] = []
    for line in data.split(b"\n"):
        key, colon, value = line.partition(b":")
        if not line:
            continue
        if key == b"ID":
            blocks.append({})
        if not colon or not blocks:
            raise malformed("timers", line, _SOURCE)
        blocks[-1][key.decode("ascii", "backslashreplace")] = value.strip()
    out = []
    for block in blocks:
        try:
            out.append(_timer(dict(block)))
        except (ValueError, KeyError) as cause:
            raise malformed("timers", repr(block).encode(), _SOURCE) from cause
    out.sort(key=lambda timer: timer.id)
    return out
