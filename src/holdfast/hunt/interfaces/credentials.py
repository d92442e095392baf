"""Recipes of who a process is and where it lives: ids, groups, capabilities bit by bit, securebits, keyrings, personality, namespaces.

Each CAP_* that a subject has is dropped from or raised in each of the five sets; SECBIT_*, the bits and names of personality, and
CLONE_NEW* of unshare are tried by prefix. Raw calls change one thread only, so threads of different credentials are states too. Keys
are made only in keyrings that go with the process.

Source:  credentials(7), capabilities(7), setresuid(2), setgroups(2), keyrings(7), personality(2), unshare(2), setns(2), namespaces(7)
"""

from __future__ import annotations

from holdfast.hunt.actors import ACTORS, CHILD, THREAD, and_then, by, told
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

IDS = (1, 1000, 65534)
LOOK = "getresuid([4], [4], [4]) ; getresgid([4], [4], [4])"
HEADER_3 = "<4:_LINUX_CAPABILITY_VERSION_3> <4:0>"
CAPS = f"capget({HEADER_3}, [24])"
PRIVATE = ("KEY_SPEC_THREAD_KEYRING", "KEY_SPEC_PROCESS_KEYRING", "KEY_SPEC_SESSION_KEYRING")
"""Keyrings of a process; those of a user outlive it."""
NEEDS: dict[str, str] = {
    "CAP_SETUID": "setresuid(5, -1, -1)",
    "CAP_SETGID": "setgroups(1, <4:5>)",
    "CAP_SYS_CHROOT": "chroot(b'/\\0')",
    "CAP_SYS_NICE": "setpriority(PRIO_PROCESS, 0, -3)",
    "CAP_SYS_ADMIN": "unshare(CLONE_NEWUTS)",
    "CAP_SETPCAP": "prctl(PR_CAPBSET_DROP, 3, 0, 0, 0)",
    "CAP_SYS_RESOURCE": "prlimit64(0, RLIMIT_CORE, <8:0> <8:0>, 0) ; prlimit64(0, RLIMIT_CORE, <8:5> <8:5>, 0)",
    "CAP_DAC_OVERRIDE": "setfsuid(1000) ; openat(AT_FDCWD, b'/etc/shadow\\0', O_RDONLY, 0)",
    "CAP_NET_RAW": "socket(AF_INET, SOCK_RAW, 1)",
    "CAP_NET_BIND_SERVICE": "socket(AF_INET, SOCK_STREAM, 0) ; bind(3, <2:2> <2:0x100> <4:0x100007f> <8:0>, 16)",
    "CAP_IPC_LOCK": "prlimit64(0, RLIMIT_MEMLOCK, <8:0> <8:0>, 0) ; mlockall(MCL_CURRENT)",
    "CAP_LEASE": "setresuid(-1, 1000, -1) ; fcntl(0, F_SETLEASE, F_RDLCK)",
    "CAP_SYS_PTRACE": "kcmp(1, 1, KCMP_VM, 0, 0)",
}
"""What only a task with a capability may do; nothing of it reaches beyond the process's own namespaces."""


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """All of it; the interface is the system call."""
    script = Script(constants)
    yield from script.recipes("setresuid", _ids())
    yield from script.recipes("setgroups", _groups())
    yield from script.recipes("capset", _capabilities(script, _held(script, ask)))
    yield from script.recipes("securebits", _securebits(script))
    yield from script.recipes("keyctl", _keys(script))
    yield from script.recipes("personality", _personality(script))
    yield from script.recipes("umask", _places())
    yield from script.recipes("unshare", _unshare(script))
    yield from script.recipes("setns", _setns(script))
    yield from script.recipes("sethostname", _names())


