"""States of descriptors that tell of events: eventfd, timerfd, epoll, inotify, fanotify, signalfd.

Source:  linux/eventfd.h, linux/timerfd.h, linux/eventpoll.h, linux/inotify.h, linux/fanotify.h, linux/signalfd.h, linux/time.h;
         eventfd(2), timerfd_create(2), epoll_ctl(2), inotify_add_watch(2), fanotify_mark(2), signalfd(2)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

COUNTS = (0, 1, 2, 0xFFFFFFFE, 0xFFFFFFFF, 0x100000000, 0x100000005, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFE)
MOST = 0xFFFFFFFFFFFFFFFE  # of an eventfd: eventfd(2)
# Seconds of which the high bytes stand still while a hunt lasts: a getter may look at bytes 2 to 7, remaining or interval.
LONG = 0x01800000
TIMERFD_CLOCKS = (
    "CLOCK_REALTIME",
    "CLOCK_MONOTONIC",
    "CLOCK_BOOTTIME",
    "CLOCK_REALTIME_ALARM",
    "CLOCK_BOOTTIME_ALARM",
)  # timerfd_create(2)
AREA = "area = mmap(0x20000000, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
FILE = "file = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT|O_EXCL, 420)"
# what an epoll set can watch: how it is made, its descriptor, and what makes it ready
WATCHED: dict[str, tuple[str, str, str]] = {
    "pipe": ("pipe2(both:[8], 0)", "$both@0:4", "write($both@4:4, b'x', 1)"),
    "pipe-write": ("pipe2(both:[8], 0)", "$both@4:4", "close($both@0:4)"),
    "eventfd": ("fd = eventfd2(0, 0)", "$fd", "write($fd, {<8:1>}, 8)"),
    "timerfd": ("fd = timerfd_create(CLOCK_MONOTONIC, 0)", "$fd", "timerfd_settime($fd, TFD_TIMER_ABSTIME, {<8:0> <8:0> <8:0> <8:1>}, 0)"),
    "unix": ("socketpair(AF_UNIX=1, SOCK_STREAM=1, 0, both:[8])", "$both@0:4", "shutdown($both@4:4, 1)"),
    "udp": (
        (
            "fd = socket(AF_INET=2, SOCK_DGRAM=2, 0) ; bind($fd, {<2:2> <2:0> <4:0x0100007f> <8:0>}, 16) ; getsockname($fd, name:[16],"
            " {<4:16>})"
        ),
        "$fd",
        "sendto($fd, b'x', 1, 0, {<2:2>, $name@2:2, <4:0x0100007f> <8:0>}, 16)",
    ),
    "epoll": (
        "inner = eventfd2(0, 0) ; fd = epoll_create1(0) ; epoll_ctl($fd, EPOLL_CTL_ADD, $inner, {<4:EPOLLIN> <8:1>})",
        "$fd",
        "write($inner, {<8:1>}, 8)",
    ),
    "signalfd": (
        "rt_sigprocmask(SIG_BLOCK, {<8:512>}, 0, 8) ; fd = signalfd4(-1, {<8:512>}, 8, 0) ; me = getpid()",
        "$fd",
        "kill($me, SIGUSR1)",
    ),
    "inotify": ("fd = inotify_init1(0) ; inotify_add_watch($fd, b'FOLDER\\0', IN_CREATE)", "$fd", "mkdirat(AT_FDCWD, b'FOLDER/d\\0', 448)"),
    "pidfd": (
        "child = clone(SIGCHLD, 0, 0, 0, 0) ; fd = pidfd_open($child, 0)",
        "$fd",
        "kill($child, SIGKILL) ; waitid(P_PID, $child, 0, WEXITED|WNOWAIT, 0)",
    ),
    "mounts": ("fd = openat(AT_FDCWD, b'/proc/self/mounts\\0', O_RDONLY, 0)", "$fd", "getpid()"),
}
# how often a watched descriptor is looked at after it became ready
WAITS = "epoll_wait($set, [24], 2, 0) ; epoll_wait($set, [24], 2, 0)"
# what is done to a file below a watched folder, so that each kind of event happens once
ACTS = (
    "x = openat(AT_FDCWD, b'FOLDER/d/n\\0', O_RDWR|O_CREAT, 420) ; write($x, b'abc', 3) ; pread64($x, [1], 1, 0) ; fchmod($x, 384) ;"
    " close($x) ; renameat(AT_FDCWD, b'FOLDER/d/n\\0', AT_FDCWD, b'FOLDER/d/m\\0') ; mkdirat(AT_FDCWD, b'FOLDER/d/sub\\0', 448) ;"
    " unlinkat(AT_FDCWD, b'FOLDER/d/m\\0', 0)"
)
LOOK_INOTIFY = "read($fd, [2048], 2048)"
FAN_EVENTS_OF_DATA = ("FAN_ACCESS", "FAN_MODIFY", "FAN_CLOSE_WRITE", "FAN_CLOSE_NOWRITE", "FAN_OPEN", "FAN_OPEN_EXEC")


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of event descriptors, one a recipe."""
    script = Script(constants)
    for interface, rows in {
        "eventfd": _eventfds,
        "timerfd": _timerfds,
        "epoll": _epolls,
        "inotify": _inotifies,
        "fanotify": _fanotifies,
        "signalfd": _signalfds,
    }.items():
        yield from script.recipes(interface, rows(script))


