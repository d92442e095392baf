"""Resource limits: /proc/PID/limits, which needs no CAP_SYS_RESOURCE where prlimit(2) on another's task does."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed

_SOURCE = "proc_pid_limits(5), Linux fs/proc/base.c proc_pid_limits"

INFINITY = 2**64 - 1

# The kernel's words to the names of getrlimit(2).
NAMES = {
    "Max cpu time": "RLIMIT_CPU",
    "Max file size": "RLIMIT_FSIZE",
    "Max data size": "RLIMIT_DATA",
    "Max stack size": "RLIMIT_STACK",
    "Max core file size": "RLIMIT_CORE",
    "Max resident set": "RLIMIT_RSS",
    "Max processes": "RLIMIT_NPROC",
    "Max open files": "RLIMIT_NOFILE",
    "Max locked memory": "RLIMIT_MEMLOCK",
    "Max address space": "RLIMIT_AS",
    "Max file locks": "RLIMIT_LOCKS",
    "Max pending signals": "RLIMIT_SIGPENDING",
    "Max msgqueue size": "RLIMIT_MSGQUEUE",
    "Max nice priority": "RLIMIT_NICE",
    "Max realtime priority": "RLIMIT_RTPRIO",
    "Max realtime timeout": "RLIMIT_RTTIME",
}


_WIDTH = 26  # "%-25s " in Linux fs/proc/base.c
_KNOWN = {words.ljust(_WIDTH).encode(): name for words, name in NAMES.items()}


def _number(word: bytes) -> int:
    return INFINITY if word == b"unlimited" else int(word)


def parse_limits(data: bytes) -> dict[str, tuple[int, int]]:
    """Limit name to soft and hard limit; `unlimited` is 2**64-1; a limit of unknown name has the kernel's words for a name.

    Unit:    the kernel's: seconds, bytes, count, us
    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_pid_limits(5), Linux fs/proc/base.c proc_pid_limits
    """
    out: dict[str, tuple[int, int]] = {}
    for line in data.split(b"\n"):
        if not line or line.startswith(b"Limit "):
            continue
        # The name ends before the first number; a soft limit of 20 digits leaves one space only, so its column cannot be cut.
        known = _KNOWN.get(line[:_WIDTH])
        if known is not None:
            pair = line[_WIDTH:].split(None, 2)[:2]
            if len(pair) == 2 and all(word == b"unlimited" or word.isdigit() for word in pair):
                out[known] = _number(pair[0]), _number(pair[1])
                continue
        words = line.split()
        numbers = [INFINITY if word == b"unlimited" else int(word) if word.isdigit() else None for word in words]
        first = next((i for i, number in enumerate(numbers) if number is not None), 0)
        soft, hard = (*numbers[first : first + 2], None, None)[:2]
        if first == 0 or soft is None or hard is None:
            raise malformed("limits", line, _SOURCE)
        name = b" ".join(words[:first]).decode("ascii", "backslashreplace")
        out[NAMES.get(name, name)] = soft, hard
    return out