def _ids() -> Iterator[Row]:
    for call, count in (("setresuid", 3), ("setresgid", 3)):
        for number in IDS:
            for chosen in (0, 1, 2, None):
                ids = [str(number) if chosen in (None, i) else "-1" for i in range(count)]
                name = f"{call}={','.join(ids)}"
                yield Row(
                    f"self.{name}",
                    "getpid()",
                    f"{call}({', '.join(ids)})",
                    f"{LOOK} ; {CAPS}",
                    f"openat(AT_FDCWD, b'/etc/shadow\\0', O_RDONLY, 0) ; {told(LOOK)}",
                    True,
                )
        for actor in ("thread", "child"):
            yield Row(
                f"{actor}.{call}=1000", ACTORS[actor], by(actor, f"{call}(1000, 1000, 1000)"), f"{LOOK} ; {by(actor, LOOK)}", "", True
            )
        yield Row(f"self.{call}=1,2,3", "getpid()", f"{call}(1, 2, 3)", LOOK, told(LOOK), True)
    for call in ("setfsuid", "setfsgid"):
        for number in IDS:
            get, opened = f"{call}(-1)", "openat(AT_FDCWD, b'/etc/shadow\\0', O_RDONLY, 0)"
            yield Row(f"self.{call}={number}", "getpid()", f"{call}({number})", f"{get} ; {CAPS}", f"{opened} ; {told(get)}", True)
        yield Row(f"thread.{call}=7", THREAD, f"thread: {call}(7)", f"{call}(-1) ; thread: {call}(-1)", "", True)
    for call in ("setuid", "setgid"):
        yield Row(f"self.{call}=1000", "getpid()", f"{call}(1000)", f"{LOOK} ; {CAPS}", told(LOOK), True)
    kept = "prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) ; setresuid(1000, 1000, 1000)"
    yield Row("self.keepcaps,setresuid=1000", "getpid()", kept, f"{LOOK} ; {CAPS}", "setresuid(0, 0, 0)", True)


def _groups() -> Iterator[Row]:
    get = "getgroups(64, [256])"
    lists: dict[str, list[int]] = {
        "none": [],
        "root": [0],
        "one": [1000],
        "unsorted": [30, 10, 20],
        "repeated": [7, 7, 7],
        "highest": [0xFFFFFFFE, 65534],
        "32": list(range(32)),
        "33": list(range(100, 133)),
        "1000": list(range(5000, 6000)),
    }
    for name, groups in lists.items():
        words = " ".join(f"<4:{g}>" for g in groups) or "0"
        for actor in ("self", "thread") if len(groups) < 33 else ("self",):
            make = and_then("setgroups(1, <4:42>)", ACTORS[actor])
            yield Row(
                f"{actor}.{name}", make, by(actor, f"setgroups({len(groups)}, {words})"), f"{get} ; {by(actor, get)}", told(get), True
            )


def _capset(effective: int, permitted: int, inheritable: int) -> str:
    low = [n & 0xFFFFFFFF for n in (effective, permitted, inheritable)]
    high = [n >> 32 for n in (effective, permitted, inheritable)]
    return f"capset({HEADER_3}, {' '.join(f'<4:{n}>' for n in (*low, *high))})"


def _held(script: Script, ask: Ask) -> int:
    # the capabilities that a subject has: all, where nobody took one from us
    got = ask((), script.lines(CAPS)[0])
    if isinstance(got, bytes) and len(got) == 24:
        return int.from_bytes(got[4:8] + got[16:20], "little")
    return int((1 << script.value("CAP_LAST_CAP") + 1) - 1)


def _capabilities(script: Script, every: int) -> Iterator[Row]:
    last = script.value("CAP_LAST_CAP")
    for name in script.names("CAP_", header="linux/capability.h", but=("CAP_LAST_CAP",)):
        number = script.value(name)
        if not every >> number & 1:
            continue
        bit, after = 1 << number, NEEDS.get(name, told(CAPS))
        yield Row(f"effective.{name}", "getpid()", _capset(every & ~bit, every, 0), CAPS, after, True)
        yield Row(f"permitted.{name}", "getpid()", _capset(every & ~bit, every & ~bit, 0), CAPS, after, True)
        yield Row(f"inheritable.{name}", "getpid()", _capset(every, every, bit), CAPS, told(CAPS), True)
        raised = f"prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {name}, 0, 0)"
        asked = f"prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, {name}, 0, 0)"
        yield Row(f"ambient.{name}", _capset(every, every, bit), raised, f"{asked} ; {CAPS}", told(asked), True)
        read = f"prctl(PR_CAPBSET_READ, {name}, 0, 0, 0)"
        yield Row(f"bounding.{name}", "getpid()", f"prctl(PR_CAPBSET_DROP, {name}, 0, 0, 0)", read, told(read), True)
    for name, (effective, permitted, inheritable) in {
        "none": (0, 0, 0),
        "all": (every, every, every),
        "asleep": (0, every, 0),
        "one": (1 << last, 1 << last, 0),
        "low": (0xFFFFFFFF, 0xFFFFFFFF, 0),
    }.items():
        for actor in ACTORS:
            yield Row(
                f"{actor}.{name}",
                and_then("getpid()", ACTORS[actor]),
                by(actor, _capset(effective, permitted, inheritable)),
                by(actor, CAPS),
                "",
                True,
            )
    for actor in ("thread", "child"):
        drop = by(actor, "prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0)")
        yield Row(
            f"{actor}.bounding.CAP_SYS_TIME", ACTORS[actor], drop, by(actor, "prctl(PR_CAPBSET_READ, CAP_SYS_TIME, 0, 0, 0)"), "", True
        )
    each = [f"prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {number}, 0, 0)" for number in (0, 1)]
    cleared = and_then(_capset(every, every, 3), *each)
    yield Row("self.ambient.cleared", cleared, "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)", CAPS, "", True)
    yield Row("self.ambient.lowered", cleared, "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, 1, 0, 0)", CAPS, "", True)


