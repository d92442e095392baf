"""States of signals: what is done about each, masks, what is pending and what it says, other stacks, children that are stopped or dead.

Source:  asm/signal.h, asm-generic/signal-defs.h, asm-generic/siginfo.h, linux/signal.h; sigaction(2), sigprocmask(2), rt_sigqueueinfo(2),
         sigaltstack(2), signal(7), wait(2)
"""

from __future__ import annotations

from holdfast.hunt import subject
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
THREAD = "thread = clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM, 0, 0, 0, 0)"
ALL = "rt_sigprocmask(SIG_BLOCK, {<8:-1>}, 0, 8)"
ME = "me = getpid()"
TAKE = "rt_sigtimedwait({<8:-1>}, [128], {<8:0> <8:0>}, 8)"
COUNT = f"peek(COUNTER={subject.COUNTER.value:#x}, 4)"
NUMBERS = (32, 33, 34, 35, 63, 64)  # no header names them: SIGRTMIN of the kernel and of glibc, SIGRTMAX
WAITS = "wait4($child, [4], WNOHANG|WUNTRACED|WCONTINUED, [144])"
STATUS = "wait4($child, [4], WNOHANG|WUNTRACED|WCONTINUED, 0)"
MASKS = {
    "one": 1 << 9,
    "two": 1 << 9 | 1 << 39,
    "kill-and-stop": 1 << 8 | 1 << 18 | 1,
    "library": 3 << 31,
    "last": 1 << 63,
    "all": (1 << 64) - 1,
}


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of signals, one a recipe."""
    script = Script(constants)
    yield from script.recipes("sigaction", _actions(script))
    yield from script.recipes("sigmask", _masks())
    yield from script.recipes("sigpending", _pending(script))
    yield from script.recipes("sigaltstack", _stacks(script))
    yield from script.recipes("wait", _children(script))


def _action(number: int | str, what: str, flags: str = "0", mask: int = 0) -> str:
    return f"rt_sigaction({number}, {{<8:{what}> <8:{flags}> <8:{subject.RESTORER.value}> <8:{mask}>}}, 0, 8)"


def _names(script: Script) -> list[str | int]:
    found: dict[int, str] = {}
    for name in script.names("SIG", header="asm/signal.h", but=("SIGRTM", "SIGSTKSZ", "SIGSTKFLT_", "SIGUNUSED")):
        found.setdefault(script.value(name), name)
    return [n for number, n in found.items() if number < 32] + list(NUMBERS)


def _actions(script: Script) -> Iterator[Row]:
    for name in _names(script):
        look = f"rt_sigaction({name}, 0, [32], 8)"
        goes = f"kill($me, {name}) ; {COUNT} ; kill($me, {name}) ; {COUNT}"
        for what, value, flags in (("ignore", "1", "0"), ("handler", str(subject.HANDLER.value), "SA_RESTORER")):
            yield Row(f"{name}.{what}", ME, _action(name, value, flags), look, goes)
    for name in ("SIGUSR1", "SIGCHLD", "40"):
        for flag in script.names("SA_", header=("asm/signal.h", "asm-generic/signal-defs.h"), but=("SA_RESTORER",)):
            goes = f"kill($me, {name}) ; {COUNT}" + ("" if "RESETHAND" in flag or "ONESHOT" in flag else f" ; kill($me, {name}) ; {COUNT}")
            look = f"rt_sigaction({name}, 0, [32], 8)"
            yield Row(f"{name}.{flag}", ME, _action(name, str(subject.HANDLER.value), f"SA_RESTORER|{flag}"), look, f"{goes} ; {look}")
    for flag in ("SA_NOCLDSTOP", "SA_NOCLDWAIT"):
        goes = f"kill($child, SIGSTOP) ; {COUNT} ; kill($child, SIGKILL) ; wait4($child, [4], 0, 0) ; {COUNT}"
        yield Row(f"SIGCHLD.{flag}.default", f"{ME} ; {CHILD}", _action("SIGCHLD", "0", flag), "rt_sigaction(SIGCHLD, 0, [32], 8)", goes)
    yield Row(
        "SIGCHLD.ignore.child",
        f"{ME} ; {CHILD}",
        _action("SIGCHLD", "1"),
        "rt_sigaction(SIGCHLD, 0, [32], 8)",
        "kill($child, SIGKILL) ; wait4($child, [4], 0, 0)",
    )
    for what, mask in MASKS.items():
        yield Row(
            f"SIGUSR1.mask.{what}",
            ME,
            _action("SIGUSR1", str(subject.HANDLER.value), "SA_RESTORER", mask),
            "rt_sigaction(SIGUSR1, 0, [32], 8)",
            f"kill($me, SIGUSR1) ; {COUNT}",
        )
    yield Row(
        "child",
        f"{ME} ; {CHILD}",
        "child: " + _action("SIGUSR1", str(subject.HANDLER.value), "SA_RESTORER"),
        "child: rt_sigaction(SIGUSR1, 0, [32], 8) ; rt_sigaction(SIGUSR1, 0, [32], 8)",
        f"kill($child, SIGUSR1) ; child: {COUNT}",
    )
    yield Row("no-restorer", ME, _action("SIGUSR1", str(subject.HANDLER.value), "0"), "rt_sigaction(SIGUSR1, 0, [32], 8)")
    yield Row(
        "set-and-reset",
        ME,
        f"{_action('SIGUSR1', '1', 'SA_NODEFER', 1)} ; {_action('SIGUSR1', '0', 'SA_NODEFER', 1)}",
        "rt_sigaction(SIGUSR1, 0, [32], 8)",
    )


def _masks() -> Iterator[Row]:
    look = "rt_sigprocmask(0, 0, [8], 8)"
    for what, mask in MASKS.items():
        for actor, make in {"": ME, "child: ": CHILD, "thread: ": THREAD}.items():
            who = actor.removesuffix(": ") or "self"
            yield Row(
                f"{who}.{what}",
                make,
                f"{actor}rt_sigprocmask(SIG_SETMASK, {{<8:{mask}>}}, 0, 8)",
                f"{actor}{look} ; {look}",
                "heir = clone(SIGCHLD, 0, 0, 0, 0) ; heir: " + look,
            )


def _info(number: int | str, code: int | str, value: int) -> str:
    # siginfo_t as the kernel takes it: signal, errno, code, pad, pid, uid, value
    return f"{{<4:{number}> <4:7> <4:{code}> <4:0> <4:123> <4:45> <8:{value}> <8:0> <8:0> {' '.join(['<8:0>'] * 10)}}}"


def _pending(script: Script) -> Iterator[Row]:
    make = f"{ALL} ; {ME}"
    look = "rt_sigpending([8], 8)"
    for name in _names(script):
        if name not in ("SIGKILL", "SIGSTOP"):
            yield Row(f"kill.{name}", make, f"kill($me, {name})", look, f"{TAKE} ; {TAKE}")
            if name in ("SIGUSR1", "SIGSEGV", "SIGCHLD", "SIGCONT", "SIGTSTP", 34, 64):
                yield Row(f"tgkill.{name}", make, f"tgkill($me, $me, {name})", look, f"{TAKE} ; {TAKE}")
    codes = {
        "SI_QUEUE": -1,
        "SI_TIMER": -2,
        "SI_MESGQ": -3,
        "SI_ASYNCIO": -4,
        "SI_SIGIO": -5,
        "SI_ASYNCNL": -60,
        "least": -0x80000000,
        "SI_USER": 0,
        "SI_KERNEL": 128,
        "CLD_EXITED": 1,
    }
    for name in ("SIGUSR1", "SIGCHLD", 40):
        for what, code in codes.items():
            yield Row(
                f"rt_sigqueueinfo.{name}.{what}",
                make,
                f"rt_sigqueueinfo($me, {name}, {_info(name, code, 0x1122334455667788)})",
                look,
                f"{TAKE} ; {TAKE}",
            )
    yield Row(
        "rt_tgsigqueueinfo.SIGUSR1", make, f"rt_tgsigqueueinfo($me, $me, SIGUSR1, {_info('SIGUSR1', -1, 5)})", look, f"{TAKE} ; {TAKE}"
    )
    three = " ; ".join(f"rt_sigqueueinfo($me, 40, {_info(40, -1, value)})" for value in (3, 1, 2))
    takes = " ; ".join([TAKE] * 5)
    yield Row("queue.three", make, three, look, takes)
    yield Row("queue.lower-last", make, f"{three} ; rt_sigqueueinfo($me, 35, {_info(35, -1, 9)})", look, takes)
    yield Row("queue.both-kinds", make, f"kill($me, 40) ; tgkill($me, $me, 40) ; rt_sigqueueinfo($me, 40, {_info(40, -1, 1)})", look, takes)
    yield Row("queue.standard-twice", make, "kill($me, SIGUSR1) ; kill($me, SIGUSR1) ; tgkill($me, $me, SIGUSR1)", look, takes)
    yield Row("queue.half-taken", make, f"{three} ; {TAKE}", look, takes)
    yield Row("queue.thirty", make, " ; ".join(f"rt_sigqueueinfo($me, 50, {_info(50, -1, value)})" for value in range(30)), look, takes)
    yield Row(
        "thread",
        f"{make} ; {THREAD}",
        "tgkill($me, $thread, SIGUSR1) ; kill($me, SIGUSR2)",
        f"{look} ; thread: {look}",
        f"thread: {TAKE} ; thread: {TAKE} ; {TAKE}",
    )
    yield Row("child", f"{make} ; {CHILD}", "kill($child, SIGUSR1)", f"child: {look} ; {look}", f"child: {TAKE} ; {TAKE}")
    handled = f"{_action('SIGUSR1', str(subject.HANDLER.value), 'SA_RESTORER')} ; {_action(40, str(subject.HANDLER.value), 'SA_RESTORER')}"
    yield Row(
        "handled-later",
        f"{handled} ; {make}",
        "kill($me, SIGUSR1) ; kill($me, 40) ; kill($me, 40)",
        look,
        f"rt_sigprocmask(SIG_SETMASK, {{<8:0>}}, 0, 8) ; {COUNT}",
    )
    yield Row("ignored-while-blocked", make, f"{_action('SIGUSR1', '1')} ; kill($me, SIGUSR1)", look, TAKE)
    yield Row(
        "child-died",
        f"{make} ; {CHILD}",
        "kill($child, SIGKILL) ; waitid(P_PID, $child, 0, WEXITED|WNOWAIT, 0)",
        look,
        f"{TAKE} ; wait4($child, [4], 0, 0)",
    )
    yield Row("child-stopped", f"{make} ; {CHILD}", "kill($child, SIGSTOP) ; waitid(P_PID, $child, 0, WSTOPPED|WNOWAIT, 0)", look, TAKE)
    yield Row("fault", make, "rt_sigqueueinfo($me, SIGSEGV, " + _info("SIGSEGV", -6, 0x1234000) + ")", look, TAKE)


def _stacks(script: Script) -> Iterator[Row]:
    area = "map = mmap(0x30000000, 65536, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
    handler = _action("SIGUSR1", str(subject.HANDLER.value), "SA_RESTORER|SA_ONSTACK")
    look = "sigaltstack(0, [24])"
    for flag in ("0", *script.names("SS_", header="linux/signal.h", but=("SS_FLAG",)), "SS_DISABLE|SS_AUTODISARM"):
        yield Row(
            f"self.{flag.replace('|', '_')}",
            f"{area} ; {ME} ; {handler}",
            f"sigaltstack({{$map, <4:{flag}> <4:0> <8:65536>}}, 0)",
            look,
            f"kill($me, SIGUSR1) ; {COUNT} ; {look}",
        )
    for size in (2048, 8192, 0x7FFFFFFF):
        yield Row(f"size={size}", area, f"sigaltstack({{$map+16, <8:0> <8:{size}>}}, 0)", look)
    yield Row("nowhere", area, "sigaltstack({<8:0x7000000> <8:0> <8:8192>}, 0)", look)
    yield Row(
        "disabled-again", area, "sigaltstack({$map, <8:0> <8:65536>}, 0) ; sigaltstack({$map, <4:SS_DISABLE> <4:0> <8:65536>}, 0)", look
    )
    for actor, make in {"child": CHILD, "thread": THREAD}.items():
        yield Row(
            actor, f"{area} ; {make}", f"{actor}: sigaltstack({{$map, <4:SS_AUTODISARM> <4:0> <8:8192>}}, 0)", f"{actor}: {look} ; {look}"
        )


def _children(script: Script) -> Iterator[Row]:
    info = "waitid(P_PID, $child, [128], WEXITED|WSTOPPED|WCONTINUED|WNOHANG|WNOWAIT, 0)"
    stopped = "kill($child, SIGSTOP) ; waitid(P_PID, $child, 0, WSTOPPED|WNOWAIT, 0)"
    yield Row(
        "stopped",
        CHILD,
        stopped,
        "",
        f"{STATUS} ; {STATUS} ; kill($child, SIGCONT) ; waitid(P_PID, $child, 0, WCONTINUED|WNOWAIT, 0) ; {STATUS}",
    )
    yield Row(
        "stopped.told",
        CHILD,
        f"{stopped} ; {STATUS}",
        "",
        f"{STATUS} ; kill($child, SIGCONT) ; waitid(P_PID, $child, 0, WCONTINUED|WNOWAIT, 0) ; {STATUS}",
    )
    yield Row(
        "stopped.pending",
        CHILD,
        f"{stopped} ; kill($child, SIGUSR1) ; kill($child, 40)",
        "",
        "kill($child, SIGCONT) ; wait4($child, [4], WUNTRACED, 0) ; wait4($child, [4], 0, 0)",
    )
    for name in ("SIGTSTP", "SIGTTIN", "SIGTTOU"):
        own = f"{CHILD} ; setpgid($child, $child)"
        yield Row(f"stopped.{name}", own, f"kill($child, {name}) ; waitid(P_PID, $child, 0, WSTOPPED|WNOWAIT, 0)", "", STATUS)
    yield Row(
        "continued",
        CHILD,
        f"{stopped} ; {STATUS} ; kill($child, SIGCONT) ; waitid(P_PID, $child, 0, WCONTINUED|WNOWAIT, 0)",
        "",
        f"{STATUS} ; {STATUS}",
    )
    for status in (0, 1, 127, 255, 256 + 3):
        yield Row(f"zombie.exit={status}", CHILD, f"child: exit_group({status})", info, f"{STATUS} ; {STATUS}")
    for name in ("SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT", "64"):
        yield Row(
            f"zombie.{name}", CHILD, f"kill($child, {name}) ; waitid(P_PID, $child, 0, WEXITED|WNOWAIT, 0)", info, f"{STATUS} ; {STATUS}"
        )
    yield Row(
        "zombie.rusage",
        CHILD,
        "kill($child, SIGKILL) ; waitid(P_PID, $child, 0, WEXITED|WNOWAIT, 0)",
        info,
        "wait4($child, [4], WNOHANG, [144])",
    )
    yield Row(
        "zombie.two",
        f"{CHILD} ; two = clone(SIGCHLD, 0, 0, 0, 0)",
        "two: exit_group(2) ; child: exit_group(1)",
        info,
        f"wait4($two, [4], WNOHANG, 0) ; {STATUS}",
    )
    nested = f"{CHILD} ; child: grand = clone(SIGCHLD, 0, 0, 0, 0)"
    yield Row("zombie.nested", nested, "grand: exit_group(5)", "", "child: wait4($grand, [4], WNOHANG, 0)")
    yield Row(
        "zombie.both", f"prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ; {nested}", "grand: exit_group(5) ; child: exit_group(6)", info, STATUS
    )
    yield Row("zombie.held-in-group", f"{CHILD} ; setpgid($child, $child)", "child: exit_group(1)", info, f"kill($child, 0) ; {STATUS}")
    for last in (0, "SIGUSR1", "SIGCHLD", 40):
        make = f"{ALL} ; child = clone({last}, 0, 0, 0, 0)"
        goes = f"{TAKE} ; wait4($child, [4], WNOHANG|__WALL, 0)"
        yield Row(f"exit-signal.{last}", ALL, f"child = clone({last}, 0, 0, 0, 0)", "", f"child: exit_group(3) ; {goes}")
        yield Row(f"exit-signal.{last}.zombie", make, "child: exit_group(3)", "rt_sigpending([8], 8)", goes)
