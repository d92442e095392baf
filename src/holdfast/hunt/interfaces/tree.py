"""States of trees of tasks: sessions, groups, orphans, threads that differ from their process, tables shared by processes.

Source:  linux/sched.h, linux/prctl.h; clone(2), setsid(2), setpgid(2), credentials(7), pthreads(7)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
THREADED = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM"
THREAD = f"thread = clone({THREADED}, 0, 0, 0, 0)"
FILE = "file = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT|O_EXCL, 420)"
AREA = "area = mmap(0x20000000, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
# flags that have rows of their own, here or in other tables, or that need what a subject has not
ELSEWHERE = (
    "CLONE_NEW",
    "CLONE_VFORK",
    "CLONE_PTRACE",
    "CLONE_THREAD",
    "CLONE_DETACHED",
    "CLONE_ARGS",
    "CLONE_PIDFD",
    "CLONE_SIGHAND",
    "CLONE_SETTLS",
    "CLONE_VM",
    "CLONE_FILES",
    "CLONE_FS",
    "CLONE_SYSVSEM",
    "CLONE_IO",
    "CLONE_AUTOREAP",
)
# what two processes may share, and how it shows
SHARED = {
    "CLONE_FILES": ("close($file)", "fcntl($file, F_GETFD, 0)"),
    "CLONE_FS": ("chdir(b'FOLDER\\0')", "getcwd([64], 64)"),
    "CLONE_FS|CLONE_FILES": ("chdir(b'FOLDER\\0')", "getcwd([64], 64)"),
    "CLONE_VM": ("mprotect($area, 4096, PROT_READ)", "madvise($area, 4096, MADV_POPULATE_WRITE)"),
    "CLONE_VM|CLONE_SIGHAND": ("rt_sigaction(SIGUSR1, {<8:1> <8:0> <8:0> <8:0>}, 0, 8)", "rt_sigaction(SIGUSR1, 0, [32], 8)"),
    "CLONE_VM|CLONE_FILES|CLONE_FS|CLONE_SIGHAND": ("close($file)", "fcntl($file, F_GETFD, 0)"),
    "CLONE_IO": ("ioprio_set(1, 0, 0x4005)", "ioprio_get(1, 0)"),
    "CLONE_SYSVSEM": ("getpid()", "getpid()"),
}
# what a thread may have that its process has not
THREADS = {
    "uid": ("setresuid(1000, 1000, 1000)", "getuid()", True),
    "groups": ("setgroups(2, {<4:5> <4:6>})", "getgroups(2, [8])", True),
    "capabilities": ("capset({<4:0x20080522> <4:0>}, {<4:1> <4:1> <4:0> <4:0> <4:0> <4:0>})", "capget({<4:0x20080522> <4:0>}, [24])", True),
    "no-new-privileges": ("prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)", "prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)", True),
    "securebits": ("prctl(PR_SET_SECUREBITS, 1, 0, 0, 0)", "prctl(PR_GET_SECUREBITS, 0, 0, 0, 0)", True),
    "name": ("prctl(PR_SET_NAME, b'another\\0', 0, 0, 0)", "prctl(PR_GET_NAME, [16], 0, 0, 0)", False),
    "folder": ("unshare(CLONE_FS) ; thread: chdir(b'FOLDER\\0')", "getcwd([64], 64)", False),
    "files": ("unshare(CLONE_FILES) ; thread: close(0)", "fcntl(0, F_GETFD, 0)", False),
    "semaphores": ("unshare(CLONE_SYSVSEM)", "getpid()", False),
    "affinity": ("sched_setaffinity(0, 8, {<8:1>})", "sched_getaffinity(0, 8, [8])", False),
    "nice": ("setpriority(0, 0, 7)", "getpriority(0, 0)", False),
    "scheduler": ("sched_setscheduler(0, SCHED_BATCH, {<4:0>})", "sched_getscheduler(0)", False),
    "ioprio": ("ioprio_set(1, 0, 0x4006)", "ioprio_get(1, 0)", False),
    "mask": ("rt_sigprocmask(SIG_SETMASK, {<8:512>}, 0, 8)", "rt_sigprocmask(0, 0, [8], 8)", False),
    "timer-slack": ("prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0)", "prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)", False),
    "pdeathsig": ("prctl(PR_SET_PDEATHSIG, 12, 0, 0, 0)", "prctl(PR_GET_PDEATHSIG, [4], 0, 0, 0)", False),
    "personality": ("personality(0x40000)", "personality(0xffffffff)", False),
    "clear-tid": ("set_tid_address($area)", "getpid()", False),
    "robust-list": ("set_robust_list($area, 24)", "get_robust_list(0, [8], [8])", False),
}


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of trees, one a recipe."""
    script = Script(constants)
    yield from script.recipes("tree", [*_processes(), *_threads(), *_ends()])
    yield from script.recipes("clone", _clones(script))