def _securebits(script: Script) -> Iterator[Row]:
    get = "prctl(PR_GET_SECUREBITS, 0, 0, 0, 0)"
    bits = script.names("SECBIT_", header="linux/securebits.h")
    after = f"setresuid(1000, 1000, 1000) ; {CAPS} ; prctl(PR_SET_SECUREBITS, 0, 0, 0, 0)"
    for bit in bits:
        yield Row(f"self.{bit}", "getpid()", f"prctl(PR_SET_SECUREBITS, {bit}, 0, 0, 0)", get, after, True)
        if f"{bit}_LOCKED" in bits:
            both = f"prctl(PR_SET_SECUREBITS, {bit}|{bit}_LOCKED, 0, 0, 0)"
            yield Row(f"self.{bit}|LOCKED", "getpid()", both, get, after, True)
            for actor in ("thread", "child"):
                yield Row(f"{actor}.{bit}|LOCKED", ACTORS[actor], by(actor, both), f"{get} ; {by(actor, get)}", "", True)
    for mask in range(1, 3):
        number = sum(script.value(b) for b in bits) if mask == 1 else sum(script.value(b) for b in bits if not b.endswith("_LOCKED"))
        yield Row(f"self.mask={number:#x}", "getpid()", f"prctl(PR_SET_SECUREBITS, {number}, 0, 0, 0)", get, after, True)


def _keys(script: Script) -> Iterator[Row]:
    described = "keyctl(KEYCTL_DESCRIBE, $key, [64], 64, 0) ; keyctl(KEYCTL_READ, $key, [32], 32, 0)"
    for ring in PRIVATE:
        joined = "keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)"
        add = f"key = add_key(b'user\\0', b'hunt\\0', b'payload', 7, {ring})"
        held = f"keyctl(KEYCTL_GET_KEYRING_ID, {ring}, 0, 0, 0)"
        yield Row(f"{ring}.created", joined, f"keyctl(KEYCTL_GET_KEYRING_ID, {ring}, 1, 0, 0)", held, "", True)
        for kind in ("user", "logon", "keyring", "big_key"):
            description, payload = ("hunt:x", "b'payload', 7") if kind != "keyring" else ("ring", "0, 0")
            made = f"key = add_key(b'{kind}\\0', b'{description}\\0', {payload}, {ring})"
            yield Row(f"{ring}.{kind}", joined, made, described, "keyctl(KEYCTL_READ, $key, [32], 32, 0)", True)
        make = and_then(joined, add)
        for name, state in {
            "updated": "keyctl(KEYCTL_UPDATE, $key, b'other', 5, 0)",
            "setperm": "keyctl(KEYCTL_SETPERM, $key, 0x3f3f0000, 0, 0)",
            "chown": "keyctl(KEYCTL_CHOWN, $key, 1000, 1000, 0)",
            "timeout": "keyctl(KEYCTL_SET_TIMEOUT, $key, 100000, 0, 0)",
            "revoked": "keyctl(KEYCTL_REVOKE, $key, 0, 0, 0)",
            "unlinked": f"keyctl(KEYCTL_UNLINK, $key, {ring}, 0, 0)",
            "cleared": f"keyctl(KEYCTL_CLEAR, {ring}, 0, 0, 0)",
            "restricted": f"keyctl(KEYCTL_RESTRICT_KEYRING, {ring}, 0, 0, 0)",
        }.items():
            after = f"keyctl(KEYCTL_SEARCH, {ring}, b'user\\0', b'hunt\\0', 0)"
            yield Row(f"{ring}.{name}", make, state, "keyctl(KEYCTL_DESCRIBE, $key, [64], 64, 0)", after, True)
    for name, state in {"anonymous": "0", "named": "b'hunt\\0'"}.items():
        yield Row(
            f"session.{name}",
            "getpid()",
            f"keyctl(KEYCTL_JOIN_SESSION_KEYRING, {state}, 0, 0, 0)",
            "keyctl(KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, [64], 64, 0)",
            "",
            True,
        )
    joined = and_then("keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)", CHILD)
    yield Row(
        "session.inherited",
        joined,
        "child: key = add_key(b'user\\0', b'hunt\\0', b'payload', 7, KEY_SPEC_SESSION_KEYRING)",
        described,
        "",
        True,
    )
    yield Row("session.apart", joined, "child: keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)", "", "", True)
    for default in script.names("KEY_REQKEY_DEFL_", header="linux/keyctl.h", but=("KEY_REQKEY_DEFL_NO_CHANGE",)):
        state = f"keyctl(KEYCTL_SET_REQKEY_KEYRING, {default}, 0, 0, 0)"
        yield Row(f"self.{default}", "getpid()", state, "keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE, 0, 0, 0)")


