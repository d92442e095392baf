"""Files of /proc/PID that hold one number, or a number per key."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed

_SOURCE = "proc_pid(5)"

# In hexadecimal without 0x: proc_pid_coredump_filter(5), Linux fs/proc/base.c proc_pid_personality.
HEX_FILES = frozenset(("coredump_filter", "personality"))


def parse_number(file: str, data: bytes) -> int:
    """The number in coredump_filter, loginuid, oom_score_adj, personality, sessionid, timerslack_ns and their like.

    Raises:  kernel_lacks.proc_format: it holds no number
    Source:  proc_pid_coredump_filter(5), proc_pid_oom_score_adj(5), proc_pid_timerslack_ns(5), Linux fs/proc/base.c
    """
    try:
        return int(data, 16 if file.rpartition("/")[2] in HEX_FILES else 10)
    except ValueError as cause:
        raise malformed(file, data, _SOURCE) from cause


def parse_counters(file: str, data: bytes) -> dict[str, int]:
    """Key to number of io (`rchar: 6976`) and ksm_stat (`ksm_rmap_items 0`); `yes` and `no` are 1 and 0.

    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_pid_io(5), Linux fs/proc/base.c do_io_accounting, proc_pid_ksm_stat
    """
    out: dict[str, int] = {}
    for line in data.split(b"\n"):
        if not line:
            continue
        key, _, value = line.replace(b":", b" ").rpartition(b" ")
        try:
            out[key.strip().decode("ascii")] = {b"yes": 1, b"no": 0}[value] if value in {b"yes", b"no"} else int(value)
        except ValueError as cause:
            raise malformed(file, line, _SOURCE) from cause
    return out


def parse_timens_offsets(data: bytes) -> dict[str, int]:
    """Clock name (`monotonic`, `boottime`) to the offset that children's time namespace adds to it.

    Unit:    ns
    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  time_namespaces(7), Linux kernel/time/namespace.c proc_timens_show_offsets
    """
    out: dict[str, int] = {}
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            clock, seconds, nanoseconds = line.split()
            out[clock.decode("ascii")] = int(seconds) * 1_000_000_000 + int(nanoseconds)
        except ValueError as cause:
            raise malformed("timens_offsets", line, "time_namespaces(7)") from cause
    return out
