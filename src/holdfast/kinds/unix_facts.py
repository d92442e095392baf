"""What can be seen of an AF_UNIX socket: its other end, its listener, its name, its queue.

Beside kinds/sock/unix.py only for its length: that file says what is carried and refused, this one how it is found out.
"""

from __future__ import annotations

import os
from errno import EAGAIN, ENOTCONN
from fcntl import ioctl
from stat import S_IMODE, S_ISSOCK

from holdfast.kernel import sockdiag
from holdfast.kinds import files, sockets
from holdfast.kinds.sockets import DGRAM, SEQPACKET, SOL_SOCKET, STREAM, Maker
from holdfast.kinds.unix_steps import Message, Name
from holdfast.model.ids import ObjectId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kernel.sockdiag import UnixSocket
    from holdfast.kinds.evidence import FileEvidence

CONNECTED, LISTENING = 1, 10  # sk_state
READ, WRITE = 1, 2  # sk_shutdown
SO_SNDBUF, SO_PASSCRED, SO_PEEK_OFF = 7, 16, 42
SCM_RIGHTS, SCM_CREDENTIALS, SCM_PIDFD = 1, 2, 4
MSG_TRUNC = 0x20
CHUNK = 1 << 16
SIOCATMARK = 0x8905


def is_unix(ev: FileEvidence) -> bool:
    """Whether it is a unix socket of a type that is carried."""
    sort = sockets.identity(ev)
    return sort is not None and sort[0] == sockets.AF_UNIX and sort[1] in (STREAM, DGRAM, SEQPACKET)


def seen_by_kernel(ev: FileEvidence) -> UnixSocket | None:
    """What sock_diag tells of it, or None where it was closed meanwhile."""
    return sockets.once(ev, "unix", lambda: sockdiag.unix_socket(sockets.diag(ev.process), sockets.inode(ev)))


def all_of_namespace(ev: FileEvidence) -> dict[int, UnixSocket]:
    """Every unix socket of its network namespace, by inode."""
    root = ev.tree.files[0]
    return sockets.once(root, f"all {ev.process.namespace('net')}", lambda: sockdiag.unix_sockets(sockets.diag(ev.process)))


def peer_of(ev: FileEvidence, seen: UnixSocket) -> FileEvidence | None:
    """The file of the tree at the other end."""
    return sockets.by_inode(ev.tree).get(seen.peer) if seen.peer else None


def peer_is_gone(seen: UnixSocket) -> bool:
    """Whether its other end was closed.

    A stream's end stays pointed at its closed peer, whose inode is 0 then; so does a datagram socket until its next send.
    """
    if seen.type == DGRAM:
        return seen.peer == 0
    return seen.state == CONNECTED and not seen.peer and seen.shutdown == READ | WRITE


def reachable_listener(ev: FileEvidence, seen: UnixSocket) -> FileEvidence | None:
    """The listener of the tree that a connection can be accepted from again."""
    source = listener_of(ev, seen)
    listener = None if source is None else sockets.by_inode(ev.tree).get(source.ino)
    if listener is None or source is None:
        return None
    name = name_of(listener, source)
    return listener if name is not None and (name.file or name.name[:1] == b"\0") else None


def maker_to_be(ev: FileEvidence, seen: UnixSocket, peer: FileEvidence | None) -> Maker | None:
    """Whom it will name as its other end: a client whose listener is gone gets one that the accepting process makes for the moment."""
    made = sockets.maker(ev)
    other = None if peer is None or seen.type == DGRAM or made is None else seen_by_kernel(peer)
    if (
        made is None
        or peer is None
        or other is None
        or was_accepted(ev, seen)
        or not was_accepted(peer, other)
        or reachable_listener(peer, other)
    ):
        return made
    theirs = sockets.maker(peer)
    return made.replace(process=None if theirs is None else theirs.process)


def listener_of(ev: FileEvidence, seen: UnixSocket) -> UnixSocket | None:
    """Whom a connected socket with a name was accepted from, where it still listens: accept gives the listener's name and file away."""
    if seen.name is None:
        return None
    for other in all_of_namespace(ev).values():
        if other.state == LISTENING and other.type == seen.type and other.name == seen.name and other.file == seen.file:
            return other
    return None


def was_accepted(ev: FileEvidence, seen: UnixSocket) -> bool:
    """Whether it came out of accept.

    A connected stream with a name did, or bound itself before it connected: then its peer came from accept.
    """
    if seen.state != CONNECTED or seen.type == DGRAM or seen.name is None:
        return False
    if listener_of(ev, seen) is not None:
        return True
    peer = peer_of(ev, seen)
    other = None if peer is None else seen_by_kernel(peer)
    return other is None or other.name is None