def _personality(script: Script) -> Iterator[Row]:
    get, after = "personality(0xffffffff)", "uname([390]) ; mmap(0, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x1000)"
    homes = script.constants.prefixed("", header="linux/personality.h")
    for const in homes:
        if const.name == "PER_CLEAR_ON_SETID" or const.value == 0 or const.name.startswith("_"):
            continue
        yield Row(f"self.{const.name}", "getpid()", f"personality({const.name})", get, after, "RANDOMIZE" in const.name)
    for bit in range(32):
        if not any(c.value == 1 << bit for c in homes):
            yield Row(f"self.bit={bit}", "getpid()", f"personality({1 << bit:#x})", get, after)
    for actor in ("thread", "child"):
        yield Row(
            f"{actor}.ADDR_NO_RANDOMIZE", ACTORS[actor], by(actor, "personality(ADDR_NO_RANDOMIZE)"), f"{get} ; {by(actor, get)}", "", True
        )


def _places() -> Iterator[Row]:
    look = "getcwd([64], 64)"
    for mask in (0, 0o22, 0o77, 0o777, 0o137):
        made = "openat(AT_FDCWD, b'FOLDER/masked\\0', O_WRONLY|O_CREAT, 0x1ff) ; umask(0)"
        yield Row(f"self.umask={mask:o}", "umask(0x1f)", f"umask({mask})", "", made, True)
    for actor in ("thread", "child"):
        yield Row(f"{actor}.umask=5", ACTORS[actor], by(actor, "umask(5)"), "", f"umask(0) ; {by(actor, 'umask(0)')}", True)
    for path in ("/proc", "/proc/self", "/tmp", "/dev"):
        yield Row(f"self.chdir={path}", "getpid()", f"chdir(b'{path}\\0')", look, "access(b'self\\0', 0)")
        yield Row(f"self.chroot={path}", "getpid()", f"chroot(b'{path}\\0')", look, "access(b'/self\\0', 0) ; access(b'/etc\\0', 0)", True)
        yield Row(
            f"self.chroot,chdir={path}",
            "getpid()",
            f"chroot(b'{path}\\0') ; chdir(b'/\\0')",
            look,
            "access(b'/self\\0', 0) ; access(b'..\\0', 0)",
            True,
        )
    made = "mkdirat(AT_FDCWD, b'FOLDER/gone\\0', 0x1c0)"
    yield Row("self.chdir.removed", made, "chdir(b'FOLDER/gone\\0') ; unlinkat(AT_FDCWD, b'FOLDER/gone\\0', AT_REMOVEDIR)", look, look)
    yield Row(
        "self.chroot.removed",
        f"chdir(b'FOLDER\\0') ; {made}",
        "chroot(b'gone\\0') ; unlinkat(AT_FDCWD, b'gone\\0', AT_REMOVEDIR)",
        look,
        look,
        True,
    )
    yield Row("self.chdir.unreadable", made, "chdir(b'FOLDER/gone\\0') ; fchmodat(AT_FDCWD, b'.\\0', 0)", look, look)
    shared = "child = clone(CLONE_FS|SIGCHLD, 0, 0, 0, 0)"
    yield Row("shared.CLONE_FS", shared, "child: chdir(b'/proc\\0')", look, f"child: chdir(b'/dev\\0') ; {look}")
    yield Row("thread.unshare.CLONE_FS", THREAD, "thread: unshare(CLONE_FS) ; thread: chdir(b'/proc\\0')", f"{look} ; thread: {look}")
    yield Row(
        "thread.unshare.CLONE_FILES",
        THREAD,
        "thread: unshare(CLONE_FILES) ; thread: close(2)",
        "fcntl(2, F_GETFD) ; thread: fcntl(2, F_GETFD)",
    )


