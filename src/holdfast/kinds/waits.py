"""Waits of which a stop loses something: seen in a thread that is in one, and in one that was stopped in one.

Three sorts. A call that was asked for so many bytes and has moved some ends with what it has done; that can only be told of a thread that
was stopped. A call that any stop ends with EINTR, although no handler runs; without a limit it is made again as if nothing had been
(tracee/seize.py). And a call that the kernel goes on with by a restart block: going on in the same process it keeps its deadline. Who
may read kernel structs sees what remains, and a restore waits for that. For whoever may not, a restored thread waits for its whole time
again, unless the program gave a place for what remains; and where it was stopped in the wait before, the call that it is in
is restart_syscall, which tells nothing and which a restored thread ends with EINTR.

Source:  signal(7), "Interruption of system calls and library functions by stop signals"; Linux kernel/signal.c,
         fs/eventpoll.c, fs/select.c, kernel/futex/waitwake.c, kernel/time/hrtimer.c, net/core/sock.c sock_intr_errno
"""

from __future__ import annotations

from holdfast.kernel.uapi.syscalls import X86_64, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENDS = "was waiting with a time limit: it ends with EINTR, as at any stop"
ANEW = "was waiting with a timeout: restored, it waits for its whole time again"
PART = "had done a part of what it was asked for: it returns that, as at any stop"
FORGOTTEN = "waits in a call that was stopped before: restored, it ends with EINTR"
EINTR, NO_HANDLER, RESTART_BLOCK = ((1 << 64) - n for n in (4, 514, 516))
INT, NONE = 0xFFFFFFFF, 1 << 31

# which argument is the limit, and what says that there is none
_AS_POINTER = 0
_MILLISECONDS = -1
_ENDED = {
    "epoll_wait": (3, _MILLISECONDS),
    "epoll_pwait": (3, _MILLISECONDS),
    "epoll_pwait2": (3, _AS_POINTER),
    "rt_sigtimedwait": (2, _AS_POINTER),
    "semtimedop": (3, _AS_POINTER),
    "io_getevents": (4, _AS_POINTER),
}
_ANEW: dict[str, Callable[[Sequence[int]], bool]] = {
    "nanosleep": lambda a: a[0] != a[1],
    "clock_nanosleep": lambda a: not a[1] & 1 and a[2] != a[3],  # TIMER_ABSTIME
    "poll": lambda a: not a[2] & NONE,
    "futex": lambda a: a[3] != 0 and a[1] & 0x7F not in (6, 9, 11, 13),  # LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2: until a moment
    "io_pgetevents": lambda a: a[4] != 0,
}
# what a restore goes on with where live kernel structs show what remains; clock_nanosleep on these clocks (kernel/state/restarts.py)
_SEEN = ("nanosleep", "poll", "futex", "restart_syscall")
_CLOCKS = (0, 1, 7, 11)
SO_RCVTIMEO, SO_SNDTIMEO = 20, 21
# on a socket whose timeout is set; the first argument is its descriptor
_RECEIVE = ("read", "readv", "recvfrom", "recvmsg", "recvmmsg", "accept", "accept4")
_SEND = ("write", "writev", "sendto", "sendmsg", "sendmmsg", "connect")
# which argument says how much is to be moved; None is in the program's memory
_AMOUNT = {"write": 2, "sendto": 2, "sendfile": 3, "recvfrom": 2, "writev": None, "sendmsg": None, "recvmsg": None}
_WAITALL = {"recvfrom": 3, "recvmsg": 2}  # whose flags must have MSG_WAITALL, or what there is is enough
MSG_WAITALL = 0x100
_OPTIONS = {**dict.fromkeys(_RECEIVE, SO_RCVTIMEO), **dict.fromkeys(_SEND, SO_SNDTIMEO)}


def of_running(text: bytes, limited: Callable[[int, int], bool], seen: bool = False) -> str:
    """What a stop would lose of the call that a thread is blocked in, "" for nothing.

    Shape:   `text`: /proc/PID/task/TID/syscall; `limited` says of a descriptor whether it is a socket that has a timeout of its own;
             `seen`: live kernel structs tell what remains
    """
    words = text.split()
    if not words or words[0].startswith(b"r") or words[0] == b"-1":
        return ""  # it runs, or waits for what is no call
    call, args = name_of(int(words[0]), X86_64), [int(w, 16) for w in words[1:7]]
    if call in _ENDED:
        at, endless = _ENDED[call]
        limit = bool(args[at]) if endless == _AS_POINTER else not args[at] & NONE
        return f"{call} {ENDS}" if limit else ""
    if call in _OPTIONS:
        return f"{call} {ENDS}" if limited(args[0] & INT, _OPTIONS[call]) else ""
    return _of_restarted(call, args, seen and (call in _SEEN or (call == "clock_nanosleep" and args[0] in _CLOCKS)))


def of_stopped(
    result: int, number: int, args: Sequence[int], handled: bool, seen: bool = False, waits: Callable[[int], bool] = bool
) -> str:
    """What was lost of the call that a thread was stopped in, "" for nothing.

    Shape:   `result`: what the call returned; `handled`: a handler of the thread's own is about to run; `seen`: what remains is known;
             `waits` says of a descriptor whether calls wait for it
    """
    if number >> 63:
        return ""
    call = name_of(number, X86_64)
    if result == EINTR:
        return "" if handled else f"{call} {ENDS}"
    if call in _AMOUNT and result < NONE:
        return f"{call} {PART}" if _is_part(call, result, args) and waits(args[0] & INT) else ""
    if result == RESTART_BLOCK or (result == NO_HANDLER and call == "io_pgetevents"):
        return _of_restarted(call, args, seen)
    return ""


def _is_part(call: str, result: int, args: Sequence[int]) -> bool:
    if call in _WAITALL and not args[_WAITALL[call]] & MSG_WAITALL:
        return False
    at = _AMOUNT[call]
    return result > 0 and (at is None or result < args[at])


def _of_restarted(call: str, args: Sequence[int], seen: bool) -> str:
    if seen:
        return ""
    if call == "restart_syscall":
        return f"{call} {FORGOTTEN}"
    return f"{call} {ANEW}" if call in _ANEW and _ANEW[call](args) else ""