def _stat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def name_of(ev: FileEvidence, seen: UnixSocket) -> Name | None:
    """Its name, and the file at its path where that is still its own."""
    name = seen.name
    if name is None or name[:1] == b"\0":
        return None if name is None else Name(name)
    pid = int(ev.process.pid)
    ours = seen.file[0] if seen.file is not None else -1
    if name.startswith(b"/"):
        places = [(b"/proc/%d/root%s" % (pid, name), b"")]
    else:
        places = [(b"/proc/%d/cwd/%s" % (int(p.pid), name), p.readlink("cwd")) for p in ev.tree.processes if not p.zombie]
    for path, folder in places:
        st = _stat(path)
        if st is not None and S_ISSOCK(st.st_mode) and st.st_ino & 0xFFFFFFFF == ours:
            return Name(name, True, S_IMODE(st.st_mode), *files.owner(ev.process, st), folder)
    return Name(name)


def is_replaced(ev: FileEvidence, name: bytes) -> bool:
    """Whether something is at a path that no socket of the tree left there."""
    if not name.startswith(b"/") or _stat(b"/proc/%d/root%s" % (int(ev.process.pid), name)) is None:
        return False
    for other in sockets.by_inode(ev.tree).values():
        seen = seen_by_kernel(other) if other is not ev and is_unix(other) else None
        if seen is not None and seen.name == name and (found := name_of(other, seen)) is not None and found.file:
            return False
    return True


def peer_name(ev: FileEvidence) -> bytes:
    """What getpeername says, empty where it says nothing."""
    try:
        return _plain(ev.borrowed.peername())
    except OSError as e:
        if e.errno == ENOTCONN:
            return b""
        raise


def _plain(address: bytes) -> bytes:
    name = address[2:]
    return name if name[:1] == b"\0" else name.partition(b"\0")[0]


# --- its queue


def _queue(ev: FileEvidence, seen: UnixSocket) -> tuple[Message, ...]:
    # Every message, left where it is: SO_PEEK_OFF walks through the queue, SO_PASSCRED shows what credentials are attached. Both are put
    # back. Only of a stopped target, for both would be seen by a running one.
    borrowed = ev.borrowed
    if not borrowed.poll(sockets.POLLIN) & sockets.POLLIN or seen.state == LISTENING:
        return ()
    import _socket  # only a queue with something in it costs this

    sort = sockets.identity(ev)
    assert sort is not None
    sock = _socket.socket(*sort, fileno=borrowed.fd)
    offset = sock.getsockopt(SOL_SOCKET, SO_PEEK_OFF)
    passing = sock.getsockopt(SOL_SOCKET, SO_PASSCRED)
    try:
        sock.setsockopt(SOL_SOCKET, SO_PEEK_OFF, 0)
        if not passing:
            sock.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        return tuple(_stream(ev, seen.rqueue) if sort[1] == STREAM else _messages(ev, sort[1] == SEQPACKET and seen.shutdown & READ))
    finally:
        sock.setsockopt(SOL_SOCKET, SO_PEEK_OFF, offset)
        if not passing:
            sock.setsockopt(SOL_SOCKET, SO_PASSCRED, 0)
        sock.detach()


def _stream(ev: FileEvidence, left: int) -> Iterator[Message]:
    # A look ends where the attached credentials change, or where an urgent byte was taken: is_marked.
    while left > 0:
        peeked = ev.borrowed.peek(left, 256)
        if not peeked.data:
            break
        yield _message(ev, peeked.data, b"", peeked.control)
        left -= len(peeked.data)


def is_marked(ev: FileEvidence, messages: tuple[Message, ...]) -> bool:
    """Whether an urgent byte was taken out of a stream, at whose place a read still ends: at its head, or in its middle.

    Source:  unix(7) MSG_OOB, Linux net/unix/af_unix.c manage_oob
    """
    runs = [message.replace(data=b"") for message in messages]
    if any(runs[n] == runs[n - 1] for n in range(1, len(runs))):
        return True
    try:
        return bool(ev.borrowed.ioctl_int(SIOCATMARK))
    except OSError:
        return False  # a kernel without CONFIG_AF_UNIX_OOB


