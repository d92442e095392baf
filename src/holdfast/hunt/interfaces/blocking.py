"""Calls that wait, with the checkpoint while they do: somebody lets them go afterwards, and what they return is compared with the twin.

Each row is a call that the first process is inside of (`self`), or a child. `helper` is a second process, `other` a thread;
both are there before, with the same descriptors. Results must not hang on time: whoever sleeps is woken by a signal.

Source:  signal(7), "Interruption of system calls and library functions by signal handlers" and "by stop signals"; the man page of each call
"""

from __future__ import annotations

from holdfast.hunt import subject
from holdfast.hunt.interfaces.events import LONG
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

HELPER = "helper = clone(SIGCHLD, 0, 0, 0, 0)"
OTHER = "other = clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM, 0, 0, 0, 0)"
AREA = "area = mmap(0x20000000, 0x110000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
PIPE = "pipe2(both:[8], 0)"
UNIX = "socketpair(AF_UNIX=1, SOCK_STREAM=1, 0, both:[8])"
PACKETS = "socketpair(AF_UNIX=1, SOCK_DGRAM=2, 0, both:[8])"
FULL_PIPE = f"{PIPE} ; {AREA} ; write($both@4:4, $area, 65536)"
FULL_UNIX = f"{UNIX} ; {AREA} ; sendto($both@4:4, $area, 1048576, MSG_DONTWAIT, 0, 0)"
FILE = "file = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT|O_EXCL, 420) ; write($file, b'0123456789abcdef', 16)"
FIFO = "mknodat(AT_FDCWD, b'FOLDER/p\\0', 4480, 0)"
LOCKED = f"{FILE} ; {HELPER} ; helper: mine = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR, 0)"
LOCK = "<2:F_WRLCK> <2:SEEK_SET> <4:0> <8:0> <8:0> <4:0> <4:0>"
FREE = LOCK.replace("F_WRLCK", "F_UNLCK")
SAYS = "helper: write($both@4:4, b'abc', 3)"
TAKES = "helper: read($both@0:4, [4096], 4096)"
IPC = "unshare(CLONE_NEWIPC)"
SEM = f"{IPC} ; s = semget(IPC_PRIVATE, 2, 384)"
MSG = f"{IPC} ; q = msgget(IPC_PRIVATE, 384)"
MQ = f"{IPC} ; fd = mq_open(b'name\\0', O_RDWR|O_CREAT, 384, {{<8:0> <8:1> <8:32> <8:0> <8:0> <8:0> <8:0> <8:0>}})"
ACTION = f"rt_sigaction(SIGUSR1, {{<8:{subject.HANDLER.value}> <8:SA_RESTORER> <8:{subject.RESTORER.value}> <8:0>}}, 0, 8)"
AWAKE = f"{ACTION} ; me = getpid()"
WAKES = "helper: kill($me, SIGUSR1)"
MASKED = "rt_sigprocmask(SIG_BLOCK, {<8:-1>}, 0, 8) ; me = getpid()"
POLLED = "{$both@0:4, <2:1> <2:0>}"
SET = "set = epoll_create1(0) ; epoll_ctl($set, EPOLL_CTL_ADD, $both@0:4, {<4:EPOLLIN> <8:9>})"
WORDS = f"{AREA} ; {OTHER}"
LIMIT = f"{{<8:{LONG}> <8:0>}}"
FAR = "{<8:0x1000000000> <8:0>}"  # a point in time of every clock that does not come
PTY = (
    "master = openat(AT_FDCWD, b'/dev/ptmx\\0', O_RDWR|O_NOCTTY, 0) ; ioctl($master, TIOCSPTLCK, {<4:0>})"
    " ; slave = ioctl($master, TIOCGPTPEER, O_RDWR|O_NOCTTY)"
)
TCP = (
    "listener = socket(AF_INET=2, SOCK_STREAM=1, 0) ; bind($listener, {<2:2> <2:0> <4:0x0100007f> <8:0>}, 16) ; listen($listener, 4)"
    " ; getsockname($listener, name:[16], {<4:16>})"
)
CONNECTED = (
    f"{TCP} ; client = socket(AF_INET=2, SOCK_STREAM=1, 0) ; connect($client, {{<2:2>, $name@2:2, <4:0x0100007f> <8:0>}}, 16)"
    " ; peer = accept($listener, 0, 0)"
)
UDP = (
    "udp = socket(AF_INET=2, SOCK_DGRAM=2, 0) ; bind($udp, {<2:2> <2:0> <4:0x0100007f> <8:0>}, 16) ; getsockname($udp, name:[16], {<4:16>})"
)
LISTENER = "listener = socket(AF_UNIX=1, SOCK_STREAM=1, 0) ; bind($listener, {<2:1>, b'\\0hunt'}, 7)"

