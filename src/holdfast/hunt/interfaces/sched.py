"""Recipes of scheduling: policies with their parameters, flags, nice, clamps, slices, affinity, I/O priority, core cookies.

Every SCHED_* policy and SCHED_FLAG_* of linux/sched.h is tried through sched_setattr, which says all that the older calls say; those
are there for what only they do. A state of a thread or a child is tried beside the first process.

Source:  sched(7), sched_setattr(2), setpriority(2), ioprio_set(2), sched_setaffinity(2); linux/sched.h, linux/sched/types.h, linux/ioprio.h
"""

from __future__ import annotations

from holdfast.hunt.actors import ACTORS, CHILD, HEIR, THREAD, and_then, by, told
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

NO_POLICIES = ("SCHED_FLAG_", "SCHED_RESET_ON_FORK", "SCHED_ATTR_", "SCHED_GETATTR_")
LOOK = "sched_getattr(0, [56], 56, 0) ; sched_getscheduler(0) ; getpriority(PRIO_PROCESS, 0)"
MS = 1_000_000
REAL_TIME = (1, 2, 50, 99)
FLAGGED = ("SCHED_NORMAL", "SCHED_FIFO", "SCHED_DEADLINE")
"""Policies that every flag is tried with."""
NICE = (-20, -1, 1, 10, 19)
SLICES = (100_000, 700_000, 3 * MS, 100 * MS)
"""In ns, of a task that is not real-time: 0.1 to 100 ms, sched_attr::sched_runtime; Linux kernel/sched/syscalls.c (v6.12)."""
DEADLINES = ((1, 10, 10), (1, 5, 20), (10, 100, 0), (1, 1000, 4000))
"""Runtime, deadline and period in ms."""
CLAMPS = ((0, 512), (512, 1024), (256, -1))