def _eventfds(script: Script) -> Iterator[Row]:
    look = "fcntl($fd, F_GETFL, 0) ; fcntl($fd, F_GETFD, 0) ; ppoll({$fd:4, <2:5> <2:0>}, 1, {<8:0> <8:0>}, 0, 0)"
    quiet = "fcntl($fd, F_SETFL, O_RDWR|O_NONBLOCK)"
    after = f"{quiet} ; read($fd, [8], 8) ; read($fd, [8], 8) ; write($fd, {{<8:2>}}, 8) ; read($fd, [8], 8) ; read($fd, [8], 8)"
    for flag in script.names("EFD_", header="linux/eventfd.h"):
        yield Row(f"flag.{flag}", "umask(18)", f"fd = eventfd2(3, {flag})", look, after)
    yield Row("flag.none", "umask(18)", "fd = eventfd2(3, 0)", look, after)
    for count in COUNTS:
        for flags in ("0", "EFD_SEMAPHORE"):
            state = f"write($fd, {{<8:{count}>}}, 8)"
            yield Row(f"count={count:#x}.{flags}", f"fd = eventfd2(0, {flags})", state, look, after)
    yield Row("count.initial", "umask(18)", "fd = eventfd2(4294967295, 0)", look, after)
    yield Row("count.counted-down", "fd = eventfd2(5, EFD_SEMAPHORE)", "read($fd, [8], 8) ; read($fd, [8], 8)", look, after)


