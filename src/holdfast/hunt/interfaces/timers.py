"""States of timers of a process: interval timers, POSIX timers of every clock and notification, their numbers, expirations and overruns.

Times are long enough that their high bytes stand still: getters look at those.

Source:  linux/time.h, asm-generic/siginfo.h, linux/prctl.h; setitimer(2), alarm(2), timer_create(2), timer_settime(2),
         timer_getoverrun(2), sigevent(3type), PR_TIMER_CREATE_RESTORE_IDS(2const)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.events import AREA, LONG
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

ALL = "rt_sigprocmask(SIG_BLOCK, {<8:-1>}, 0, 8) ; me = getpid()"
TAKE = "rt_sigtimedwait({<8:-1>}, [128], {<8:0> <8:0>}, 8)"
WAIT = "rt_sigtimedwait({<8:-1>}, [128], {<8:1> <8:0>}, 8)"
CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
THREAD = "thread = clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM, 0, 0, 0, 0)"
# what a POSIX timer can be asked about, without the bytes that move
LOOK = "timer_gettime($id@0:4, $area) ; peek($area+2, 6) ; peek($area+8, 8) ; peek($area+18, 6) ; timer_getoverrun($id@0:4)"
LEFT = LONG + 128  # what runs down for a moment keeps its upper bytes
TIMES = {
    "once": f"<8:0> <8:0> <8:{LEFT}> <8:1>",
    "again": f"<8:{LONG}> <8:5> <8:{LEFT}> <8:1>",
    "ns": f"<8:0> <8:999999999> <8:{LEFT}> <8:0>",
}
# clocks that timers count by: timer_create(2); any other one is tried without being armed
ARMED = ("CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_PROCESS_CPUTIME_ID", "CLOCK_THREAD_CPUTIME_ID", "CLOCK_BOOTTIME", "CLOCK_TAI")
PROFILING = ("CLOCK_PROCESS_CPUTIME_ID", "CLOCK_THREAD_CPUTIME_ID")


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of timers, one a recipe."""
    script = Script(constants)
    yield from script.recipes("setitimer", _itimers(script))
    yield from script.recipes("timer_create", _timers(script))


def _itimers(script: Script) -> Iterator[Row]:
    for which in script.names("ITIMER_", header="linux/time.h"):
        look = f"getitimer({which}, $area) ; peek($area+2, 6) ; peek($area+8, 8) ; peek($area+18, 6)"
        for what, value in {
            "once": f"<8:0> <8:0> <8:{LEFT}> <8:1>",
            "again": f"<8:{LONG}> <8:5> <8:{LEFT}> <8:1>",
            "usecs": f"<8:0> <8:999999> <8:{LEFT}> <8:0>",
            "interval-only": f"<8:{LONG}> <8:0> <8:0> <8:0>",
        }.items():
            yield Row(f"{which}.{what}", AREA, f"setitimer({which}, {{{value}}}, 0)", look, look)
    look = "getitimer(ITIMER_REAL, $area) ; peek($area, 16) ; peek($area+18, 6)"
    yield Row("alarm", AREA, f"alarm({LONG})", look, look)
    yield Row(
        "expired",
        f"{AREA} ; {ALL}",
        f"setitimer(ITIMER_REAL, {{<8:{LONG}> <8:0> <8:0> <8:1>}}, 0) ; ppoll(0, 0, {{<8:0> <8:2000000>}}, 0, 0)",
        f"{look} ; rt_sigpending([8], 8)",
        f"{TAKE} ; {TAKE}",
    )
    yield Row(
        "child",
        f"{AREA} ; {CHILD}",
        f"child: setitimer(ITIMER_REAL, {{{TIMES['once']}}}, 0)",
        "child: getitimer(ITIMER_REAL, $area) ; child: peek($area+18, 6)",
    )
    yield Row("thread", f"{AREA} ; {THREAD}", f"thread: setitimer(ITIMER_REAL, {{{TIMES['once']}}}, 0)", look)


def _event(how: str, signal: int | str = "SIGUSR1", value: int = 0x1122334455667788, task: str = "") -> str:
    who = f", ${task}:4, <4:0> <8:0> <8:0> <8:0> <8:0> <8:0>" if task else " <4:0> <4:0> <8:0> <8:0> <8:0> <8:0> <8:0>"
    return f"{{<8:{value}> <4:{signal}> <4:{how}>{who}}}"


