"""Recipes of resource limits: every RLIMIT_*, soft and hard, by the first process, a child, and for a child by its parent.

Values are small numbers, what is set now and one less, boundaries of words, and no limit at all. A limit that is gone lets a process
take what it was denied.

Source:  getrlimit(2), prlimit64; asm-generic/resource.h
"""

from __future__ import annotations

from holdfast.hunt.actors import CHILD, and_then, told
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

HEADER = "asm-generic/resource.h"
INFINITY = (1 << 64) - 1
PAIRS: tuple[tuple[int, int], ...] = (
    (20, 30),
    (4096, INFINITY),
    (1 << 30, 1 << 31),
    (1 << 32, INFINITY - 1),
    (INFINITY, INFINITY),
)
"""Soft and hard; the first lets an idle process and its dump live, whatever the limit is of."""
LOWER: dict[str, tuple[tuple[int, int], ...]] = {
    "RLIMIT_CPU": ((1000, 1000), (1 << 20, INFINITY)),
    "RLIMIT_CORE": ((0, 0), (0, INFINITY), (1, 1)),
    "RLIMIT_NOFILE": ((3, 3), (1024, 1024), (1024, 4096), (1 << 20, 1 << 20)),
    "RLIMIT_NICE": ((0, 0), (1, 1), (40, 40)),
    "RLIMIT_RTPRIO": ((0, 0), (1, 1), (99, 99)),
    "RLIMIT_MEMLOCK": ((0, 0), (65536, 65536)),
    "RLIMIT_NPROC": ((0, 0), (1, 1)),
    "RLIMIT_FSIZE": ((0, 0), (1, 1)),
    "RLIMIT_LOCKS": ((0, 0),),
    "RLIMIT_SIGPENDING": ((0, 0), (1, 1)),
    "RLIMIT_MSGQUEUE": ((0, 0), (1, 1)),
    "RLIMIT_RSS": ((0, 0),),
    "RLIMIT_RTTIME": ((1_000_000, 2_000_000),),
    "RLIMIT_AS": ((1 << 20, 1 << 20),),
    "RLIMIT_DATA": ((0, 0), (1 << 16, 1 << 16)),
    "RLIMIT_STACK": ((0, 0), (1 << 16, 1 << 16)),
}
"""What else is worth trying with a limit; one that is not named here has PAIRS."""
EXCEEDED: dict[str, str] = {
    "RLIMIT_NOFILE": "dup(0) ; fcntl(0, F_DUPFD, 1000) ; fcntl(0, F_DUPFD, 1500)",
    "RLIMIT_AS": "mmap(0, 0x40000000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x1000)",
    "RLIMIT_MEMLOCK": "setresuid(1000, 1000, 1000) ; mlock($page, 0x20000)",
    "RLIMIT_NICE": "setresuid(1000, 1000, 1000) ; setpriority(PRIO_PROCESS, 0, -1)",
    "RLIMIT_RTPRIO": "setresuid(1000, 1000, 1000) ; sched_setscheduler(0, SCHED_FIFO, <4:1>)",
    "RLIMIT_SIGPENDING": "setresuid(1000, 1000, 1000) ; rt_sigprocmask(SIG_BLOCK, <8:0x200000000>, 0, 8) ; kill($me, 34) ; kill($me, 34)",
}
"""What goes wrong beyond a limit, and nothing dies of it."""
MAKE: dict[str, str] = {
    "RLIMIT_MEMLOCK": "page = mmap(0, 0x20000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)",
    "RLIMIT_SIGPENDING": "me = getpid()",
}


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Every limit that has a number below RLIM_NLIMITS."""
    script = Script(constants)
    yield from script.recipes("prlimit", _rows(script.names("RLIMIT_", header=HEADER)))


def _rows(names: list[str]) -> Iterator[Row]:
    for name in names:
        pairs = (*(p for p in PAIRS if name != "RLIMIT_CPU" or p[0] > 20), *LOWER.get(name, ()))
        get = f"prlimit64(0, {name}, 0, [16])"
        for soft, hard in pairs:
            state = f"prlimit64(0, {name}, <8:{soft}> <8:{hard}>, 0)"
            after = EXCEEDED.get(name, told(get))
            # what is set already shows only where something else was set before
            before = f"prlimit64(0, {name}, <8:4096> <8:{hard}>, 0)" if soft == INFINITY else ""
            make = and_then(MAKE.get(name, ""), before)
            yield Row(f"self.{name}={_show(soft)},{_show(hard)}", make, state, get, after, security=True)
        soft, hard = pairs[-1]
        limit = f"<8:{soft}> <8:{hard}>"
        child = f"child: {get}"
        yield Row(f"child.{name}={_show(soft)},{_show(hard)}", CHILD, f"child: prlimit64(0, {name}, {limit}, 0)", child, security=True)
        yield Row(f"others.{name}={_show(soft)},{_show(hard)}", CHILD, f"prlimit64($child, {name}, {limit}, 0)", child, security=True)


def _show(number: int) -> str:
    return "infinity" if number == INFINITY else str(number) if number < 1 << 32 else hex(number)
