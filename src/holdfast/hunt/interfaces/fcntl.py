"""States that fcntl(2) and flock(2) set: status and descriptor flags, owners, signals, pipe sizes, seals, leases, hints, locks.

Source:  linux/fcntl.h, asm-generic/fcntl.h; fcntl(2), flock(2), F_GETOWN_EX(2const), F_ADD_SEALS(2const), F_SET_RW_HINT(2const)
"""

from __future__ import annotations

import re

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

HEADERS = ("linux/fcntl.h", "asm-generic/fcntl.h")
_FD = re.compile(r"\bFD\b")
FILE = "made = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT, 420) ; write($made, b'0123456789abcdef', 16) ; lseek($made, 0, SEEK_SET)"
CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
# object -> how it is made, and how its descriptor is named
OBJECTS: dict[str, tuple[str, str]] = {
    "file": (FILE, "$made"),
    "dir": ("made = openat(AT_FDCWD, b'FOLDER\\0', O_DIRECTORY, 0)", "$made"),
    "memfd": (
        "made = memfd_create(b'm\\0', MFD_ALLOW_SEALING) ; write($made, b'0123456789abcdef', 16) ; lseek($made, 0, SEEK_SET)",
        "$made",
    ),
    "pipe-read": ("pipe2(both:[8], 0)", "$both@0:4"),
    "pipe-write": ("pipe2(both:[8], 0)", "$both@4:4"),
    "unix": ("socketpair(AF_UNIX=1, SOCK_STREAM=1, 0, both:[8])", "$both@0:4"),
    "udp": ("made = socket(AF_INET=2, SOCK_DGRAM=2, 0)", "$made"),
    "eventfd": ("made = eventfd2(1, 0)", "$made"),
    "timerfd": ("made = timerfd_create(CLOCK_MONOTONIC, 0)", "$made"),
    "epoll": ("made = epoll_create1(0)", "$made"),
    "inotify": ("made = inotify_init1(0)", "$made"),
    "null": ("made = openat(AT_FDCWD, b'/dev/null\\0', O_RDWR, 0)", "$made"),
    "proc": ("made = openat(AT_FDCWD, b'/proc/self/status\\0', O_RDONLY, 0)", "$made"),
    "path": (f"{FILE} ; close($made) ; made = openat(AT_FDCWD, b'FOLDER/f\\0', O_PATH, 0)", "$made"),
}
# the flags that the kernel lets F_SETFL change, and who understands them (fs/fcntl.c: SETFL_MASK); every other one is tried on a file
SETFL = ("O_APPEND", "O_NONBLOCK", "O_ASYNC", "FASYNC", "O_DIRECT", "O_NOATIME")
GOES_ON = {
    "file": "write(FD, b'xy', 2) ; lseek(FD, 0, SEEK_CUR) ; lseek(FD, 0, SEEK_END)",
    "memfd": "write(FD, b'xy', 2) ; lseek(FD, 0, SEEK_CUR) ; lseek(FD, 0, SEEK_END)",
    "pipe-write": "write(FD, b'abc', 3) ; write(FD, b'def', 3) ; read($both@0:4, [8], 8)",
    "eventfd": "write(FD, {<8:3>}, 8) ; read(FD, [8], 8)",
}
# struct flock and OFD locks: type, whence, start, length
RANGES = {"all": (0, 0), "one": (0, 1), "middle": (4, 8), "high": (1 << 40, 1 << 20), "to-end": (100, 0), "last": ((1 << 63) - 2, 1)}


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Every state that fcntl(2) and flock(2) can set, one a recipe."""
    script = Script(constants)
    yield from script.recipes("fcntl", _rows(script))
    yield from script.recipes("flock", _flocks(script))


def _rows(script: Script) -> Iterator[Row]:
    yield from _status(script)
    yield from _owners(script)
    yield from _objects(script)
    yield from _locks(script)
    yield from _leases(script)
    yield from _later(script)


def _on(name: str, obj: str, state: str, get: str = "", after: str = "", *, security: bool = False, more: str = "") -> Row:
    # a row on one object; FD stands for its descriptor
    make, fd = OBJECTS[obj]
    made, state, get, after = (_FD.sub(fd, t) for t in (f"{make} ; {more}" if more else make, state, get, after))
    return Row(f"{obj}.{name}", made, state, get, after, security)


def _status(script: Script) -> Iterator[Row]:
    get = "fcntl(FD, F_GETFL, 0)"
    for flag in script.names("O_", "FASYNC", header=HEADERS):
        for obj in OBJECTS if flag in SETFL else ("file",):
            yield _on(f"F_SETFL={flag}", obj, f"fcntl(FD, F_SETFL, {flag})", get, GOES_ON.get(obj, ""))
    yield _on("F_SETFL=O_APPEND_O_NONBLOCK_FASYNC", "file", "fcntl(FD, F_SETFL, O_APPEND|O_NONBLOCK|FASYNC)", get)
    # cleared again: a flag from open(2) that went away
    yield _on("F_SETFL=0", "inotify", "fcntl(FD, F_SETFL, O_NONBLOCK) ; fcntl(FD, F_SETFL, 0)", get)
    for obj in OBJECTS:
        yield _on("F_SETFD=FD_CLOEXEC", obj, "fcntl(FD, F_SETFD, FD_CLOEXEC)", "fcntl(FD, F_GETFD, 0)")
    for value in (2, 3, 0xFFFFFFFF):
        yield _on(f"F_SETFD={value}", "file", f"fcntl(FD, F_SETFD, {value})", "fcntl(FD, F_GETFD, 0)")
    for number in (3, 63, 64, 255, 256, 1000):
        for how, bit in (("F_DUPFD", 0), ("F_DUPFD_CLOEXEC", 1)):
            yield _on(
                f"{how}={number}",
                "file",
                f"two = fcntl(FD, {how}, {number})",
                f"fcntl($two, F_GETFD, {bit})",
                "lseek(FD, 5, 0) ; lseek($two, 0, 1)",
            )
    yield _on("F_DUPFD_QUERY=dup", "file", "two = dup(FD)", "fcntl(FD, F_DUPFD_QUERY, $two)", "lseek(FD, 5, 0) ; lseek($two, 0, 1)")
    two = "two = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR, 0)"
    yield _on("F_DUPFD_QUERY=other", "file", two, "fcntl(FD, F_DUPFD_QUERY, $two)", "lseek(FD, 5, 0) ; lseek($two, 0, 1)")
    for how in ("O_CREAT", "O_CREAT|O_EXCL", "O_RDWR"):
        make = "old = openat(AT_FDCWD, b'FOLDER/q\\0', O_RDWR|O_CREAT, 420)" if how == "O_RDWR" else "getpid()"
        state = f"made = openat(AT_FDCWD, b'FOLDER/q\\0', O_RDWR|{how}, 420)"
        yield Row(f"file.F_CREATED_QUERY={how.replace('|', '_')}", make, state, "fcntl($made, F_CREATED_QUERY, 0)")


def _owners(script: Script) -> Iterator[Row]:
    mask = "rt_sigprocmask(SIG_BLOCK, {<8:0xffffffffffffffff>}, 0, 8)"
    arrived = "rt_sigpending([8], 8)"
    sends = {
        "pipe-read": "write($both@4:4, b'x', 1)",
        "unix": "write($both@4:4, b'x', 1)",
        "pipe-write": "write($both@4:4, b'full', 4) ; read($both@0:4, [4], 4)",
    }
    for obj in ("pipe-read", "unix", "eventfd", "file", "inotify", "udp"):
        after = f"{sends[obj]} ; {arrived}" if obj in sends else ""
        ready = f"{mask} ; me = getpid() ; fcntl(FD, F_SETFL, FASYNC)"
        yield _on("F_SETOWN=self", obj, "fcntl(FD, F_SETOWN, $me)", "fcntl(FD, F_GETOWN, 0)", after, more=ready)
    for kind in script.names("F_OWNER_", header=HEADERS):
        for obj in ("pipe-read", "unix"):
            after = f"{sends[obj]} ; {arrived}"
            get = "fcntl(FD, F_GETOWN_EX, [8]) ; fcntl(FD, F_GETOWNER_UIDS, [8])"
            ready = f"{mask} ; me = getpid() ; fcntl(FD, F_SETFL, FASYNC)"
            yield _on(f"F_SETOWN_EX={kind}", obj, f"fcntl(FD, F_SETOWN_EX, {{<4:{kind}>, $me:4}})", get, after, more=ready)
            yield _on(
                f"F_SETOWN_EX={kind}.child",
                obj,
                f"fcntl(FD, F_SETOWN_EX, {{<4:{kind}>, $child:4}})",
                get,
                more=f"{CHILD} ; setpgid($child, 0)",
            )
    yield _on("F_SETOWN=child", "pipe-read", "fcntl(FD, F_SETOWN, $child)", "fcntl(FD, F_GETOWN, 0)", more=CHILD)
    gone = f"{CHILD} ; fcntl(FD, F_SETOWN, $child) ; kill($child, 9)"
    yield _on("F_SETOWN=ended", "pipe-read", "wait4($child, 0, 0, 0)", "fcntl(FD, F_GETOWN, 0) ; fcntl(FD, F_GETOWN_EX, [8])", more=gone)
    uids = "setresuid(-1, 1000, -1) ; me = getpid() ; fcntl(FD, F_SETOWN, $me) ; setresuid(-1, 0, -1)"
    yield _on("F_GETOWNER_UIDS=1000", "unix", uids, "fcntl(FD, F_GETOWNER_UIDS, [8])")
    for number in (1, 2, 10, 17, 29, 32, 34, 50, 64):
        for obj in ("pipe-read", "unix", "pipe-write", "file"):
            ready = f"{mask} ; me = getpid() ; fcntl(FD, F_SETOWN, $me) ; fcntl(FD, F_SETFL, FASYNC)"
            if number in (10, 34, 64) or obj == "pipe-read":
                after = f"{sends[obj]} ; {arrived}" if obj in sends else ""
                yield _on(f"F_SETSIG={number}", obj, f"fcntl(FD, F_SETSIG, {number})", "fcntl(FD, F_GETSIG, 0)", after, more=ready)


def _objects(script: Script) -> Iterator[Row]:
    for size in (4096, 4097, 8192, 65535, 131072, 1 << 20):
        get = "fcntl(FD, F_GETPIPE_SZ, 0)"
        yield _on(
            f"F_SETPIPE_SZ={size}",
            "pipe-write",
            f"fcntl(FD, F_SETPIPE_SZ, {size})",
            get,
            "fcntl(FD, F_SETFL, O_NONBLOCK) ; write(FD, $big, 2097152)",
            more="big = mmap(0, 2097152, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)",
        )
    sealed = (
        "write(FD, b'y', 1) ; ftruncate(FD, 4096) ; ftruncate(FD, 8) ; fchmod(FD, 511)"
        " ; mmap(0x30000000, 4096, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_FIXED, FD, 0) ; fcntl(FD, F_ADD_SEALS, F_SEAL_GROW)"
    )
    seals = script.names("F_SEAL_", header=HEADERS)
    for seal in seals:
        yield _on(f"F_ADD_SEALS={seal}", "memfd", f"fcntl(FD, F_ADD_SEALS, {seal})", "fcntl(FD, F_GET_SEALS, 0)", sealed, security=True)
    together = "|".join(s for s in seals if s != "F_SEAL_EXEC")
    yield _on(
        "F_ADD_SEALS=all", "memfd", f"fcntl(FD, F_ADD_SEALS, {together})", "fcntl(FD, F_GET_SEALS, 0)", "write(FD, b'x', 1)", security=True
    )
    hints = script.names("RWH_", "RWF_WRITE_LIFE_", header=HEADERS)
    for command in script.names("F_SET_RW_HINT", "F_SET_FILE_RW_HINT", header=HEADERS):
        for hint in hints:
            for obj in ("file", "memfd"):
                yield _on(
                    f"{command}={hint}",
                    obj,
                    f"fcntl(FD, {command}, {{<8:{hint}>}})",
                    f"fcntl(FD, {command.replace('F_SET', 'F_GET')}, [8])",
                )


def _locks(script: Script) -> Iterator[Row]:
    other = "two = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR, 0)"

    def lock(kind: str, start: int, length: int) -> str:
        return f"<2:{kind}> <2:SEEK_SET> <4:0> <8:{start}> <8:{length}> <4:0> <4:0>"

    for kind in ("F_RDLCK", "F_WRLCK"):
        for where, (start, length) in RANGES.items():
            seek = f"fcntl($two, F_OFD_GETLK, [32 {lock('F_WRLCK', start, 1)}])"
            child = (
                f"child: fcntl(FD, F_SETLK, {{{lock('F_RDLCK', start, 1)}}}) ; child: fcntl(FD, F_SETLK, {{{lock('F_WRLCK', start, 1)}}})"
            )
            yield _on(
                f"F_SETLK={kind}.{where}",
                "file",
                f"fcntl(FD, F_SETLK, {{{lock(kind, start, length)}}})",
                seek,
                child,
                more=f"{other} ; {CHILD}",
            )
            again = (
                f"fcntl($two, F_OFD_SETLK, {{{lock('F_RDLCK', start, 1)}}}) ; close(FD) ; fcntl($two, F_OFD_SETLK,"
                f" {{{lock('F_WRLCK', start, 1)}}})"
            )
            yield _on(
                f"F_OFD_SETLK={kind}.{where}", "file", f"fcntl(FD, F_OFD_SETLK, {{{lock(kind, start, length)}}})", seek, again, more=other
            )
    both = f"fcntl(FD, F_SETLK, {{{lock('F_WRLCK', 0, 4)}}}) ; fcntl(FD, F_SETLK, {{{lock('F_RDLCK', 8, 4)}}})"
    looks = " ; ".join(f"fcntl($two, F_OFD_GETLK, [32 {lock('F_WRLCK', at, 1)}])" for at in (0, 4, 8))
    yield _on("F_SETLK=two", "file", both, looks, more=other)
    split = f"fcntl(FD, F_SETLK, {{{lock('F_WRLCK', 0, 16)}}}) ; fcntl(FD, F_SETLK, {{{lock('F_UNLCK', 4, 4)}}})"
    yield _on("F_SETLK=split", "file", split, looks, more=other)
    yield _on(
        "F_SETLK=child",
        "file",
        f"child: fcntl(FD, F_SETLK, {{{lock('F_WRLCK', 0, 4)}}})",
        looks,
        f"fcntl(FD, F_SETLK, {{{lock('F_WRLCK', 0, 1)}}})",
        more=f"{other} ; {CHILD}",
    )
    yield _on(
        "F_OFD_SETLK=shared",
        "file",
        f"child: fcntl(FD, F_OFD_SETLK, {{{lock('F_WRLCK', 0, 4)}}})",
        looks,
        f"fcntl(FD, F_OFD_SETLK, {{{lock('F_WRLCK', 0, 1)}}})",
        more=f"{other} ; {CHILD}",
    )
    yield _on(
        "F_SETLK=memfd",
        "memfd",
        f"fcntl(FD, F_SETLK, {{{lock('F_WRLCK', 0, 4)}}})",
        "",
        f"child: fcntl(FD, F_SETLK, {{{lock('F_RDLCK', 0, 1)}}})",
        more=CHILD,
    )


def _leases(script: Script) -> Iterator[Row]:
    mask = "rt_sigprocmask(SIG_BLOCK, {<8:0x10000000>}, 0, 8)"  # SIGIO
    broken = "child: openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_NONBLOCK, 0) ; rt_sigpending([8], 8)"
    make = f"{FILE} ; close($made) ; made = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDONLY, 0) ; {CHILD} ; {mask}"
    for command in ("F_SETLEASE", "F_SETDELEG"):
        for kind in ("F_RDLCK", "F_WRLCK"):
            state = {
                "F_SETLEASE": f"fcntl($made, F_SETLEASE, {kind})",
                "F_SETDELEG": f"fcntl($made, F_SETDELEG, {{<4:0> <2:{kind}> <2:0>}})",
            }[command]
            look = {"F_SETLEASE": "fcntl($made, F_GETLEASE, 0)", "F_SETDELEG": "fcntl($made, F_GETDELEG, [8])"}[command]
            yield Row(f"file.{command}={kind}", make, state, look, broken)
    breaking = "fcntl($made, F_SETLEASE, F_WRLCK) ; child: openat(AT_FDCWD, b'FOLDER/f\\0', O_PATH, 0)"
    yield Row("file.F_SETLEASE=looked-at", make, breaking, "fcntl($made, F_GETLEASE, 0)", broken)
    watched = (
        f"made = openat(AT_FDCWD, b'FOLDER\\0', O_DIRECTORY, 0) ; {mask} ; x = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT, 420) ;"
        " write($x, b'0123', 4)"
    )
    acts = (
        "openat(AT_FDCWD, b'FOLDER/n\\0', O_RDWR|O_CREAT, 420) ; rt_sigpending([8], 8) ; write($x, b'x', 1) ; pread64($x, [1], 1, 0) ;"
        " fchmod($x, 384) ; renameat(AT_FDCWD, b'FOLDER/n\\0', AT_FDCWD, b'FOLDER/o\\0') ; unlinkat(AT_FDCWD, b'FOLDER/o\\0', 0) ;"
        " rt_sigpending([8], 8)"
    )
    for bit in script.names("DN_", header=HEADERS):
        yield Row(f"dir.F_NOTIFY={bit}", watched, f"fcntl($made, F_NOTIFY, {bit})", "", acts)
    yield Row("dir.F_NOTIFY=DN_CREATE_DN_MULTISHOT", watched, "fcntl($made, F_NOTIFY, DN_CREATE|DN_MULTISHOT)", "", acts)


def _later(script: Script) -> Iterator[Row]:
    # commands that this file has no rule for: a header of tomorrow has them
    known = {
        "F_SETFL",
        "F_SETFD",
        "F_SETOWN",
        "F_SETOWN_EX",
        "F_SETSIG",
        "F_SETPIPE_SZ",
        "F_SETLEASE",
        "F_SETDELEG",
        "F_SETLK",
        "F_SETLKW",
        "F_SETLK64",
        "F_SETLKW64",
        "F_SET_RW_HINT",
        "F_SET_FILE_RW_HINT",
        "F_ADD_SEALS",
    }
    for command in script.names("F_SET", "F_ADD", header=HEADERS):
        if command not in known:
            other = command.replace("F_SET", "F_GET").replace("F_ADD", "F_GET")
            get = f"fcntl(FD, {other}, 0)" if script.constants.has(other) else ""
            for obj in ("file", "pipe-write"):
                for value in (1, 2, 0):
                    yield _on(f"{command}={value}", obj, f"fcntl(FD, {command}, {value})", get)
                yield _on(f"{command}=1.word", obj, f"fcntl(FD, {command}, {{<8:1>}})", get)


def _flocks(script: Script) -> Iterator[Row]:
    other = "two = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR, 0)"
    tries = "flock($two, LOCK_SH|LOCK_NB) ; flock($two, LOCK_EX|LOCK_NB) ; close($made) ; flock($two, LOCK_EX|LOCK_NB)"
    for kind in script.names("LOCK_", header=HEADERS, but=("LOCK_NB", "LOCK_UN")):
        yield Row(f"file.{kind}", f"{FILE} ; {other}", f"flock($made, {kind}|LOCK_NB)", "", tries)
    yield Row(
        "file.LOCK_EX.dup",
        f"{FILE} ; {other} ; three = dup($made)",
        "flock($made, LOCK_EX|LOCK_NB)",
        "",
        f"{tries} ; close($three) ; flock($two, LOCK_EX|LOCK_NB)",
    )
    yield Row("file.LOCK_SH.shared", f"{FILE} ; {other} ; {CHILD}", "child: flock($made, LOCK_SH|LOCK_NB)", "", tries)
    yield Row("file.LOCK_SH.both", f"{FILE} ; {other}", "flock($made, LOCK_SH|LOCK_NB) ; flock($two, LOCK_SH|LOCK_NB)", "", tries)
    yield Row(
        "dir.LOCK_EX",
        "made = openat(AT_FDCWD, b'FOLDER\\0', O_DIRECTORY, 0) ; two = openat(AT_FDCWD, b'FOLDER\\0', O_DIRECTORY, 0)",
        "flock($made, LOCK_EX|LOCK_NB)",
        "",
        tries,
    )