def _timers(script: Script) -> Iterator[Row]:
    clocks = script.names("CLOCK_", header="linux/time.h")
    for clock in clocks:
        made = f"{AREA} ; {ALL} ; timer_create({clock}, {_event('SIGEV_SIGNAL')}, id:[4])"
        yield Row(f"{clock}.unarmed", f"{AREA} ; {ALL}", f"timer_create({clock}, {_event('SIGEV_SIGNAL')}, id:[4])", LOOK, LOOK)
        if clock not in ARMED:
            continue
        for what, value in TIMES.items():
            yield Row(f"{clock}.{what}", made, f"timer_settime($id@0:4, 0, {{{value}}}, 0)", LOOK, LOOK)
        if clock not in PROFILING:
            yield Row(
                f"{clock}.TIMER_ABSTIME",
                made,
                "timer_settime($id@0:4, TIMER_ABSTIME, {<8:0> <8:0> <8:0x1000000000> <8:0>}, 0)",
                LOOK,
                LOOK,
            )
    create = f"{AREA} ; {ALL} ; {THREAD}"
    armed = f"timer_settime($id@0:4, 0, {{{TIMES['again']}}}, 0)"
    soon = "timer_settime($id@0:4, 0, {<8:0> <8:0> <8:0> <8:1>}, 0)"
    for how in script.names("SIGEV_", header="asm-generic/siginfo.h", but=("SIGEV_PAD", "SIGEV_MAX")):
        for signal in ("SIGUSR1", "SIGALRM", 40, 64):
            for task in ("me", "thread") if how == "SIGEV_THREAD_ID" else ("",):
                event = _event("SIGEV_THREAD_ID" if task else how, signal, task=task)
                who = "thread: " if task == "thread" else ""
                name = ".".join(str(w) for w in (how, signal, task) if w)
                state = f"timer_create(CLOCK_MONOTONIC, {event}, id:[4]) ; {armed}"
                arrives = "" if how in ("SIGEV_NONE", "SIGEV_THREAD") else f" ; {who}{WAIT}"
                yield Row(name, create, state, LOOK, f"{soon}{arrives} ; {LOOK}")
    yield Row("event.none-given", f"{AREA} ; {ALL}", f"timer_create(CLOCK_MONOTONIC, 0, id:[4]) ; {armed}", LOOK, f"{soon} ; {WAIT}")
    for data in (0, 1, 0xFFFFFFFFFFFFFFFF):
        event = _event("SIGEV_SIGNAL", value=data)
        yield Row(
            f"event.value={data:#x}",
            f"{AREA} ; {ALL}",
            f"timer_create(CLOCK_MONOTONIC, {event}, id:[4]) ; {armed}",
            LOOK,
            f"{soon} ; {WAIT}",
        )
    made = f"{AREA} ; {ALL} ; timer_create(CLOCK_MONOTONIC, {_event('SIGEV_SIGNAL')}, id:[4])"
    slept = "ppoll(0, 0, {<8:0> <8:2000000>}, 0, 0)"
    yield Row(
        "expired",
        made,
        f"timer_settime($id@0:4, 0, {{<8:0> <8:0> <8:0> <8:1>}}, 0) ; {slept}",
        f"{LOOK} ; rt_sigpending([8], 8)",
        f"{TAKE} ; {TAKE} ; timer_getoverrun($id@0:4)",
    )
    yield Row(
        "expired.again",
        made,
        f"timer_settime($id@0:4, 0, {{<8:{LONG}> <8:0> <8:0> <8:1>}}, 0) ; {slept}",
        f"{LOOK} ; rt_sigpending([8], 8)",
        f"{TAKE} ; {LOOK}",
    )
    yield Row(
        "expired.taken",
        made,
        f"timer_settime($id@0:4, 0, {{<8:{LONG}> <8:0> <8:0> <8:1>}}, 0) ; {slept} ; {TAKE}",
        LOOK,
        f"{LOOK} ; {TAKE}",
    )
    yield Row("disarmed", made, f"{armed} ; timer_settime($id@0:4, 0, {{<8:{LONG}> <8:0> <8:0> <8:0>}}, 0)", LOOK, LOOK)
    for gaps in (1, 3, 7):
        make = " ; ".join(f"timer_create(CLOCK_MONOTONIC, 0, gone{n}:[4])" for n in range(gaps))
        ends = " ; ".join(f"timer_delete($gone{n}@0:4)" for n in range(gaps))
        state = f"timer_create(CLOCK_MONOTONIC, 0, id:[4]) ; {ends}"
        yield Row(f"number.after={gaps}", f"{AREA} ; {ALL} ; {make}", state, LOOK, "timer_create(CLOCK_MONOTONIC, 0, [4])")
    yield Row(
        "number.next",
        f"{AREA} ; {ALL}",
        "timer_create(CLOCK_MONOTONIC, 0, id:[4]) ; timer_delete($id@0:4)",
        "",
        "timer_create(CLOCK_MONOTONIC, 0, [4])",
    )
    yield Row(
        "number.many",
        f"{AREA} ; {ALL}",
        " ; ".join(f"timer_create(CLOCK_MONOTONIC, 0, t{n}:[4])" for n in range(12)),
        "timer_getoverrun(0) ; timer_getoverrun(11)",
        "timer_create(CLOCK_MONOTONIC, 0, [4])",
    )
    for wanted in (5, 1000, 0x7FFFFFFF):
        chosen = (
            "prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON, 0, 0, 0) ; timer_create(CLOCK_MONOTONIC, 0, id:[4"
            f" <4:{wanted}>]) ; prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_OFF, 0, 0, 0)"
        )
        yield Row(f"number.chosen={wanted}", f"{AREA} ; {ALL}", f"{chosen} ; {armed}", LOOK, "timer_create(CLOCK_MONOTONIC, 0, [4])")
    yield Row(
        "number.mode-on",
        "umask(18)",
        "prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON, 0, 0, 0)",
        "prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET, 0, 0, 0)",
        "timer_create(CLOCK_MONOTONIC, 0, [4 <4:77>])",
    )
    # clocks of others: ~pid << 3 | which (include/linux/posix-timers_types.h); 2 is the time that the scheduler counts
    for who, base in {"own": 0, "own-thread": 4}.items():
        for which in (0, 1, 2):
            yield Row(
                f"cpu.{who}.{which}",
                f"{AREA} ; {ALL}",
                f"timer_create({base + which - 8}, {_event('SIGEV_SIGNAL')}, id:[4]) ; {armed}",
                LOOK,
                LOOK,
            )
    yield Row(
        "child",
        f"{AREA} ; {CHILD}",
        f"child: timer_create(CLOCK_MONOTONIC, 0, [4]) ; child: timer_settime(0, 0, {{{TIMES['again']}}}, 0)",
        "child: timer_gettime(0, $area) ; child: peek($area+18, 6)",
        "child: timer_delete(0)",
    )
    yield Row("thread", f"{AREA} ; {ALL} ; {THREAD}", f"thread: timer_create(CLOCK_THREAD_CPUTIME_ID, 0, id:[4]) ; {armed}", LOOK, LOOK)