def _timerfds(script: Script) -> Iterator[Row]:
    look = (
        "timerfd_gettime($fd, $area) ; peek($area+2, 6) ; peek($area+8, 8) ; peek($area+18, 6) ; ppoll({$fd:4, <2:1> <2:0>}, 1, {<8:0>"
        " <8:0>}, 0, 0)"
    )
    after = "fcntl($fd, F_SETFL, O_RDWR|O_NONBLOCK) ; read($fd, [8], 8)"
    times = {
        "once": f"<8:0> <8:0> <8:{LONG}> <8:1>",
        "again": f"<8:{LONG}> <8:5> <8:{LONG}> <8:1>",
        "expired": "<8:0> <8:0> <8:0> <8:1>",
        "expired-again": f"<8:{LONG}> <8:7> <8:0> <8:1>",
        "interval-ns": f"<8:0> <8:999999999> <8:{LONG}> <8:0>",
    }
    flags = script.names("TFD_TIMER_", header="linux/timerfd.h")
    for clock in script.names("CLOCK_", header="linux/time.h"):
        make = f"fd = timerfd_create({clock}, 0) ; {AREA}"
        yield Row(f"{clock}.unset", AREA, f"fd = timerfd_create({clock}, 0)", look, after)
        for name, value in times.items() if clock in TIMERFD_CLOCKS else ():
            state = f"timerfd_settime($fd, 0, {{{value}}}, 0)"
            waits = "ppoll({$fd:4, <2:1> <2:0>}, 1, {<8:1> <8:0>}, 0, 0)"
            yield Row(f"{clock}.{name}", make, f"{state} ; {waits}" if "expired" in name else state, look, after)
        for flag in flags if clock in TIMERFD_CLOCKS else ():
            yield Row(
                f"{clock}.{flag}.past",
                make,
                f"timerfd_settime($fd, {flag}, {{<8:{LONG}> <8:0> <8:0> <8:1>}}, 0)",
                look.rsplit(" ; ", maxsplit=1)[-1],
                after,
            )
            yield Row(
                f"{clock}.{flag}.future", make, f"timerfd_settime($fd, {flag}, {{<8:0> <8:0> <8:0x1000000000> <8:0>}}, 0)", look, after
            )
    both = "|".join(flags)
    yield Row(
        "CLOCK_REALTIME.both-flags",
        f"fd = timerfd_create(CLOCK_REALTIME, 0) ; {AREA}",
        f"timerfd_settime($fd, {both}, {{<8:0> <8:0> <8:0x1000000000> <8:0>}}, 0)",
        look,
        after,
    )
    for flag in script.names("TFD_", header="linux/timerfd.h", but=("TFD_TIMER", "TFD_IOC")):
        yield Row(
            f"create.{flag}",
            AREA,
            f"fd = timerfd_create(CLOCK_MONOTONIC, {flag})",
            f"fcntl($fd, F_GETFL, 0) ; fcntl($fd, F_GETFD, 0) ; {look}",
        )
    for ticks in (1, 2, 5, 0xFFFFFFFF, 0x100000000, 0x8000000000000000):
        make = f"fd = timerfd_create(CLOCK_MONOTONIC, 0) ; {AREA}"
        armed = f"timerfd_settime($fd, 0, {{<8:{LONG}> <8:0> <8:{LONG}> <8:0>}}, 0)"
        yield Row(f"ticks={ticks:#x}", f"{make} ; {armed}", f"ioctl($fd, TFD_IOC_SET_TICKS, {{<8:{ticks}>}})", look, after)
    missed = (
        f"timerfd_settime($fd, 0, {{<8:{LONG}> <8:0> <8:0> <8:1>}}, 0) ; ppoll({{$fd:4, <2:1> <2:0>}}, 1, {{<8:1> <8:0>}}, 0, 0) ;"
        " read($fd, [8], 8)"
    )
    yield Row("expired-and-read", f"fd = timerfd_create(CLOCK_MONOTONIC, 0) ; {AREA}", missed, look, after)
    yield Row(
        "disarmed",
        f"fd = timerfd_create(CLOCK_MONOTONIC, 0) ; {AREA}",
        f"timerfd_settime($fd, 0, {{{times['again']}}}, 0) ; timerfd_settime($fd, 0, {{<8:{LONG}> <8:0> <8:0> <8:0>}}, 0)",
        look,
        after,
    )