def _processes() -> Iterator[Row]:
    look = "getpgid($child) ; getsid($child)"
    yield Row("child", "umask(18)", CHILD, "getpgid($child)", "kill($child, 0)")
    for how, state in {"session": "child: setsid()", "group": "setpgid($child, $child)", "group-by-itself": "child: setpgid(0, 0)"}.items():
        yield Row(how, CHILD, state, look, f"{look} ; child: setsid()")
    two = f"{CHILD} ; two = clone(SIGCHLD, 0, 0, 0, 0)"
    yield Row("group.of-two", two, "setpgid($child, $child) ; setpgid($two, $child)", f"{look} ; getpgid($two)", "setpgid($two, $two)")
    led = f"{two} ; setpgid($child, $child) ; setpgid($two, $child)"
    yield Row("group.leader-dead", led, "child: exit_group(0)", "getpgid($two)", "kill($two, 0) ; setpgid($two, $two)")
    yield Row("group.leader-reaped", led, "child: exit_group(0) ; wait4($child, [4], 0, 0)", "getpgid($two)", "setpgid($two, $two)")
    session = f"{CHILD} ; child: setsid() ; child: grand = clone(SIGCHLD, 0, 0, 0, 0)"
    yield Row("session.of-two", CHILD, session.removeprefix(f"{CHILD} ; "), f"{look} ; getsid($grand)", "child: kill($grand, 0)")
    reaper = f"prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ; {session}"
    yield Row(
        "session.leader-dead",
        reaper,
        "child: exit_group(0) ; wait4($child, [4], 0, 0)",
        "getsid($grand) ; getpgid($grand)",
        "kill($grand, SIGKILL) ; wait4($grand, [4], 0, 0)",
    )
    yield Row(
        "orphan",
        f"prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ; {CHILD} ; child: grand = clone(SIGCHLD, 0, 0, 0, 0)",
        "child: exit_group(0) ; wait4($child, [4], 0, 0)",
        "getpgid($grand)",
        "kill($grand, SIGKILL) ; wait4($grand, [4], 0, 0)",
    )
    yield Row(
        "orphan.pdeathsig",
        f"prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ; {CHILD} ; child: grand = clone(SIGCHLD, 0, 0, 0, 0)",
        "grand: rt_sigprocmask(SIG_BLOCK, {<8:-1>}, 0, 8) ; grand: prctl(PR_SET_PDEATHSIG, 12, 0, 0, 0)",
        "grand: prctl(PR_GET_PDEATHSIG, [4], 0, 0, 0)",
        "child: exit_group(0) ; grand: rt_sigpending([8], 8)",
    )
    yield Row(
        "subreaper.later",
        f"{CHILD} ; child: grand = clone(SIGCHLD, 0, 0, 0, 0)",
        "prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)",
        "prctl(PR_GET_CHILD_SUBREAPER, [4], 0, 0, 0)",
        "child: exit_group(0) ; kill($grand, SIGKILL) ; wait4($grand, [4], 0, 0)",
    )
    line = CHILD
    last = "child"
    for name in ("b", "c", "d", "e"):
        line += f" ; {last}: {name} = clone(SIGCHLD, 0, 0, 0, 0)"
        last = name
    yield Row("deep", "umask(18)", line, "getpgid($e)", "d: kill($e, SIGKILL) ; d: wait4($e, [4], 0, 0)")
    wide = " ; ".join(f"c{n} = clone(SIGCHLD, 0, 0, 0, 0)" for n in range(8))
    yield Row("wide", "umask(18)", wide, "getpgid($c7)", "kill($c3, SIGKILL) ; wait4($c3, [4], 0, 0)")
    holes = " ; ".join(f"kill($c{n}, SIGKILL) ; wait4($c{n}, 0, 0, 0)" for n in (1, 2, 5))
    yield Row("holes", wide, holes, "getpgid($c7)", "kill($c1, 0)")


