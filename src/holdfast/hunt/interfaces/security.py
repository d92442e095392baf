"""Recipes of sandboxes and of what a thread registers with the kernel: seccomp, landlock, speculation, dispatch, rseq, futexes.

SECCOMP_RET_*, SECCOMP_FILTER_FLAG_*, LANDLOCK_ACCESS_*, LANDLOCK_SCOPE_*, PR_SPEC_* and MEMBARRIER_CMD_REGISTER_* are tried by prefix.
What a sandbox forbids is tried after the restore, and must be forbidden still. Strict mode is no state of a
subject, whose pause(2) it forbids.

Source:  seccomp(2), landlock(7), PR_SET_SPECULATION_CTRL(2const), PR_SET_SYSCALL_USER_DISPATCH(2const), rseq(2), get_robust_list(2),
         membarrier(2), futex(2), set_tid_address(2)
"""

from __future__ import annotations

from holdfast.hunt.actors import ACTORS, CHILD, HEIR, THREAD, and_then, by, told
from holdfast.hunt.interfaces.script import Row, Script
from holdfast.hunt.subject import COUNTER, HANDLER, RESTORER
from holdfast.kernel.uapi.syscalls import X86_64
from holdfast.tracee.arch.x86_64 import SUBJECT_GATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

MAP = "map = mmap(0, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
SHARED = "map = mmap(0, 0x4000, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0)"
HANDLED = f"rt_sigaction(SIGSYS, <8:{HANDLER.value}> <8:SA_RESTORER|SA_SIGINFO> <8:{RESTORER.value}> <8:0>, 0, 8)"
COUNTED = f"peek({COUNTER.value}, 4)"
DEADLY = ("SECCOMP_RET_KILL", "SECCOMP_RET_KILL_THREAD", "SECCOMP_RET_KILL_PROCESS")
NO_ACTIONS = ("SECCOMP_RET_ACTION", "SECCOMP_RET_DATA")
NO_LABELS = (
    "LSM_ID_CAPABILITY",
    "LSM_ID_YAMA",
    "LSM_ID_LOADPIN",
    "LSM_ID_SAFESETID",
    "LSM_ID_LOCKDOWN",
    "LSM_ID_BPF",
    "LSM_ID_LANDLOCK",
    "LSM_ID_IMA",
    "LSM_ID_EVM",
    "LSM_ID_IPE",
)
"""Modules of which no task carries a label; lsm_set_self_attr(2) of them is EOPNOTSUPP."""
GET = "prctl(PR_GET_SECCOMP, 0, 0, 0, 0)"


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Sandboxes first."""
    script = Script(constants)
    yield from script.recipes("seccomp", _seccomp(script))
    yield from script.recipes("landlock", _landlock(script, ask))
    yield from script.recipes("speculation", _speculation(script, ask))
    yield from script.recipes("syscall_user_dispatch", _dispatch(script))
    yield from script.recipes("rseq", _rseq(script))
    yield from script.recipes("set_robust_list", _registered())
    yield from script.recipes("membarrier", _membarrier(script))
    yield from script.recipes("futex", _futex())
    yield from script.recipes("lsm_set_self_attr", _labels(script, ask))


def program(call: str, action: str, padding: int = 0) -> str:
    """A struct sock_fprog as text: one call has an action, all others are allowed.

    Source:  linux/filter.h; struct seccomp_data's first word is the number of the call
    """
    words = "<2:0x20> <2:0> <4:0> " + "<2:0x20> <2:0> <4:4> " * padding + "<2:0x20> <2:0> <4:0> "
    words += f"<2:0x15> <1:0> <1:1> <4:{X86_64[call]}> <2:6> <2:0> <4:{action}> <2:6> <2:0> <4:SECCOMP_RET_ALLOW>"
    return f"{{<2:{5 + padding}> <6:0>, &{words}}}"


def _filtered(action: str, flags: str = "0", call: str = "getuid", result: str = "") -> str:
    return f"{result}seccomp(SECCOMP_SET_MODE_FILTER, {flags}, {program(call, action)})"


def _seccomp(script: Script) -> Iterator[Row]:
    actions = script.names("SECCOMP_RET_", header="linux/seccomp.h", but=NO_ACTIONS)
    for action in actions:
        after = "" if action in DEADLY else f"getuid() ; geteuid() ; {COUNTED} ; {told('getuid()')}"
        for data in ("", "|13") if action not in DEADLY else ("",):
            yield Row(f"self.{action}{data}", HANDLED, _filtered(action + data), GET, after, True)
        for actor in ("thread", "child"):
            tried = "" if action in DEADLY else f"{by(actor, 'getuid()')} ; getuid()"
            yield Row(f"{actor}.{action}", and_then(HANDLED, ACTORS[actor]), by(actor, _filtered(action)), by(actor, GET), tried, True)
    for flag in script.names("SECCOMP_FILTER_FLAG_", header="linux/seccomp.h"):
        if flag.endswith("NEW_LISTENER") or "WAIT_KILLABLE" in flag:
            flags = flag if flag.endswith("NEW_LISTENER") else f"{flag}|SECCOMP_FILTER_FLAG_NEW_LISTENER"
            state = _filtered("SECCOMP_RET_USER_NOTIF", flags, "getpgid", "listener = ")
            yield Row(f"self.{flag}", "getpid()", state, f"{GET} ; fcntl($listener, F_GETFD) ; fcntl($listener, F_GETFL)", "", True)
            continue
        for actor in ("self", "thread"):
            make = THREAD if "TSYNC" in flag or actor == "thread" else "getpid()"
            looked = f"{GET} ; {by('thread', GET)}" if make == THREAD else GET
            tried = f"getuid() ; {by('thread', 'getuid()')}" if make == THREAD else "getuid()"
            yield Row(f"{actor}.{flag}", make, by(actor, _filtered("SECCOMP_RET_ERRNO|1", flag)), looked, tried, True)
    many = " ; ".join(
        _filtered(f"SECCOMP_RET_ERRNO|{n}", "0", call) for n, call in enumerate(("getuid", "getgid", "geteuid", "getegid"), 1)
    )
    yield Row("self.four", "getpid()", many, GET, "getuid() ; getgid() ; geteuid() ; getegid()", True)
    long = f"seccomp(SECCOMP_SET_MODE_FILTER, 0, {program('getuid', 'SECCOMP_RET_ERRNO|1', 1000)})"
    yield Row("self.long", "getpid()", long, GET, "getuid()", True)
    yield Row(
        "self.by_prctl", "getpid()", f"prctl(PR_SET_SECCOMP, 2, {program('getuid', 'SECCOMP_RET_ERRNO|1')}, 0, 0)", GET, "getuid()", True
    )
    unprivileged = "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ; setresuid(1000, 1000, 1000)"
    yield Row("self.unprivileged", unprivileged, _filtered("SECCOMP_RET_ERRNO|1"), GET, "getuid()", True)
    yield Row("child.inherited", _filtered("SECCOMP_RET_ERRNO|1"), CHILD, by("child", GET), by("child", "getuid()"), True)
    notified = f"{HEIR.replace('heir', 'child')} ; child: getpgid(0) blocks"
    yield Row(
        "child.notified",
        _filtered("SECCOMP_RET_USER_NOTIF", "SECCOMP_FILTER_FLAG_NEW_LISTENER", "getpgid", "listener = "),
        notified,
        "",
        "ioctl($listener, SECCOMP_IOCTL_NOTIF_RECV, [80])",
        True,
    )


TRIED = and_then(
    "openat(AT_FDCWD, b'/etc/passwd\\0', O_RDONLY, 0)",
    "openat(AT_FDCWD, b'FOLDER/new\\0', O_WRONLY|O_CREAT, 0x180)",
    "openat(AT_FDCWD, b'/\\0', O_RDONLY, 0)",
    "mkdirat(AT_FDCWD, b'FOLDER/dir\\0', 0x1c0)",
    "unlinkat(AT_FDCWD, b'FOLDER/dir\\0', AT_REMOVEDIR)",
    "symlinkat(b'a\\0', AT_FDCWD, b'FOLDER/link\\0')",
    "mknodat(AT_FDCWD, b'FOLDER/fifo\\0', S_IFIFO, 0)",
    "renameat(AT_FDCWD, b'FOLDER/new\\0', AT_FDCWD, b'FOLDER/renamed\\0')",
    "truncate(b'FOLDER/renamed\\0', 1)",
    "unlinkat(AT_FDCWD, b'FOLDER/renamed\\0', 0)",
    "sock = socket(AF_INET, SOCK_STREAM, 0)",
    "bind($sock, <2:2> <2:0> <4:0x0100007f> <8:0>, 16)",
    "connect($sock, <2:2> <2:0x100> <4:0x0100007f> <8:0>, 16)",
)
"""Something for each right of landlock(7): what the sandbox forbids is EACCES, EPERM or EXDEV."""
NNP = "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)"


def _ruleset(fs: str = "0", net: str = "0", scoped: str = "0", size: int = 24) -> str:
    return f"ruleset = landlock_create_ruleset(<8:{fs}> <8:{net}> <8:{scoped}>, {size}, 0)"


def _landlock(script: Script, ask: Ask) -> Iterator[Row]:
    header, get = "linux/landlock.h", "fcntl($ruleset, F_GETFD)"
    rulesets: dict[str, str] = {}
    have: list[list[str]] = []
    for at, prefix in enumerate(("LANDLOCK_ACCESS_FS_", "LANDLOCK_ACCESS_NET_", "LANDLOCK_SCOPE_")):
        names = script.names(prefix, header=header)
        for name in names:
            fs, net, scoped = ("0" if place != at else name for place in range(3))
            rulesets[name] = _ruleset(fs, net, scoped, size=8 * (at + 1))
        have.append([n for n in names if ask((), script.lines(rulesets[n])[0]) is not None])
    fs, net, scopes = ("|".join(names) or "0" for names in have)
    if fs != "0":
        rulesets |= {"fs": _ruleset(fs, size=8), "all": _ruleset(fs, net, scopes)}
    for name, made in rulesets.items():
        yield Row(f"ruleset.{name}", "getpid()", made, get, "", True)
        if name.endswith("_SIGNAL"):  # a child that is not in the domain
            signalled = and_then(NNP, made, CHILD)
            yield Row(f"self.{name},child", signalled, "landlock_restrict_self($ruleset, 0)", get, "kill($child, 0)", True)
        for actor in ACTORS if name in ("fs", "all") else ("self",):
            make = and_then(NNP, made, ACTORS[actor])
            yield Row(f"{actor}.{name}", make, by(actor, "landlock_restrict_self($ruleset, 0)"), get, by(actor, TRIED), True)
    made = _ruleset("LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_READ_DIR", size=8)
    parent = "parent = openat(AT_FDCWD, b'/etc\\0', O_PATH|O_CLOEXEC, 0)"
    rule = "landlock_add_rule($ruleset, LANDLOCK_RULE_PATH_BENEATH, {<8:LANDLOCK_ACCESS_FS_READ_FILE>, $parent:4}, 0)"
    port = "landlock_add_rule($ruleset, LANDLOCK_RULE_NET_PORT, <8:LANDLOCK_ACCESS_NET_BIND_TCP> <8:80>, 0)"
    yield Row("ruleset.rule", and_then(made, parent), rule, get, "", True)
    yield Row("self.rule", and_then(NNP, made, parent, rule), "landlock_restrict_self($ruleset, 0)", "", TRIED, True)
    yield Row("ruleset.port", _ruleset("0", "LANDLOCK_ACCESS_NET_BIND_TCP", size=16), port, get, "", True)
    for flag in script.names("LANDLOCK_RESTRICT_SELF_", header=header):
        yield Row(f"self.{flag}", and_then(NNP, made), f"landlock_restrict_self($ruleset, {flag})", "", TRIED, True)
    twice = "landlock_restrict_self($ruleset, 0) ; landlock_restrict_self($ruleset, 0)"
    yield Row("self.twice", and_then(NNP, made), twice, "", TRIED, True)
    yield Row("child.inherited", and_then(NNP, made, "landlock_restrict_self($ruleset, 0)"), CHILD, "", by("child", TRIED), True)


def _speculation(script: Script, ask: Ask) -> Iterator[Row]:
    names = script.names("PR_SPEC_", header="linux/prctl.h")
    for feature in ("PR_SPEC_STORE_BYPASS", "PR_SPEC_INDIRECT_BRANCH", "PR_SPEC_L1D_FLUSH"):
        get = f"prctl(PR_GET_SPECULATION_CTRL, {feature}, 0, 0, 0)"
        for control in names:
            if not script.value(control) or control in ("PR_SPEC_PRCTL", "PR_SPEC_INDIRECT_BRANCH", "PR_SPEC_L1D_FLUSH"):
                continue
            state = f"prctl(PR_SET_SPECULATION_CTRL, {feature}, {control}, 0, 0)"
            if ask((), script.lines(state)[0]) is None and control != "PR_SPEC_DISABLE":
                continue
            enabled = f"prctl(PR_SET_SPECULATION_CTRL, {feature}, PR_SPEC_ENABLE, 0, 0)"
            for actor, make in ACTORS.items():
                after = f"{enabled} ; {told(get)}" if actor == "self" else ""
                yield Row(
                    f"{actor}.{feature}={control}", and_then("getpid()", make), by(actor, state), f"{get} ; {by(actor, get)}", after, True
                )


def _dispatch(script: Script) -> Iterator[Row]:
    whole, gate = "0, 0x7fffffffffff", f"{SUBJECT_GATE + 2:#x}, 1"
    modes = [n for n in script.names("PR_SYS_DISPATCH_", header="linux/prctl.h") if not n.endswith("OFF")]
    get = "peek($map, 1)"
    after = f"poke($map, b'\\x01') ; getuid() ; poke($map, b'\\0') ; {COUNTED}"
    for mode in modes:
        inclusive = "INCLUSIVE" in mode  # calls in the range are dispatched, not those outside
        spans = {"gate": gate, "low": "0x70000000, 0x1000"} | (
            {} if inclusive else {"all": whole, "none": "0, 0", "odd": "1, 0x7ffffffffffe"}
        )
        for name, span in spans.items():
            state = f"prctl(PR_SET_SYSCALL_USER_DISPATCH, {mode}, {span}, $map)"
            tried = after if name == ("gate" if inclusive else "all") else ""
            yield Row(f"self.{mode}={name},selector", and_then(HANDLED, MAP), state, get, tried, True)
        span = spans["low" if inclusive else "all"]
        yield Row(
            f"self.{mode}",
            and_then(HANDLED, MAP),
            f"prctl(PR_SET_SYSCALL_USER_DISPATCH, {mode}, {span}, 0)",
            get,
            f"getuid() ; {COUNTED}",
            True,
        )
        for actor in ("thread", "child"):
            state = by(actor, f"prctl(PR_SET_SYSCALL_USER_DISPATCH, {mode}, {span}, $map)")
            yield Row(f"{actor}.{mode}", and_then(HANDLED, MAP, ACTORS[actor]), state, get, "", True)


def _rseq(script: Script) -> Iterator[Row]:
    signature = 0x53053053
    off = f"rseq($map, 32, RSEQ_FLAG_UNREGISTER, {signature:#x})"
    for size in (32, 64):
        yield Row(f"self.size={size}", MAP, f"rseq($map, {size}, 0, {signature:#x})", "", off.replace("32", str(size)))
    yield Row("self.signature=0", MAP, "rseq($map, 32, 0, 0)", "", f"{off} ; rseq($map, 32, RSEQ_FLAG_UNREGISTER, 0)")
    yield Row("self.unregistered", f"{MAP} ; rseq($map, 32, 0, {signature:#x})", off, "", off)
    yield Row(
        "self.section", MAP, f"poke($map+512, b'\\0\\0\\0\\0\\0\\0\\0\\0') ; rseq($map, 32, 0, {signature:#x})", "peek($map+8, 8)", off
    )
    for actor in ("thread", "child"):
        yield Row(f"{actor}.size=32", and_then(MAP, ACTORS[actor]), by(actor, f"rseq($map, 32, 0, {signature:#x})"), "", by(actor, off))
    for flag in script.names("RSEQ_FLAG_", header="linux/rseq.h", but=("RSEQ_FLAG_UNREGISTER",)):
        yield Row(f"self.{flag}", MAP, f"rseq($map, 32, {flag}, {signature:#x})", "", off)


def _registered() -> Iterator[Row]:
    get = "get_robust_list(0, [8], [8])"
    yield Row("self.list=map", MAP, "set_robust_list($map, 24)", get)
    yield Row("self.list=0", f"{MAP} ; set_robust_list($map, 24)", "set_robust_list(0, 24)", get)
    yield Row("self.list=far", "getpid()", "set_robust_list(0x7ffffffff000, 24)", get)
    for actor in ("thread", "child"):
        yield Row(f"{actor}.list=map", and_then(MAP, ACTORS[actor]), by(actor, "set_robust_list($map, 24)"), by(actor, get))
    # a lock that its owner leaves behind: the kernel marks it when the child is killed
    owned = f"{SHARED} ; {CHILD} ; poke($map, b'\\x00') ; child: set_robust_list($map, 24)"
    yield Row("child.pending", owned, "child: tid = gettid()", "", "kill($child, SIGKILL) ; wait4($child, [4], 0, 0)")
    address = "prctl(PR_GET_TID_ADDRESS, [8], 0, 0, 0)"
    for actor, make in ACTORS.items():
        for name, where in {"map": "$map+64", "0": "0", "far": "0x7ffffffff000"}.items():
            yield Row(f"{actor}.tid_address={name}", and_then(MAP, make), by(actor, f"set_tid_address({where})"), by(actor, address))
    cleared = "thread = clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_CHILD_CLEARTID, 0, 0, $map, 0)"
    yield Row("thread.CLONE_CHILD_CLEARTID", f"{MAP} ; poke($map, b'\\x07')", cleared, f"peek($map, 4) ; {by('thread', address)}")


def _membarrier(script: Script) -> Iterator[Row]:
    get = "membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0)"
    registers = script.names("MEMBARRIER_CMD_REGISTER_", header="linux/membarrier.h")
    for name in registers:
        used = f"membarrier({name.replace('REGISTER_', '')}, 0, 0)"
        yield Row(f"self.{name}", "getpid()", f"membarrier({name}, 0, 0)", get, f"{used} ; {told(used)}")
        yield Row(f"child.{name}", CHILD, f"child: membarrier({name}, 0, 0)", f"{get} ; child: {get}", f"{used} ; child: {used}")
        yield Row(f"thread.{name}", THREAD, f"thread: membarrier({name}, 0, 0)", get, used)
    yield Row("self.all", "getpid()", " ; ".join(f"membarrier({n}, 0, 0)" for n in registers), get)


def _futex() -> Iterator[Row]:
    private = "FUTEX_PRIVATE_FLAG"
    far = "<8:0x7fffffff> <8:0>"
    waits = {
        "FUTEX_WAIT": ("futex($map, FUTEX_WAIT{}, 0, 0, 0, 0)", "futex($map, FUTEX_WAKE{}, 9, 0, 0, 0)"),
        "FUTEX_WAIT,timeout": (f"futex($map, FUTEX_WAIT{{}}, 0, {far}, 0, 0)", "futex($map, FUTEX_WAKE{}, 9, 0, 0, 0)"),
        "FUTEX_WAIT_BITSET": (
            f"futex($map, FUTEX_WAIT_BITSET{{}}, 0, {far}, 0, 4)",
            "futex($map, FUTEX_WAKE_BITSET{}, 9, 0, 0, 2) ; futex($map, FUTEX_WAKE_BITSET{}, 9, 0, 0, 4)",
        ),
        "FUTEX_WAIT_BITSET,realtime": (
            f"futex($map, FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME{{}}, 0, {far}, 0, 1)",
            "futex($map, FUTEX_WAKE{}, 9, 0, 0, 0)",
        ),
        "requeued": (
            "futex($map, FUTEX_WAIT{}, 0, 0, 0, 0)",
            and_then(
                "futex($map, FUTEX_REQUEUE{}, 0, 9, $map+64, 0)",
                *(f"futex({at}, FUTEX_WAKE{{}}, 9, 0, 0, 0)" for at in ("$map", "$map+64")),
            ),
        ),
    }
    for name, (wait, wake) in waits.items():
        for actor, place in (("thread", MAP), ("child", SHARED), ("thread", SHARED)):
            for flag in ("", f"|{private}") if actor == "thread" and place == MAP else ("",):
                kind = "shared" if place == SHARED else "private" if flag else "map"
                yield Row(
                    f"{actor}.{kind}.{name}",
                    and_then(place, ACTORS[actor]),
                    f"{actor}: {wait.format(flag)} blocks",
                    "peek($map, 4)",
                    wake.replace("{}", flag),
                    inside=True,
                )
    vector = "{<8:0>, $map, <4:2> <4:0> <8:0>, $map+64, <4:2> <4:0>}"
    yield Row(
        "thread.map.futex_waitv",
        and_then(MAP, THREAD),
        f"thread: futex_waitv({vector}, 2, 0, 0, 1) blocks",
        "",
        "futex($map+64, FUTEX_WAKE, 9, 0, 0, 0)",
        inside=True,
    )
    yield Row(
        "thread.map.futex_wait",
        and_then(MAP, THREAD),
        "thread: futex_wait($map, 0, 4, 2, 0, 1) blocks",
        "",
        "futex_wake($map, 4, 9, 2)",
        inside=True,
    )
    for lock in ("FUTEX_LOCK_PI", "FUTEX_LOCK_PI2"):
        for actor, place in (("thread", MAP), ("child", SHARED)):
            held = and_then(place, ACTORS[actor], "futex($map, FUTEX_LOCK_PI, 0, 0, 0, 0)")
            yield Row(
                f"{actor}.{lock}",
                held,
                f"{actor}: futex($map, {lock}, 0, 0, 0, 0) blocks",
                "",
                "futex($map, FUTEX_UNLOCK_PI, 0, 0, 0, 0)",
                inside=True,
            )
    yield Row(
        "self.FUTEX_LOCK_PI", MAP, "futex($map, FUTEX_LOCK_PI, 0, 0, 0, 0)", "peek($map, 4)", "futex($map, FUTEX_UNLOCK_PI, 0, 0, 0, 0)"
    )
    requeue = "thread: futex($map, FUTEX_WAIT_REQUEUE_PI, 0, 0, $map+64, 0) blocks"
    yield Row(
        "thread.FUTEX_WAIT_REQUEUE_PI",
        and_then(MAP, THREAD),
        requeue,
        "",
        "futex($map, FUTEX_CMP_REQUEUE_PI, 1, 9, $map+64, 0)",
        inside=True,
    )


def _labels(script: Script, ask: Ask) -> Iterator[Row]:
    modules = script.names("LSM_ID_", header="linux/lsm.h", but=("LSM_ID_UNDEF", *NO_LABELS))
    for name in script.names("LSM_ATTR_", header="linux/lsm.h", but=("LSM_ATTR_UNDEF",)):
        get = f"lsm_get_self_attr({name}, [256], [4 b'\\0\\x01'], 0)"
        labelled = ask((), script.lines(get)[0]) is not None
        for module in modules if labelled else modules[:1]:
            words = f"<8:{module}> <8:0> <8:34> <8:2> <2:0x78>"
            yield Row(f"self.{name}={module}", "getpid()", f"lsm_set_self_attr({name}, {words}, 34, 0)", get, "", True)