def _epolls(script: Script) -> Iterator[Row]:
    bits = [n for n in script.names("EPOLL", header="linux/eventpoll.h") if not n.startswith(("EPOLL_CTL", "EPOLL_CLOEXEC", "EPOLL_IOC"))]
    for bit in bits:
        for name, (make, fd, act) in WATCHED.items():
            if name in ("pipe", "unix"):
                add = f"epoll_ctl($set, EPOLL_CTL_ADD, {fd}, {{<4:EPOLLIN|{bit}> <8:0x1122334455667788>}})"
                alone = f"epoll_ctl($set, EPOLL_CTL_ADD, {fd}, {{<4:{bit}> <8:0x1122334455667788>}})"
                yield Row(f"{name}.EPOLLIN_{bit}", f"{make} ; set = epoll_create1(0)", add, "", f"{act} ; {WAITS}")
                if name == "unix":
                    yield Row(f"{name}.{bit}", f"{make} ; set = epoll_create1(0)", alone, "", f"{act} ; {WAITS}")
    for name, (make, fd, act) in WATCHED.items():
        base = f"{make} ; set = epoll_create1(0)"
        for mode in ("", "|EPOLLET", "|EPOLLONESHOT"):
            add = f"epoll_ctl($set, EPOLL_CTL_ADD, {fd}, {{<4:EPOLLIN|EPOLLOUT|EPOLLRDHUP{mode}> <8:1>}})"
            yield Row(f"watch.{name}{mode.replace('|', '.')}", base, add, "", f"{WAITS} ; {act} ; {WAITS}")
            # what an edge or one shot has told already is told no more
            yield Row(f"told.{name}{mode.replace('|', '.')}", base, f"{add} ; {act} ; epoll_wait($set, [24], 2, 0)", "", WAITS)
            yield Row(f"untold.{name}{mode.replace('|', '.')}", base, f"{add} ; {act}", "", WAITS)
    for data in (0, 1, 0xFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF):
        add = f"epoll_ctl($set, EPOLL_CTL_ADD, $fd, {{<4:EPOLLIN> <8:{data}>}})"
        yield Row(f"data={data:#x}", "fd = eventfd2(1, 0) ; set = epoll_create1(0)", add, "", WAITS)
    make = "fd = eventfd2(1, 0) ; set = epoll_create1(0)"
    add = "epoll_ctl($set, EPOLL_CTL_ADD, $fd, {<4:EPOLLIN> <8:1>})"
    yield Row("create.EPOLL_CLOEXEC", "umask(18)", "set = epoll_create1(EPOLL_CLOEXEC)", "fcntl($set, F_GETFD, 0)")
    yield Row("none", make, f"{add} ; epoll_ctl($set, EPOLL_CTL_MOD, $fd, {{<4:0> <8:1>}})", "", WAITS)
    yield Row("modified", make, f"{add} ; epoll_ctl($set, EPOLL_CTL_MOD, $fd, {{<4:EPOLLIN|EPOLLET> <8:2>}})", "", WAITS)
    yield Row(
        "same-file-twice",
        f"{make} ; two = dup($fd)",
        f"{add} ; epoll_ctl($set, EPOLL_CTL_ADD, $two, {{<4:EPOLLIN> <8:2>}})",
        "",
        f"{WAITS} ; close($two) ; {WAITS}",
    )
    yield Row("closed-but-open", f"{make} ; two = dup($fd)", f"{add} ; close($fd)", "", f"{WAITS} ; close($two) ; {WAITS}")
    yield Row(
        "number-taken",
        f"{make} ; two = dup($fd)",
        f"{add} ; close($fd) ; three = eventfd2(0, 0)",
        "",
        f"{WAITS} ; epoll_ctl($set, EPOLL_CTL_DEL, $three, 0)",
    )
    yield Row(
        "two-sets",
        f"{make} ; more = epoll_create1(0)",
        f"{add} ; epoll_ctl($more, EPOLL_CTL_ADD, $fd, {{<4:EPOLLIN|EPOLLET> <8:2>}})",
        "",
        f"{WAITS} ; epoll_wait($more, [24], 2, 0)",
    )
    yield Row(
        "nested",
        f"{make} ; more = epoll_create1(0)",
        f"{add} ; epoll_ctl($more, EPOLL_CTL_ADD, $set, {{<4:EPOLLIN> <8:2>}})",
        "",
        f"epoll_wait($more, [24], 2, 0) ; {WAITS}",
    )
    order = " ; ".join(f"f{n} = eventfd2({n}, 0) ; epoll_ctl($set, EPOLL_CTL_ADD, $f{n}, {{<4:EPOLLIN> <8:{n}>}})" for n in (3, 1, 2))
    yield Row(
        "order",
        "set = epoll_create1(0)",
        order,
        "",
        "epoll_wait($set, [12], 1, 0) ; epoll_wait($set, [12], 1, 0) ; epoll_wait($set, [12], 1, 0)",
    )
    yield Row(
        "order-turned",
        "set = epoll_create1(0)",
        f"{order} ; epoll_wait($set, [12], 1, 0)",
        "",
        "epoll_wait($set, [12], 1, 0) ; epoll_wait($set, [36], 3, 0)",
    )
    shared = "child = clone(SIGCHLD, 0, 0, 0, 0)"
    yield Row(
        "shared-with-child",
        f"{make} ; {shared}",
        add,
        "",
        "child: epoll_wait($set, [12], 1, 0) ; child: epoll_ctl($set, EPOLL_CTL_DEL, $fd, 0) ; epoll_wait($set, [12], 1, 0)",
    )
    for usecs, budget, prefer in ((50, 8, 0), (50, 8, 1), (0, 64, 1), (0xFFFFFFFF >> 1, 1, 0)):
        value = f"<4:{usecs}> <2:{budget}> <1:{prefer}> <1:0>"
        yield Row(
            f"EPIOCSPARAMS={usecs}.{budget}.{prefer}",
            "set = epoll_create1(0)",
            f"ioctl($set, EPIOCSPARAMS, {{{value}}})",
            "ioctl($set, EPIOCGPARAMS, [8])",
        )