def _threads() -> Iterator[Row]:
    yield Row("thread", "umask(18)", THREAD, "getpid()", "thread: getpid()")
    many = " ; ".join(f"t{n} = clone({THREADED}, 0, 0, 0, 0)" for n in range(6))
    yield Row("threads", "umask(18)", many, "getpid()", "t5: getpid() ; t0: getpid()")
    yield Row("threads.hole", many, "t2: exit(0) ; t4: exit(0)", "getpid()", "t5: getpid() ; t3: getpid()")
    yield Row("threads.in-child", CHILD, f"child: {THREAD}", "getpid()", "thread: getpid()")
    yield Row("threads.child-of-thread", THREAD, f"thread: {CHILD}", "getpid()", "thread: wait4($child, [4], WNOHANG, 0)")
    for what, (state, get, security) in THREADS.items():
        yield Row(f"thread.{what}", f"{AREA} ; {THREAD}", f"thread: {state}", f"thread: {get} ; {get}", f"thread: {get}", security)


def _ends() -> Iterator[Row]:
    yield Row(
        "leader-exited",
        f"{CHILD} ; child: {THREAD}",
        "child: exit(3)",
        "",
        "thread: getpid() ; thread: exit_group(4) ; wait4($child, [4], 0, 0)",
    )
    yield Row("leader-exited.own", THREAD, "exit(3)", "", "thread: getpid()")
    tid = f"{AREA} ; thread = clone({THREADED}|CLONE_CHILD_CLEARTID, 0, 0, $area, 0) ; poke($area, b'\\x07\\0\\0\\0')"
    yield Row("thread.CLONE_CHILD_CLEARTID", AREA, tid.removeprefix(f"{AREA} ; "), "peek($area, 4)", "thread: exit(0) ; peek($area, 4)")


def _clones(script: Script) -> Iterator[Row]:
    make = f"{FILE} ; {AREA}"
    for flags, (acts, look) in SHARED.items():
        name = flags.replace("|", "_")
        yield Row(
            f"shared.{name}",
            make,
            f"child = clone({flags}|SIGCHLD, 0, 0, 0, 0)",
            f"child: {look} ; {look}",
            f"child: {acts} ; {look} ; child: {look}",
        )
        yield Row(
            f"shared.{name}.changed",
            f"{make} ; child = clone({flags}|SIGCHLD, 0, 0, 0, 0)",
            f"child: {acts}",
            f"child: {look} ; {look}",
            f"child: {look} ; {look}",
        )
        if "VM" not in flags and "SYSVSEM" not in flags:
            parts = flags.replace("CLONE_IO", "CLONE_IO")
            yield Row(
                f"unshared.{name}",
                f"{make} ; child = clone({flags}|SIGCHLD, 0, 0, 0, 0)",
                f"child: unshare({parts})" if "IO" not in flags else "child: ioprio_set(1, 0, 0x4003)",
                look,
                f"child: {acts} ; {look}",
            )
    for flag in script.names("CLONE_", header="linux/sched.h", but=ELSEWHERE):
        if flag == "CLONE_PARENT":
            continue  # by the first process: the child is no part of its tree
        yield Row(
            f"flag.{flag}",
            make,
            f"child = clone({flag}|SIGCHLD, 0, $area, $area+8, 0)",
            "getpgid($child)",
            "kill($child, SIGKILL) ; wait4($child, [4], __WALL, 0)",
        )
        clone3 = f"{{<8:{flag}> <8:0>, $area+8, $area, <8:SIGCHLD> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0>}}"
        yield Row(
            f"clone3.{flag}",
            make,
            f"child = clone3({clone3}, 88)",
            "getpgid($child)",
            "kill($child, SIGKILL) ; wait4($child, [4], __WALL, 0)",
        )
    tls = "CLONE_SETTLS"
    yield Row(f"flag.{tls}", make, f"child = clone({tls}|SIGCHLD, 0, 0, 0, $area)", "child: arch_prctl(ARCH_GET_FS, [8])")
    sibling = f"{CHILD} ; child: sibling = clone(CLONE_PARENT|SIGCHLD, 0, 0, 0, 0)"
    yield Row("sibling", "umask(18)", sibling, "getpgid($sibling)", "kill($sibling, SIGKILL) ; wait4($sibling, [4], 0, 0)")
    yield Row(
        "exit-signal.none",
        "umask(18)",
        "child = clone(0, 0, 0, 0, 0)",
        "getpgid($child)",
        "kill($child, SIGKILL) ; wait4($child, [4], __WCLONE, 0)",
    )