def attr(
    policy: str,
    *,
    flags: str = "0",
    nice: int = 0,
    priority: int = 0,
    times: tuple[int, int, int] = (0, 0, 0),
    clamps: tuple[int, int] = (0, 0),
) -> str:
    """A struct sched_attr of 56 bytes as text.

    Unit:    times in ns
    """
    words = f"<4:56> <4:{policy}> <8:{flags}> <4:{nice}> <4:{priority}>"
    return words + "".join(f" <8:{t}>" for t in times) + "".join(f" <4:{c}>" for c in clamps)


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Policies, then what stands beside them."""
    script = Script(constants)
    policies = script.names("SCHED_", header="linux/sched.h", but=NO_POLICIES)
    flags = script.names("SCHED_FLAG_", header="linux/sched.h")
    yield from script.recipes("sched_setattr", _attributes(script, ask, policies, flags))
    yield from script.recipes("sched_setscheduler", _scheduler(policies))
    yield from script.recipes("setpriority", _nice(script))
    yield from script.recipes("ioprio_set", _ioprio(script))
    yield from script.recipes("sched_setaffinity", _affinity())
    yield from script.recipes("sched_core", _cookies(script))


def _parameters(policy: str) -> Iterator[tuple[str, str]]:
    # how it is written in the name, the structure
    if policy == "SCHED_DEADLINE":
        for runtime, deadline, period in DEADLINES:
            yield f"{runtime}/{deadline}/{period}ms", attr(policy, times=(runtime * MS, deadline * MS, period * MS))
        return
    for priority in REAL_TIME if policy in ("SCHED_FIFO", "SCHED_RR") else ():
        yield f"{priority}", attr(policy, priority=priority)
    if policy not in ("SCHED_FIFO", "SCHED_RR"):
        for nice in (0, *NICE):
            yield f"nice{nice}", attr(policy, nice=nice)
        for slice_ns in SLICES:
            yield f"slice{slice_ns}", attr(policy, times=(slice_ns, 0, 0))


def _some(policy: str) -> dict[str, tuple[int, int, int] | int]:
    if policy == "SCHED_DEADLINE":
        return {"times": (MS, 10 * MS, 10 * MS)}
    return {"priority": 5} if policy in ("SCHED_FIFO", "SCHED_RR") else {"nice": 3}


def _attributes(script: Script, ask: Ask, policies: list[str], flags: list[str]) -> Iterator[Row]:
    for policy in policies:
        tried, chosen = list(_parameters(policy)), _some(policy)
        if ask((), script.lines(f"sched_setattr(0, {attr(policy, **chosen)}, 0)")[0]) is None:  # type: ignore[arg-type]
            tried = tried[:1]
        for name, words in tried:
            # a task of this policy makes no children: fork(2) EAGAIN
            after = HEIR if policy == "SCHED_DEADLINE" else told(LOOK)
            yield Row(f"self.{policy}={name}", "getpid()", f"sched_setattr(0, {words}, 0)", LOOK, after)
        for flag in flags if policy in FLAGGED else ("SCHED_FLAG_RESET_ON_FORK",):
            clamps = (100, 900) if "CLAMP" in flag else (0, 0)
            words = attr(policy, flags=flag, clamps=clamps, **chosen)  # type: ignore[arg-type]
            after = told(LOOK) if policy != "SCHED_DEADLINE" or flag == "SCHED_FLAG_RESET_ON_FORK" else HEIR
            yield Row(f"self.{policy}|{flag}", "getpid()", f"sched_setattr(0, {words}, 0)", LOOK, after)
        for actor in ("thread", "child"):
            state = by(actor, f"sched_setattr(0, {attr(policy, **chosen)}, 0)")  # type: ignore[arg-type]
            yield Row(f"{actor}.{policy}", ACTORS[actor], state, by(actor, LOOK))
    for low, high in CLAMPS:
        for flag in ("SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX", "SCHED_FLAG_UTIL_CLAMP"):
            words = attr("0", flags=f"{flag}|SCHED_FLAG_KEEP_ALL", clamps=(low, high))
            yield Row(f"self.{flag}={low},{high}", "getpid()", f"sched_setattr(0, {words}, 0)", LOOK)


def _scheduler(policies: list[str]) -> Iterator[Row]:
    for policy in policies:
        priority = 7 if policy in ("SCHED_FIFO", "SCHED_RR") else 0
        yield Row(
            f"self.{policy}|SCHED_RESET_ON_FORK",
            "getpid()",
            f"sched_setscheduler(0, {policy}|SCHED_RESET_ON_FORK, <4:{priority}>)",
            LOOK,
            told(LOOK),
        )
        child = and_then(CHILD, f"sched_setscheduler(0, {policy}, <4:{priority}>)")
        yield Row(
            f"child.{policy}",
            child,
            f"sched_setscheduler($child, {policy}, <4:{priority}>)",
            by("child", LOOK),
            "sched_rr_get_interval(0, [16])",
        )


def _nice(script: Script) -> Iterator[Row]:
    for nice in NICE:
        for actor, make in ACTORS.items():
            yield Row(f"{actor}.PRIO_PROCESS={nice}", make, by(actor, f"setpriority(PRIO_PROCESS, 0, {nice})"), by(actor, LOOK))
        yield Row(f"group.PRIO_PGRP={nice}", CHILD, f"setpriority(PRIO_PGRP, 0, {nice})", f"{LOOK} ; {by('child', LOOK)}")
    batch = and_then("getpid()", f"sched_setattr(0, {attr('SCHED_BATCH')}, 0)")
    yield Row("batch.PRIO_PROCESS=7", batch, "setpriority(PRIO_PROCESS, 0, 7)", LOOK)
    fifo = and_then("getpid()", f"sched_setattr(0, {attr('SCHED_FIFO', priority=3)}, 0)")
    yield Row(
        "fifo.PRIO_PROCESS=7",
        fifo,
        "setpriority(PRIO_PROCESS, 0, 7)",
        LOOK,
        f"sched_setattr(0, {attr('SCHED_RR', priority=1)}, 0) ; getpriority(PRIO_PROCESS, 0)",
    )


def _ioprio(script: Script) -> Iterator[Row]:
    shift, hints = script.value("IOPRIO_CLASS_SHIFT"), script.names("IOPRIO_HINT_DEV_", header="linux/ioprio.h")
    get = "ioprio_get(IOPRIO_WHO_PROCESS, 0)"
    for name in script.names(
        "IOPRIO_CLASS_", header="linux/ioprio.h", but=("IOPRIO_CLASS_SHIFT", "IOPRIO_CLASS_MASK", "IOPRIO_CLASS_INVALID")
    ):
        number = script.value(name) << shift
        for level in (0, 1, 4, 7):
            yield Row(
                f"self.{name}={level}",
                "getpid()",
                f"ioprio_set(IOPRIO_WHO_PROCESS, 0, {number | level})",
                get,
                told(get) if level in (0, 7) else "",
            )
        for hint in hints if "BE" in name or "RT" in name else hints[:1]:
            bits = number | script.value(hint) << script.value("IOPRIO_HINT_SHIFT") | 4
            yield Row(f"self.{name}|{hint}", "getpid()", f"ioprio_set(IOPRIO_WHO_PROCESS, 0, {bits})", get)
        for actor in ("thread", "child"):
            yield Row(f"{actor}.{name}=2", ACTORS[actor], by(actor, f"ioprio_set(IOPRIO_WHO_PROCESS, 0, {number | 2})"), by(actor, get))
        yield Row(f"group.{name}=3", CHILD, f"ioprio_set(IOPRIO_WHO_PGRP, 0, {number | 3})", f"{get} ; {by('child', get)}")
    shared = "child = clone(CLONE_IO|SIGCHLD, 0, 0, 0, 0)"
    yield Row(
        "shared.CLONE_IO",
        f"ioprio_set(IOPRIO_WHO_PROCESS, 0, {2 << shift | 5})",
        shared,
        f"child: {get}",
        f"child: ioprio_set(IOPRIO_WHO_PROCESS, 0, {2 << shift | 1}) ; {get}",
    )


def _affinity() -> Iterator[Row]:
    get = "sched_getaffinity(0, 8, [8])"
    for mask in (1, 2, 5, 0xE):
        for actor, make in ACTORS.items():
            after = told(get) if actor == "self" else ""
            yield Row(f"{actor}.mask={mask:#x}", make, by(actor, f"sched_setaffinity(0, 8, <8:{mask}>)"), by(actor, get), after)
    both = and_then(THREAD, "thread: sched_setaffinity(0, 8, <8:2>)")
    yield Row("both.mask=1,2", both, "sched_setaffinity(0, 8, <8:1>)", f"{get} ; {by('thread', get)}")


def _cookies(script: Script) -> Iterator[Row]:
    scopes = script.names("PR_SCHED_CORE_SCOPE_", header="linux/prctl.h")
    for scope in scopes:
        make = f"me = getpid() ; {CHILD}"
        yield Row(f"self.CREATE|{scope}", make, f"prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, {scope}, 0)", "", security=True)
        shared = f"prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, {scope}, 0) ; prctl(PR_SCHED_CORE, PR_SCHED_CORE_SHARE_TO, $child, 0, 0)"
        yield Row(f"child.SHARE_TO|{scope}", make, shared, "", security=True)