def _inotifies(script: Script) -> Iterator[Row]:
    make = "mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493) ; fd = inotify_init1(IN_NONBLOCK)"
    bits = script.names("IN_", header="linux/inotify.h", but=("IN_CLOEXEC", "IN_NONBLOCK"))
    for bit in bits:
        own = f"inotify_add_watch($fd, b'FOLDER/d\\0', {bit})"
        yield Row(f"dir.{bit}", make, own, "", f"{ACTS} ; {LOOK_INOTIFY}")
        yield Row(
            f"dir.IN_CREATE_{bit}",
            make,
            f"inotify_add_watch($fd, b'FOLDER/d\\0', IN_CREATE|IN_DELETE|{bit})",
            "",
            f"{ACTS} ; {LOOK_INOTIFY} ; {LOOK_INOTIFY}",
        )
        yield Row(
            f"file.{bit}",
            f"{make} ; {FILE}",
            f"inotify_add_watch($fd, b'FOLDER/f\\0', {bit})",
            "",
            "write($file, b'x', 1) ; pread64($file, [1], 1, 0) ; fchmod($file, 384) ; close($file) ; unlinkat(AT_FDCWD, b'FOLDER/f\\0', 0)"
            f" ; {LOOK_INOTIFY}",
        )
    for bit in ("IN_CREATE", "IN_ATTRIB", "IN_ALL_EVENTS"):
        yield Row(
            f"queued.{bit}",
            f"{make} ; inotify_add_watch($fd, b'FOLDER/d\\0', {bit})",
            "mkdirat(AT_FDCWD, b'FOLDER/d/q\\0', 448) ; unlinkat(AT_FDCWD, b'FOLDER/d/q\\0', AT_REMOVEDIR)",
            "ioctl($fd, FIONREAD, [4])",
            LOOK_INOTIFY,
        )
    for flag in ("IN_CLOEXEC", "IN_NONBLOCK"):
        yield Row(f"create.{flag}", "umask(18)", f"fd = inotify_init1({flag})", "fcntl($fd, F_GETFL, 0) ; fcntl($fd, F_GETFD, 0)")
    watch = "inotify_add_watch($fd, b'FOLDER/d\\0', IN_CREATE)"
    other = "mkdirat(AT_FDCWD, b'FOLDER/e\\0', 448)"
    yield Row(
        "number.second",
        f"{make} ; {other}",
        f"one = {watch} ; two = inotify_add_watch($fd, b'FOLDER/e\\0', IN_CREATE)",
        "",
        "mkdirat(AT_FDCWD, b'FOLDER/e/x\\0', 448) ; read($fd, [256], 256) ; inotify_rm_watch($fd, $two)",
    )
    yield Row(
        "number.hole",
        f"{make} ; {other}",
        f"one = {watch} ; two = inotify_add_watch($fd, b'FOLDER/e\\0', IN_CREATE) ; inotify_rm_watch($fd, $one) ; read($fd, [16], 16)",
        "",
        "mkdirat(AT_FDCWD, b'FOLDER/e/x\\0', 448) ; read($fd, [256], 256) ; inotify_add_watch($fd, b'FOLDER/d\\0', IN_CREATE)",
    )
    yield Row("number.next", make, f"one = {watch} ; inotify_rm_watch($fd, $one) ; read($fd, [16], 16)", "", watch)
    yield Row(
        "watched-gone", make, f"{watch} ; unlinkat(AT_FDCWD, b'FOLDER/d\\0', AT_REMOVEDIR)", "ioctl($fd, FIONREAD, [4])", LOOK_INOTIFY
    )
    yield Row(
        "watched-renamed",
        make,
        f"{watch} ; renameat(AT_FDCWD, b'FOLDER/d\\0', AT_FDCWD, b'FOLDER/e\\0')",
        "",
        f"mkdirat(AT_FDCWD, b'FOLDER/e/x\\0', 448) ; {LOOK_INOTIFY}",
    )
    held = f"{make} ; {FILE} ; inotify_add_watch($fd, b'FOLDER/f\\0', IN_MODIFY|IN_DELETE_SELF)"
    yield Row(
        "watched-unlinked-open",
        held,
        "unlinkat(AT_FDCWD, b'FOLDER/f\\0', 0)",
        "",
        f"write($file, b'x', 1) ; {LOOK_INOTIFY} ; close($file) ; {LOOK_INOTIFY}",
    )
    yield Row(
        "two-instances",
        make,
        f"two = inotify_init1(IN_NONBLOCK) ; {watch} ; inotify_add_watch($two, b'FOLDER/d\\0', IN_DELETE)",
        "",
        f"{ACTS} ; {LOOK_INOTIFY} ; read($two, [512], 512)",
    )
    yield Row(
        "signal",
        f"{make} ; rt_sigprocmask(SIG_BLOCK, {{<8:-1>}}, 0, 8) ; me = getpid()",
        f"{watch} ; fcntl($fd, F_SETOWN, $me) ; fcntl($fd, F_SETFL, O_NONBLOCK|FASYNC)",
        "fcntl($fd, F_GETOWN, 0)",
        "mkdirat(AT_FDCWD, b'FOLDER/d/q\\0', 448) ; rt_sigpending([8], 8)",
    )


