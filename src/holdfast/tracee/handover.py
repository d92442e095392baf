"""Give descriptors of ours to a stopped task, whatever its namespaces, root directory or credentials.

The task makes a socket pair, we take a duplicate of one end (pidfd_getfd(2)) and send over it (SCM_RIGHTS, unix(7)): no path, no
port and no permission of the task is involved.
"""

from __future__ import annotations

import os

from holdfast.prog.call import Out, Program, Struct
from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.tracee.inject import Hand

AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC = 1, 1, 0o2000000
MSG_CMSG_CLOEXEC = 0x40000000
SOL_SOCKET, SCM_RIGHTS = 1, 1


def give(hand: Hand, fds: Sequence[int]) -> list[int]:
    """Descriptor numbers in the task for descriptors of ours, close-on-exec; the caller closes them there.

    Needs:   an area in the task
    Raises:  internal.remote_call: the task is at its limit of descriptors
    """
    import _socket  # the C part alone: `socket` costs 8 ms to import

    pair = Out(8)
    program = Program()
    program.call("socketpair", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)
    raw = hand.run(program).data(pair)
    theirs, ours = int.from_bytes(raw[:4], "little"), int.from_bytes(raw[4:], "little")
    _holds(hand, {theirs, ours})
    size = 16 + 4 * len(fds)
    control = Out((size + 7) // 8 * 8)
    byte = Out(1)
    taken = Program()
    try:
        pidfd = os.pidfd_open(hand.process_pid)
        try:
            end = _socket.socket(fileno=ptrace.pidfd_getfd(pidfd, ours))
        finally:
            os.close(pidfd)
        try:
            end.sendmsg([b"x"], [(SOL_SOCKET, SCM_RIGHTS, b"".join(int(f).to_bytes(4, "little") for f in fds))])
        finally:
            end.close()
        header = Struct(
            bytes(16),
            Struct(byte, (1).to_bytes(8, "little")),
            (1).to_bytes(8, "little"),
            control,
            control.size.to_bytes(8, "little"),
            bytes(8),
        )
        taken.call("recvmsg", theirs, header, MSG_CMSG_CLOEXEC, check=1)
    finally:
        taken.call("close", theirs)
        taken.call("close", ours)
        answers = hand.run(taken)
    got = answers.data(control)[16:size]
    numbers = [int.from_bytes(got[i : i + 4], "little") for i in range(0, len(got), 4)]
    _holds(hand, set(numbers))
    return numbers


def drop(hand: Hand, fds: Sequence[int]) -> None:
    """Close descriptors in the task."""
    program = Program()
    for fd in fds:
        program.call("close", fd)
    hand.run(program)
    _holds(hand, hand.given - set(fds))


# Said to the hand, which closes them where it is taken out in the middle, and to the guard, which does where we are killed.
def _holds(hand: Hand, fds: set[int]) -> None:
    hand.given = fds
    if hand.guard is not None:
        hand.guard.note_descriptors(hand.tid, fds)