def newborn(flags: str) -> str:
    """A child that clone3 makes, for clone takes CLONE_NEWTIME for a part of the exit signal.

    Source:  clone3(2), struct clone_args of 64 bytes
    """
    return f"child = clone3(<8:{flags}> <8:0> <8:0> <8:0> <8:SIGCHLD> <8:0> <8:0> <8:0>, 64)"


def _unshare(script: Script) -> Iterator[Row]:
    spaces = script.names("CLONE_NEW", header="linux/sched.h")
    look = f"{LOOK} ; uname([390])"
    for space in spaces:
        for actor, make in ACTORS.items():
            if actor != "thread" or space not in ("CLONE_NEWUSER", "CLONE_NEWPID"):
                yield Row(f"{actor}.{space}", make, by(actor, f"unshare({space})"), look, told("getpid()") if actor == "self" else "", True)
        yield Row(f"clone.{space}", "getpid()", newborn(space), by("child", look), "child: getpid()", True)
        yield Row(f"user.{space}", "unshare(CLONE_NEWUSER)", f"unshare({space})", look, "", True)
    yield Row("self.all", "getpid()", f"unshare({'|'.join(spaces)})", look, "", True)
    for flag in ("CLONE_FS", "CLONE_FILES", "CLONE_SYSVSEM"):
        yield Row(f"thread.{flag}", THREAD, f"thread: unshare({flag})", look)
        yield Row(f"child.{flag}", f"child = clone({flag}|SIGCHLD, 0, 0, 0, 0)", f"child: unshare({flag})", look)


def _setns(script: Script) -> Iterator[Row]:
    for space in script.names("CLONE_NEW", header="linux/sched.h"):
        make = f"{newborn(space)} ; fd = pidfd_open($child, 0)"
        yield Row(f"self.{space}", make, f"setns($fd, {space})", f"{LOOK} ; uname([390])", told("getpid()"), True)
        yield Row(
            f"self.{space},gone",
            make,
            f"setns($fd, {space}) ; kill($child, SIGKILL) ; wait4($child, 0, 0, 0)",
            f"{LOOK} ; uname([390])",
            "",
            True,
        )
        named = space.removeprefix("CLONE_NEW").lower()
        file = {"ns": "mnt"}.get(named, named)
        yield Row(
            f"held.{space}",
            f"unshare({space})",
            f"fd = openat(AT_FDCWD, b'/proc/self/ns/{file}\\0', O_RDONLY, 0)",
            "fcntl($fd, F_GETFD) ; ioctl($fd, NS_GET_NSTYPE)",
        )


def _names() -> Iterator[Row]:
    for call in ("sethostname", "setdomainname"):
        for name in ("", "h", "a.b-c", "x" * 64):
            yield Row(
                f"uts.{call}={name[:8]}", "unshare(CLONE_NEWUTS)", f"{call}(b'{name}', {len(name)})", "uname([390])", told("uname([390])")
            )
    yield Row(
        "child.sethostname", "child = clone(CLONE_NEWUTS|SIGCHLD, 0, 0, 0, 0)", "child: sethostname(b'inner', 5)", "child: uname([390])"
    )