def shares_a_path(ev: FileEvidence, name: bytes) -> bool:
    """Whether others of the tree were bound to the same path after each other, and one is no listener or loose stream.

    Only those can be bound, and their file be removed, one after the other.
    """
    every = (f for f in sockets.by_inode(ev.tree).values() if is_unix(f))
    bound = [seen for f in every if (seen := seen_by_kernel(f)) is not None and seen.name == name and not was_accepted(f, seen)]
    return len(bound) > 1 and any(seen.type == DGRAM or seen.state == CONNECTED for seen in bound)


def _messages(ev: FileEvidence, ended: int) -> Iterator[Message]:
    while True:
        parts = []
        try:
            while True:
                # MSG_TRUNC makes the call tell the length of the message, and what is left of a longer one comes next
                peeked = ev.borrowed.peek(CHUNK, 256)
                parts.append(peeked.data)
                if not peeked.flags & MSG_TRUNC:
                    break
        except OSError as e:
            if e.errno == EAGAIN:
                return
            raise
        if ended and not parts[0]:
            return
        yield _message(ev, b"".join(parts), _plain(peeked.name), peeked.control)


def _message(ev: FileEvidence, data: bytes, sender: bytes, control: bytes) -> Message:
    at = 0
    made = Message(data, sender)
    while at + 16 <= len(control):
        size = int.from_bytes(control[at : at + 8], "little")
        kind = int.from_bytes(control[at + 12 : at + 16], "little")
        body = control[at + 16 : at + size]
        if kind == SCM_CREDENTIALS:
            pid, uid, gid = (int.from_bytes(body[i : i + 4], "little") for i in (0, 4, 8))
            if pid:
                made = made.replace(
                    process=next((p.id for p in ev.tree.processes if int(p.pid) == pid and not p.zombie), ObjectId(f"outside:{pid}")),
                    uid=sockets.inner(ev.process, "uid_map", uid),
                    gid=sockets.inner(ev.process, "gid_map", gid),
                )
        elif kind in (SCM_RIGHTS, SCM_PIDFD):
            for i in range(0, len(body) // 4 * 4, 4):
                os.close(int.from_bytes(body[i : i + 4], "little"))
        at += (size + 7) & ~7
        if size < 16:
            break
    return made


def hides(ev: FileEvidence, seen: UnixSocket, messages: tuple[Message, ...]) -> bool:
    """Whether its queue holds a message of no bytes that the look did not show.

    The head of the queue shows whatever was looked at before. Behind it, the memory that the queue takes of the other end's send
    buffer tells: the same messages in a pair of our own take as much.
    """
    if not ev.borrowed.poll(sockets.POLLIN) & sockets.POLLIN:
        return False
    if seen.shutdown & READ and not messages:
        return False
    if not messages or (messages[0].data and not _head(ev)):
        return True
    peer = peer_of(ev, seen)
    other = None if peer is None else seen_by_kernel(peer)
    if peer is None or other is None or other.peer != seen.ino or any(m.sender != (other.name or b"") for m in messages):
        return False
    return peer.borrowed.ioctl_int(sockets.SIOCOUTQ) != _memory(seen.type, messages)


def _head(ev: FileEvidence) -> bytes:
    # the first byte of the first message, empty where that has none
    import _socket  # as in _queue

    sort = sockets.identity(ev)
    assert sort is not None
    sock = _socket.socket(*sort, fileno=ev.borrowed.fd)
    offset = sock.getsockopt(SOL_SOCKET, SO_PEEK_OFF)
    try:
        sock.setsockopt(SOL_SOCKET, SO_PEEK_OFF, -1)
        return ev.borrowed.peek(1).data
    finally:
        sock.setsockopt(SOL_SOCKET, SO_PEEK_OFF, offset)
        sock.detach()


def _memory(kind: int, messages: tuple[Message, ...]) -> int:
    import _socket  # as in _queue

    one, two = _socket.socketpair(_socket.AF_UNIX, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, 0)
    try:
        total = 0
        room = bytearray(4)
        for message in messages:
            one.setsockopt(SOL_SOCKET, SO_SNDBUF, 2 * len(message.data) + 4096)
            one.send(message.data)
            ioctl(one.fileno(), sockets.SIOCOUTQ, room)
            total += int.from_bytes(room, "little")
            two.recv(1)
        return total
    finally:
        one.close()
        two.close()


def queue(ev: FileEvidence, seen: UnixSocket) -> tuple[Message, ...]:
    """Its queue, looked at once.

    Needs:   the target is stopped
    """
    return sockets.once(ev, "queue", lambda: _queue(ev, seen))