def _fanotifies(script: Script) -> Iterator[Row]:
    make = "mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493)"
    flags = script.names(
        "FAN_",
        header="linux/fanotify.h",
        but=(
            "FAN_MARK",
            "FAN_ALL",
            "FAN_EVENT",
            "FAN_RESPONSE",
            "FAN_ERRNO",
            "FAN_NO",
            "FAN_E",
            "FAN_ALLOW",
            "FAN_DENY",
            "FAN_AUDIT",
            "FAN_INFO",
        ),
    )
    init = [
        n for n in flags if n.startswith(("FAN_CL", "FAN_NONBLOCK", "FAN_UNLIMITED", "FAN_REPORT")) and not n.startswith("FAN_CLOSE")
    ] + ["FAN_ENABLE_AUDIT"]
    for flag in init:
        for more in ("", "|FAN_REPORT_FID"):
            name = f"{flag}{more}".replace("|", "_")
            yield Row(
                f"init.{name}",
                make,
                f"fd = fanotify_init({flag}{more}, O_RDONLY)",
                "fcntl($fd, F_GETFL, 0) ; fcntl($fd, F_GETFD, 0)",
                "fanotify_mark($fd, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, b'FOLDER/d\\0')",
            )
    for mode in ("O_RDWR", "O_LARGEFILE", "O_CLOEXEC", "O_NOATIME", "O_APPEND"):
        yield Row(f"event-flags.{mode}", make, f"fd = fanotify_init(FAN_NONBLOCK, {mode})", "fcntl($fd, F_GETFL, 0)")
    group = f"{make} ; fd = fanotify_init(FAN_NONBLOCK|FAN_REPORT_FID, O_RDONLY)"
    acts = f"{ACTS} ; ioctl($fd, FIONREAD, [4])"
    groups = {
        "FAN_RENAME": "FAN_REPORT_DFID_NAME",
        "FAN_PRE_ACCESS": "FAN_CLASS_PRE_CONTENT",
        "FAN_OPEN_PERM": "FAN_CLASS_CONTENT",
        "FAN_ACCESS_PERM": "FAN_CLASS_CONTENT",
        "FAN_OPEN_EXEC_PERM": "FAN_CLASS_CONTENT",
    }
    for mask in (f for f in flags if f not in init):
        own = f"{make} ; fd = fanotify_init(FAN_NONBLOCK|{groups.get(mask, 'FAN_REPORT_FID')}, O_RDONLY)"
        does = "" if "PERM" in mask or "PRE_" in mask else acts  # nobody here would answer
        yield Row(f"mask.{mask}", own, f"fanotify_mark($fd, FAN_MARK_ADD, {mask}, AT_FDCWD, b'FOLDER/d\\0')", "", does)
        if not mask.startswith("FAN_MNT") and does:
            yield Row(
                f"mask.FAN_OPEN_{mask}",
                own,
                f"fanotify_mark($fd, FAN_MARK_ADD, FAN_OPEN|FAN_EVENT_ON_CHILD|{mask}, AT_FDCWD, b'FOLDER/d\\0')",
                "",
                acts,
            )
    space = "fd = fanotify_init(FAN_NONBLOCK|FAN_REPORT_MNT, O_RDONLY) ; at = openat(AT_FDCWD, b'/proc/self/ns/mnt\\0', O_RDONLY, 0)"
    for mask in script.names("FAN_MNT_", header="linux/fanotify.h"):
        yield Row(f"mntns.{mask}", space, f"fanotify_mark($fd, FAN_MARK_ADD|FAN_MARK_MNTNS, {mask}, $at, 0)")
    for mark in script.names(
        "FAN_MARK_",
        header="linux/fanotify.h",
        but=("FAN_MARK_ADD", "FAN_MARK_REMOVE", "FAN_MARK_FLUSH", "FAN_MARK_MOUNT", "FAN_MARK_FILESYSTEM", "FAN_MARK_MNTNS"),
    ):
        yield Row(f"mark.{mark}", group, f"fanotify_mark($fd, FAN_MARK_ADD|{mark}, FAN_OPEN, AT_FDCWD, b'FOLDER/d\\0')", "", acts)
        twice = (
            "fanotify_mark($fd, FAN_MARK_ADD, FAN_OPEN|FAN_EVENT_ON_CHILD, AT_FDCWD, b'FOLDER/d\\0') ; fanotify_mark($fd,"
            f" FAN_MARK_ADD|{mark}, FAN_MODIFY, AT_FDCWD, b'FOLDER/d\\0')"
        )
        yield Row(f"mark.FAN_OPEN.{mark}", group, twice, "", acts)
    queued = "fanotify_mark($fd, FAN_MARK_ADD, FAN_OPEN|FAN_ONDIR, AT_FDCWD, b'FOLDER/d\\0')"
    yield Row(
        "queued",
        f"{group} ; {queued}",
        "at = openat(AT_FDCWD, b'FOLDER/d\\0', O_DIRECTORY, 0)",
        "ioctl($fd, FIONREAD, [4])",
        "read($fd, [256], 256)",
    )