# name: what is made, with the helper; the line that waits; who lets it go
CALLS: dict[str, tuple[str, str, str]] = {
    "read.pipe": (f"{PIPE} ; {HELPER}", "read($both@0:4, [8], 8)", SAYS),
    "readv.pipe": (f"{PIPE} ; {HELPER}", "readv($both@0:4, {&[8], <8:8>}, 1)", SAYS),
    "read.pipe.closed": (f"{PIPE} ; {HELPER} ; close($both@4:4)", "read($both@0:4, [8], 8)", "helper: close($both@4:4)"),
    "write.pipe": (f"{FULL_PIPE} ; {HELPER}", "write($both@4:4, b'more', 4)", TAKES),
    "writev.pipe": (f"{FULL_PIPE} ; {HELPER}", "writev($both@4:4, {&b'more', <8:4>}, 1)", TAKES),
    "write.pipe.partial": (
        f"{PIPE} ; {AREA} ; write($both@4:4, $area, 61440) ; {HELPER}",
        "write($both@4:4, $area, 8192)",
        f"{TAKES} ; {TAKES}",
    ),
    "vmsplice.pipe": (f"{FULL_PIPE} ; {HELPER}", "vmsplice($both@4:4, {$area, <8:4096>}, 1, 0)", TAKES),
    "splice.from-pipe": (f"{PIPE} ; pipe2(two:[8], 0) ; {HELPER}", "splice($both@0:4, 0, $two@4:4, 0, 8, 0)", SAYS),
    "splice.to-pipe": (f"{FULL_PIPE} ; {FILE} ; {HELPER}", "splice($file, {<8:0>}, $both@4:4, 0, 8, 0)", TAKES),
    "tee": (f"{PIPE} ; pipe2(two:[8], 0) ; {HELPER}", "tee($both@0:4, $two@4:4, 8, 0)", SAYS),
    "sendfile.to-pipe": (f"{FULL_PIPE} ; {FILE} ; {HELPER}", "sendfile($both@4:4, $file, {<8:0>}, 8)", TAKES),
    "open.fifo.read": (
        f"{FIFO} ; {HELPER}",
        "in = openat(AT_FDCWD, b'FOLDER/p\\0', O_RDONLY, 0)",
        "helper: openat(AT_FDCWD, b'FOLDER/p\\0', O_RDWR, 0)",
    ),
    "open.fifo.write": (
        f"{FIFO} ; {HELPER}",
        "out = openat(AT_FDCWD, b'FOLDER/p\\0', O_WRONLY, 0)",
        "helper: openat(AT_FDCWD, b'FOLDER/p\\0', O_RDWR, 0)",
    ),
    "open.leased": (
        (
            f"{FILE} ; close($file) ; {HELPER} ; helper: rt_sigprocmask(SIG_BLOCK, {{<8:-1>}}, 0, 8)"
            " ; helper: mine = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDONLY, 0) ; helper: fcntl($mine, F_SETLEASE, F_RDLCK)"
        ),
        "fd = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR, 0)",
        "helper: fcntl($mine, F_SETLEASE, F_UNLCK)",
    ),
    "read.eventfd": (f"fd = eventfd2(0, 0) ; {HELPER}", "read($fd, [8], 8)", "helper: write($fd, {<8:5>}, 8)"),
    "write.eventfd": (
        f"fd = eventfd2(0, 0) ; write($fd, {{<8:0xfffffffffffffffe>}}, 8) ; {HELPER}",
        "write($fd, {<8:3>}, 8)",
        "helper: read($fd, [8], 8)",
    ),
    "read.timerfd": (
        f"fd = timerfd_create(CLOCK_MONOTONIC, 0) ; timerfd_settime($fd, 0, {{<8:0> <8:0> <8:{LONG}> <8:0>}}, 0) ; {HELPER}",
        "read($fd, [8], 8)",
        "helper: timerfd_settime($fd, 0, {<8:0> <8:0> <8:0> <8:1>}, 0)",
    ),
    "read.signalfd": (f"{MASKED} ; fd = signalfd4(-1, {{<8:512>}}, 8, 0) ; {HELPER}", "read($fd, [4], 128)", WAKES),
    "read.inotify": (
        f"fd = inotify_init1(0) ; inotify_add_watch($fd, b'FOLDER\\0', IN_CREATE) ; {HELPER}",
        "read($fd, [128], 128)",
        "helper: mkdirat(AT_FDCWD, b'FOLDER/d\\0', 448)",
    ),
    "read.tty": (f"{PTY} ; {HELPER}", "read($slave, [16], 16)", "helper: write($master, b'line\\n', 5)"),
    "read.tty.half-line": (
        f"{PTY} ; write($master, b'half', 4) ; {HELPER}",
        "read($slave, [16], 16)",
        "helper: write($master, b'line\\n', 5)",
    ),
    "read.pty-master": (f"{PTY} ; {HELPER}", "read($master, [16], 16)", "helper: write($slave, b'out', 3)"),
    "write.tty.stopped": (f"{PTY} ; ioctl($slave, TCXONC, 0) ; {HELPER}", "write($slave, b'held', 4)", "helper: ioctl($slave, TCXONC, 1)"),
    "read.unix": (f"{UNIX} ; {HELPER}", "read($both@0:4, [8], 8)", SAYS),
    "recvfrom.unix": (f"{UNIX} ; {HELPER}", "recvfrom($both@0:4, [8], 8, 0, 0, 0)", SAYS),
    "recvfrom.MSG_PEEK": (f"{UNIX} ; {HELPER}", "recvfrom($both@0:4, [8], 8, MSG_PEEK, 0, 0)", SAYS),
    "recvfrom.MSG_WAITALL": (f"{UNIX} ; {HELPER}", "recvfrom($both@0:4, [6], 6, MSG_WAITALL, 0, 0)", f"{SAYS} ; {SAYS}"),
    "recvfrom.MSG_WAITALL.partial": (
        f"{UNIX} ; write($both@4:4, b'xyz', 3) ; {HELPER}",
        "recvfrom($both@0:4, [6], 6, MSG_WAITALL, 0, 0)",
        SAYS,
    ),
    "recvfrom.packets": (f"{PACKETS} ; {HELPER}", "recvfrom($both@0:4, [8], 8, 0, 0, 0)", SAYS),
    "recvfrom.SO_RCVTIMEO": (
        f"{UNIX} ; setsockopt($both@0:4, SOL_SOCKET, SO_RCVTIMEO_OLD, {LIMIT}, 16) ; {HELPER}",
        "recvfrom($both@0:4, [8], 8, 0, 0, 0)",
        SAYS,
    ),
    "recvmsg.unix": (f"{UNIX} ; {HELPER}", "recvmsg($both@0:4, {<8:0> <8:0>, &{&[8], <8:8>}, <8:1> <8:0> <8:0> <8:0>}, 0)", SAYS),
    "recvmmsg.unix": (
        f"{PACKETS} ; {HELPER}",
        "recvmmsg($both@0:4, {<8:0> <8:0>, &{&[8], <8:8>}, <8:1> <8:0> <8:0> <8:0> <8:0>}, 1, 0, 0)",
        SAYS,
    ),
    "sendto.unix": (
        f"{FULL_UNIX} ; {HELPER}",
        "sendto($both@4:4, b'more', 4, 0, 0, 0)",
        "helper: recvfrom($both@0:4, $area, 196608, 0, 0, 0)",
    ),
    "sendmsg.unix": (
        f"{FULL_UNIX} ; {HELPER}",
        "sendmsg($both@4:4, {<8:0> <8:0>, &{&b'more', <8:4>}, <8:1> <8:0> <8:0> <8:0>}, 0)",
        "helper: recvfrom($both@0:4, $area, 196608, 0, 0, 0)",
    ),
    "accept.unix": (
        f"{LISTENER} ; listen($listener, 1) ; client = socket(AF_UNIX=1, SOCK_STREAM=1, 0) ; {HELPER}",
        "fd = accept($listener, 0, 0)",
        "helper: connect($client, {<2:1>, b'\\0hunt'}, 7)",
    ),
    "accept4.tcp": (
        f"{TCP} ; client = socket(AF_INET=2, SOCK_STREAM=1, 0) ; {HELPER}",
        "fd = accept4($listener, 0, 0, O_CLOEXEC)",
        "helper: connect($client, {<2:2>, $name@2:2, <4:0x0100007f> <8:0>}, 16)",
    ),
    "connect.unix": (
        (
            f"{LISTENER} ; listen($listener, 0) ; one = socket(AF_UNIX=1, SOCK_STREAM=1, 0) ; connect($one, {{<2:1>, b'\\0hunt'}}, 7)"
            f" ; two = socket(AF_UNIX=1, SOCK_STREAM=1, 0) ; {HELPER}"
        ),
        "connect($two, {<2:1>, b'\\0hunt'}, 7)",
        "helper: accept($listener, 0, 0)",
    ),
    "recvfrom.tcp": (f"{CONNECTED} ; {HELPER}", "recvfrom($peer, [8], 8, 0, 0, 0)", "helper: write($client, b'abc', 3)"),
    "recvfrom.udp": (
        f"{UDP} ; {HELPER}",
        "recvfrom($udp, [8], 8, 0, 0, 0)",
        "helper: sendto($udp, b'abc', 3, 0, {<2:2>, $name@2:2, <4:0x0100007f> <8:0>}, 16)",
    ),
    "poll": (f"{PIPE} ; {HELPER}", f"poll({POLLED}, 1, -1)", SAYS),
    "poll.limit": (f"{PIPE} ; {HELPER}", f"poll({POLLED}, 1, 0x7fffffff)", SAYS),
    "ppoll": (f"{PIPE} ; {HELPER}", f"ppoll({POLLED}, 1, 0, 0, 0)", SAYS),
    "ppoll.limit": (f"{PIPE} ; {HELPER}", f"ppoll({POLLED}, 1, {LIMIT}, 0, 0)", SAYS),
    "ppoll.mask": (f"{PIPE} ; {AWAKE} ; {HELPER}", f"ppoll({POLLED}, 1, 0, {{<8:512>}}, 8)", f"{WAKES} ; {SAYS}"),
    "select": (f"{PIPE} ; {HELPER}", "select(4, [8 <8:8>], 0, 0, 0)", SAYS),
    "select.limit": (f"{PIPE} ; {HELPER}", f"select(4, [8 <8:8>], 0, 0, {LIMIT})", SAYS),
    "pselect6": (f"{PIPE} ; {HELPER}", "pselect6(4, [8 <8:8>], 0, 0, 0, 0)", SAYS),
    "pselect6.limit": (f"{PIPE} ; {HELPER}", f"pselect6(4, [8 <8:8>], 0, 0, {LIMIT}, {{&{{<8:512>}}, <8:8>}})", SAYS),
    "epoll_wait": (f"{PIPE} ; {SET} ; {HELPER}", "epoll_wait($set, [12], 1, -1)", SAYS),
    "epoll_wait.limit": (f"{PIPE} ; {SET} ; {HELPER}", "epoll_wait($set, [12], 1, 0x7fffffff)", SAYS),
    "epoll_pwait": (f"{PIPE} ; {SET} ; {HELPER}", "epoll_pwait($set, [12], 1, -1, {<8:512>}, 8)", SAYS),
    "epoll_pwait2": (f"{PIPE} ; {SET} ; {HELPER}", "epoll_pwait2($set, [12], 1, 0, 0, 0)", SAYS),
    "epoll_pwait2.limit": (f"{PIPE} ; {SET} ; {HELPER}", f"epoll_pwait2($set, [12], 1, {LIMIT}, {{<8:512>}}, 8)", SAYS),
    "nanosleep": (f"{AWAKE} ; {HELPER}", f"nanosleep({LIMIT}, 0)", WAKES),
    "rt_sigsuspend": (f"{AWAKE} ; {HELPER}", "rt_sigsuspend({<8:2>}, 8)", WAKES),
    "rt_sigsuspend.mask-back": (f"{AWAKE} ; {MASKED} ; {HELPER}", "rt_sigsuspend({<8:2>}, 8)", f"{WAKES} ; rt_sigprocmask(0, 0, [8], 8)"),
    "rt_sigtimedwait": (f"{MASKED} ; {HELPER}", "rt_sigtimedwait({<8:512>}, [12], 0, 8)", WAKES),
    "rt_sigtimedwait.limit": (f"{MASKED} ; {HELPER}", f"rt_sigtimedwait({{<8:512>}}, [12], {LIMIT}, 8)", WAKES),
    "flock": (f"{LOCKED} ; helper: flock($mine, LOCK_EX)", "flock($file, LOCK_EX)", "helper: flock($mine, LOCK_UN)"),
    "flock.shared": (f"{LOCKED} ; helper: flock($mine, LOCK_EX)", "flock($file, LOCK_SH)", "helper: close($mine)"),
    "F_SETLKW": (
        f"{LOCKED} ; helper: fcntl($mine, F_SETLK, {{{LOCK}}})",
        f"fcntl($file, F_SETLKW, {{{LOCK}}})",
        f"helper: fcntl($mine, F_SETLK, {{{FREE}}})",
    ),
    "F_OFD_SETLKW": (
        f"{LOCKED} ; helper: fcntl($mine, F_OFD_SETLK, {{{LOCK}}})",
        f"fcntl($file, F_OFD_SETLKW, {{{LOCK}}})",
        f"helper: fcntl($mine, F_OFD_SETLK, {{{FREE}}})",
    ),
    "semop": (f"{SEM} ; {HELPER}", "semop($s, {<2:1> <2:-1> <2:0>}, 1)", "helper: semop($s, {<2:1> <2:1> <2:0>}, 1)"),
    "semop.zero": (f"{SEM} ; semctl($s, 1, SETVAL, 1) ; {HELPER}", "semop($s, {<2:1> <2:0> <2:0>}, 1)", "helper: semctl($s, 1, SETVAL, 0)"),
    "semop.undo": (
        f"{SEM} ; {HELPER}",
        "semop($s, {<2:1> <2:-1> <2:SEM_UNDO>}, 1)",
        "helper: semop($s, {<2:1> <2:2> <2:0>}, 1) ; helper: semctl($s, 1, GETVAL, 0)",
    ),
    "semtimedop": (f"{SEM} ; {HELPER}", f"semtimedop($s, {{<2:0> <2:-1> <2:0>}}, 1, {LIMIT})", "helper: semop($s, {<2:0> <2:1> <2:0>}, 1)"),
    "semop.removed": (f"{SEM} ; {HELPER}", "semop($s, {<2:1> <2:-1> <2:0>}, 1)", "helper: semctl($s, 0, IPC_RMID, 0)"),
    "msgrcv": (f"{MSG} ; {HELPER}", "msgrcv($q, [24], 16, 0, 0)", "helper: msgsnd($q, {<8:3>, b'text'}, 4, 0)"),
    "msgrcv.type": (
        f"{MSG} ; {HELPER}",
        "msgrcv($q, [24], 16, 5, 0)",
        "helper: msgsnd($q, {<8:3>, b'not'}, 3, 0) ; helper: msgsnd($q, {<8:5>, b'text'}, 4, 0)",
    ),
    "msgsnd": (
        f"{MSG} ; {AREA} ; poke($area, b'\\x01') ; msgsnd($q, $area, 8192, 0) ; msgsnd($q, $area, 8192, 0) ; {HELPER}",
        "msgsnd($q, $area, 100, 0)",
        "helper: msgrcv($q, $area, 8192, 0, 0)",
    ),
    "mq_timedreceive": (f"{MQ} ; {HELPER}", "mq_timedreceive($fd, [32], 32, [4], 0)", "helper: mq_timedsend($fd, b'text', 4, 6, 0)"),
    "mq_timedreceive.limit": (
        f"{MQ} ; {HELPER}",
        f"mq_timedreceive($fd, [32], 32, [4], {FAR})",
        "helper: mq_timedsend($fd, b'text', 4, 6, 0)",
    ),
    "mq_timedsend": (
        f"{MQ} ; mq_timedsend($fd, b'first', 5, 1, 0) ; {HELPER}",
        "mq_timedsend($fd, b'next', 4, 1, 0)",
        "helper: mq_timedreceive($fd, [32], 32, [4], 0)",
    ),
    "wait4": (HELPER, "wait4($helper, [4], 0, 0)", "helper: exit_group(7)"),
    "wait4.any": (HELPER, "wait4(-1, [4], 0, 0)", "helper: exit_group(7)"),
    "waitid": (HELPER, "waitid(P_PID, $helper, [12], WEXITED, 0)", "helper: exit_group(7)"),
    "waitid.WNOWAIT": (HELPER, "waitid(P_ALL, 0, [12], WEXITED|WNOWAIT, 0)", "helper: exit_group(7) ; wait4($helper, [4], WNOHANG, 0)"),
    "waitid.P_PIDFD": (f"{HELPER} ; fd = pidfd_open($helper, 0)", "waitid(P_PIDFD, $fd, [12], WEXITED, 0)", "helper: exit_group(7)"),
    "waitid.WSTOPPED": (
        f"{HELPER} ; two = clone(SIGCHLD, 0, 0, 0, 0)",
        "waitid(P_PID, $helper, [12], WSTOPPED, 0)",
        "two: kill($helper, SIGSTOP)",
    ),
    "futex.FUTEX_WAIT": (WORDS, "futex($area, FUTEX_WAIT, 0, 0, 0, 0)", "other: futex($area, FUTEX_WAKE, 1, 0, 0, 0)"),
    "futex.FUTEX_WAIT_PRIVATE": (
        WORDS,
        "futex($area, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0)",
        "other: futex($area, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)",
    ),
    "futex.FUTEX_WAIT.limit": (
        WORDS,
        f"futex($area, FUTEX_WAIT_PRIVATE, 0, {LIMIT}, 0, 0)",
        "other: futex($area, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)",
    ),
    "futex.FUTEX_WAIT_BITSET": (
        WORDS,
        "futex($area, FUTEX_WAIT_BITSET_PRIVATE, 0, 0, 0, 6)",
        "other: futex($area, FUTEX_WAKE_BITSET_PRIVATE, 1, 0, 0, 1) ; other: futex($area, FUTEX_WAKE_BITSET_PRIVATE, 1, 0, 0, 4)",
    ),
    "futex.FUTEX_WAIT_BITSET.limit": (
        WORDS,
        f"futex($area, FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME|FUTEX_PRIVATE_FLAG, 0, {FAR}, 0, 1)",
        "other: futex($area, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)",
    ),
    "futex.FUTEX_LOCK_PI": (
        f"{WORDS} ; other: futex($area, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0)",
        "futex($area, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0)",
        "other: futex($area, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0)",
    ),
    "futex.FUTEX_LOCK_PI2": (
        f"{WORDS} ; other: futex($area, FUTEX_LOCK_PI2_PRIVATE, 0, 0, 0, 0)",
        f"futex($area, FUTEX_LOCK_PI2_PRIVATE, 0, {FAR}, 0, 0)",
        "other: futex($area, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0)",
    ),
    "futex.FUTEX_WAIT_REQUEUE_PI": (
        WORDS,
        "futex($area, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, 0, $area+64, 0)",
        "other: futex($area, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0, $area+64, 0)",
    ),
    "futex.requeued": (
        f"{WORDS} ; third = clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM, 0, 0, 0, 0)",
        "futex($area, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0)",
        "other: futex($area, FUTEX_REQUEUE_PRIVATE, 0, 1, $area+64, 0) ; third: futex($area+64, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)",
    ),
    "futex_wait": (
        WORDS,
        "futex_wait($area, 0, 1, FUTEX2_SIZE_U32|FUTEX2_PRIVATE, 0, 0)",
        "other: futex_wake($area, 1, 1, FUTEX2_SIZE_U32|FUTEX2_PRIVATE)",
    ),
    "futex_wait.limit": (
        WORDS,
        f"futex_wait($area, 0, 1, FUTEX2_SIZE_U32|FUTEX2_PRIVATE, {FAR}, CLOCK_MONOTONIC)",
        "other: futex_wake($area, 1, 1, FUTEX2_SIZE_U32|FUTEX2_PRIVATE)",
    ),
    "futex_waitv": (
        WORDS,
        (
            "futex_waitv({<8:0>, $area, <4:FUTEX2_SIZE_U32|FUTEX2_PRIVATE> <4:0> <8:0>, $area+64, <4:FUTEX2_SIZE_U32|FUTEX2_PRIVATE>"
            " <4:0>}, 2, 0, 0, 0)"
        ),
        "other: futex($area+64, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)",
    ),
    "io_getevents": (
        (
            f"{PIPE} ; io_setup(8, ring:[8]) ; io_submit($ring@0:8, 1, {{&{{<8:78> <8:0> <2:IOCB_CMD_POLL> <2:0>, $both@0:4, <8:1> <8:0>"
            f" <8:0> <8:0> <8:0>}}}}) ; {HELPER}"
        ),
        "io_getevents($ring@0:8, 1, 1, [8], 0)",
        SAYS,
    ),
    "vfork": (HELPER, "v = clone(CLONE_VFORK|CLONE_PARENT_SETTID|SIGCHLD, 0, born:[4], 0, 0)", "helper: kill($born@0:4, SIGKILL)"),
}
SLEEPS = ("CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_PROCESS_CPUTIME_ID", "CLOCK_BOOTTIME", "CLOCK_TAI")  # clock_nanosleep(2)
# calls that a stop, and so a checkpoint, may end early or that go on from the start: who waits does not matter to the others
BY_CHILD = (
    "read.pipe",
    "poll.limit",
    "nanosleep",
    "epoll_wait",
    "semop",
    "rt_sigsuspend",
    "flock",
    "ppoll.mask",
    "msgrcv",
    "recvfrom.unix",
)


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Calls that wait, one a recipe, with the checkpoint inside."""
    script = Script(constants)
    yield from script.recipes("blocking", [*_calls(), *_clocks(script), *_children()])


def _calls() -> Iterator[Row]:
    for name, (make, waits, lets_go) in CALLS.items():
        yield Row(f"self.{name}", make, f"{waits} blocks", "", lets_go, inside=True)


def _clocks(script: Script) -> Iterator[Row]:
    for clock in script.names("CLOCK_", header="linux/time.h"):
        for what, flags, until in (("relative", "0", LIMIT), ("absolute", "TIMER_ABSTIME", FAR)):
            sleeps = f"clock_nanosleep({clock}, {flags}, {until}, 0) blocks"
            if clock in SLEEPS:
                yield Row(f"self.clock_nanosleep.{clock}.{what}", f"{AWAKE} ; {HELPER}", sleeps, "", WAKES, inside=True)


# The same calls with a child inside of them: the leader lets it go.
def _children() -> Iterator[Row]:
    for name in BY_CHILD:
        make, waits, lets_go = CALLS[name]
        who = make.replace("helper: ", "HOLDS: ").replace("helper = ", "child = ").replace("HOLDS: ", "")
        goes = lets_go.replace("helper: ", "").replace("$me", "$child")
        yield Row(f"child.{name}", who, f"child: {waits} blocks", "", goes, inside=True)
    asleep = f"{PIPE} ; {HELPER} ; {OTHER}"
    yield Row("thread.read.pipe", asleep, "other: read($both@0:4, [8], 8) blocks", "", "write($both@4:4, b'abc', 3)", inside=True)
    both = "other: read($both@0:4, [1], 1) blocks ; read($both@0:4, [1], 1) blocks"
    yield Row("both.read.pipe", asleep, both, "", "helper: write($both@4:4, b'aa', 2)", inside=True)