def _signalfds(script: Script) -> Iterator[Row]:
    look = "fcntl($fd, F_GETFL, 0) ; fcntl($fd, F_GETFD, 0)"
    ready = "rt_sigprocmask(SIG_BLOCK, {<8:-1>}, 0, 8) ; me = getpid()"
    arrives = " ; ".join(f"kill($me, {n})" for n in ("SIGUSR1", "SIGHUP", "34", "64")) + " ; read($fd, [512], 512)"
    masks = {
        "none": 0,
        "usr1": 1 << 9,
        "rt-first": 1 << 33,
        "rt-last": 1 << 63,
        "all": (1 << 64) - 1,
        "two": (1 << 9) | (1 << 63),
        "kill": 1 << 8,
    }
    for name, mask in masks.items():
        yield Row(f"mask.{name}", ready, f"fd = signalfd4(-1, {{<8:{mask}>}}, 8, SFD_NONBLOCK)", look, arrives)
    for flag in script.names("SFD_", header="linux/signalfd.h"):
        yield Row(f"flag.{flag}", ready, f"fd = signalfd4(-1, {{<8:512>}}, 8, {flag})", look)
    yield Row("mask.changed", f"{ready} ; fd = signalfd4(-1, {{<8:512>}}, 8, SFD_NONBLOCK)", "signalfd4($fd, {<8:1>}, 8, 0)", look, arrives)
    yield Row(
        "queued",
        f"{ready} ; fd = signalfd4(-1, {{<8:-1>}}, 8, SFD_NONBLOCK)",
        "kill($me, SIGUSR1) ; kill($me, 40)",
        "rt_sigpending([8], 8)",
        "read($fd, [512], 512)",
    )
    yield Row(
        "two",
        ready,
        "fd = signalfd4(-1, {<8:512>}, 8, SFD_NONBLOCK) ; two = signalfd4(-1, {<8:1>}, 8, SFD_NONBLOCK)",
        look,
        f"{arrives} ; read($two, [256], 256)",
    )
    yield Row(
        "in-child",
        f"{ready} ; fd = signalfd4(-1, {{<8:512>}}, 8, SFD_NONBLOCK)",
        "child = clone(SIGCHLD, 0, 0, 0, 0)",
        look,
        "kill($child, SIGUSR1) ; read($fd, [128], 128) ; child: read($fd, [128], 128)",
    )
