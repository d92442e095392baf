"""sock.unix: an AF_UNIX socket: one end of a pair or of a connection within the tree, a listener, or a loose one.

Carries:  type (stream, seqpacket, datagram), queued data both ways with its boundaries, senders' names and attached credentials, shut
          down directions, a peer that is gone and the ECONNRESET that it left, the name (a path, its file's mode and owner; an abstract
          name; none), backlog, SO_PEERCRED and SO_PEERGROUPS where the process they name is in the tree, owner and mode of the
          socket, a datagram socket's connection to a named socket outside, status flags, every socket option that can be read
          and set (kernel/uapi/sockopts.py), classic BPF filter.
Loses:    SO_PEERCRED's pid where the process it names is gone or outside the tree (it becomes the first holder's); the name that
          getpeername gives of a peer that is gone; the inode of a path's socket file; the kernel's own overhead in SIOCOUTQ; the
          security label of queued data; a message of no bytes at the end of the queue of a seqpacket socket that was shut down;
          where a datagram's sender is not the other end of a pair: a message of no bytes, behind others in the queue, that somebody
          has looked at (MSG_PEEK) before; SO_COOKIE; what kinds/socket_options.py lists.
Sources:  unix(7), socket(7), sock_diag(7), proc_pid_fdinfo(5), Linux net/unix/af_unix.c, net/unix/diag.c.
"""

from __future__ import annotations

import os
from errno import EAGAIN, ENOTCONN
from fcntl import ioctl
from stat import S_IMODE, S_ISSOCK

from holdfast.kernel import sockdiag
from holdfast.kinds import files, socket_options, sockets
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Link, Loss, Refusal, Struct, compare_fields, verbs
from holdfast.kinds.socket_options import Option  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.kinds.sockets import DGRAM, SEQPACKET, SOL_SOCKET, STREAM, Maker
from holdfast.kinds.unix_steps import Making, Message, Name
from holdfast.model.ids import ObjectId
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.kernel.sockdiag import UnixSocket
    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence


class Unix(Record):
    """An AF_UNIX socket."""

    type: str
    flags: tuple[str, ...] = ()
    name: Name | None = None
    listening: bool = False
    backlog: int = 0
    peer: ObjectId | None = None  # the open file at the other end
    peer_gone: bool = False
    peer_name: bytes = b""  # of a datagram peer outside the tree
    accepted: bool = False  # it came out of accept: its name is its listener's
    listener: ObjectId | None = None  # the open file that it was accepted from
    reset: bool = False  # the next call fails with ECONNRESET
    shutdown: tuple[str, ...] = ()  # read, write
    maker: Maker | None = None
    queue: tuple[Message, ...] = ()
    options: tuple[Option, ...] = ()
    uid: int = 0  # owner and mode of the socket itself, as fstat gives them
    gid: int = 0
    mode: int = 0o777


WATCHES = (Struct("unix_sock"), Struct("sock"), Link("socket:["), FdinfoKey("scm_fds"))
CONNECTED, CLOSED, LISTENING = 1, 7, 10  # sk_state
READ, WRITE = 1, 2  # sk_shutdown
SCM_RIGHTS, SCM_CREDENTIALS, SCM_PIDFD = 1, 2, 4
SO_SNDBUF, SO_PASSCRED, SO_PEEK_OFF = 7, 16, 42
MSG_TRUNC = 0x20
CHUNK = 1 << 16


def detect(ev: FileEvidence) -> Claim | None:
    sort = sockets.identity(ev)
    if sort is None or sort[0] != sockets.AF_UNIX or sort[1] not in (STREAM, DGRAM, SEQPACKET) or files.inherited(ev):
        return None
    return Claim(f"unix {sockets.TYPES[sort[1]]}")


# --- what it is


def _diag(ev: FileEvidence) -> UnixSocket | None:
    return sockets.once(ev, "unix", lambda: sockdiag.unix_socket(sockets.diag(ev.process), sockets.inode(ev)))


def _all(ev: FileEvidence) -> dict[int, UnixSocket]:
    root = ev.tree.files[0]
    return sockets.once(root, f"all {ev.process.namespace('net')}", lambda: sockdiag.unix_sockets(sockets.diag(ev.process)))


def _peer(ev: FileEvidence, seen: UnixSocket) -> FileEvidence | None:
    return sockets.by_inode(ev.tree).get(seen.peer) if seen.peer else None


def _gone(seen: UnixSocket) -> bool:
    # a stream's end stays pointed at its closed peer, whose inode is 0 then; so does a datagram socket until its next send
    if seen.type == DGRAM:
        return seen.peer == 0
    return seen.state == CONNECTED and not seen.peer and seen.shutdown == READ | WRITE


def _reachable(ev: FileEvidence, seen: UnixSocket) -> FileEvidence | None:
    # the listener of the tree that a connection can be accepted from again
    source = _listener(ev, seen)
    listener = None if source is None else sockets.by_inode(ev.tree).get(source.ino)
    if listener is None or source is None:
        return None
    name = _name(listener, source)
    return listener if name is not None and (name.file or name.name[:1] == b"\0") else None


def _maker(ev: FileEvidence, seen: UnixSocket, peer: FileEvidence | None) -> Maker | None:
    # as it will be: a client whose listener is gone gets one that the accepting end's process makes for the moment
    made = sockets.maker(ev)
    other = None if peer is None or seen.type == DGRAM or made is None else _diag(peer)
    if made is None or peer is None or other is None or _accepted(ev, seen) or not _accepted(peer, other) or _reachable(peer, other):
        return made
    theirs = sockets.maker(peer)
    return made.replace(process=None if theirs is None else theirs.process)


def _listener(ev: FileEvidence, seen: UnixSocket) -> UnixSocket | None:
    # whom a connected socket with a name was accepted from, where it still listens: accept gives the listener's name and file away
    if seen.name is None:
        return None
    for other in _all(ev).values():
        if other.state == LISTENING and other.type == seen.type and other.name == seen.name and other.file == seen.file:
            return other
    return None


def _accepted(ev: FileEvidence, seen: UnixSocket) -> bool:
    # a connected stream with a name came from accept, or bound itself before it connected: then its peer came from accept
    if seen.state != CONNECTED or seen.type == DGRAM or seen.name is None:
        return False
    if _listener(ev, seen) is not None:
        return True
    peer = _peer(ev, seen)
    other = None if peer is None else _diag(peer)
    return other is None or other.name is None


def _stat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _name(ev: FileEvidence, seen: UnixSocket) -> Name | None:
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


def _replaced(ev: FileEvidence, name: bytes) -> bool:
    # something is at the path that no socket of the tree left there
    if not name.startswith(b"/") or _stat(b"/proc/%d/root%s" % (int(ev.process.pid), name)) is None:
        return False
    for other in sockets.by_inode(ev.tree).values():
        seen = _diag(other) if other is not ev and detect(other) is not None else None
        if seen is not None and seen.name == name and (found := _name(other, seen)) is not None and found.file:
            return False
    return True


def _peer_name(ev: FileEvidence) -> bytes:
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
    run: Message | None = None
    while left > 0:
        peeked = ev.borrowed.peek(left, 256)
        now = _message(ev, peeked.data, b"", peeked.control)
        left -= len(peeked.data)
        if run is None:
            run = now
        elif run.replace(data=b"") == now.replace(data=b""):
            run = run.replace(data=run.data + now.data)
        else:
            yield run
            run = now
        if not peeked.data:
            break
    if run is not None and run.data:
        yield run


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


def _hides(ev: FileEvidence, seen: UnixSocket, messages: tuple[Message, ...]) -> bool:
    # The head of the queue shows whatever was looked at before. Behind it, the memory that the queue takes of the other end's send
    # buffer tells: the same messages in a pair of our own take as much.
    if not ev.borrowed.poll(sockets.POLLIN) & sockets.POLLIN:
        return False
    if seen.shutdown & READ and not messages:
        return False
    if not messages or (messages[0].data and not _head(ev)):
        return True
    peer = _peer(ev, seen)
    other = None if peer is None else _diag(peer)
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


def _queue_once(ev: FileEvidence, seen: UnixSocket) -> tuple[Message, ...]:
    return sockets.once(ev, "queue", lambda: _queue(ev, seen))


# --- verdicts


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    unreachable = list(sockets.unreachable_namespace(ev, "sock.unix"))
    if unreachable:
        yield from unreachable
        return
    seen = _diag(ev)
    if seen is None:
        return  # closed while we looked: the target runs
    yield from files.unknown_flags(ev, "sock.unix")
    yield from sockets.inode_verdicts(ev, "sock.unix")
    yield from socket_options.option_verdicts(ev, "sock.unix")
    yield from _place(ev, seen)
    yield from _ends(ev, seen)
    yield from _contents(ev, seen)


def _no(ev: FileEvidence, code: str, what: str, why: str, do: str) -> Refusal:
    return Refusal(f"sock.unix.{code}", f"{files.who(ev)} {what}", ev.where, why, do)


def _place(ev: FileEvidence, seen: UnixSocket) -> Iterator[Verdict]:
    name = _name(ev, seen)
    if name is None or name.name[:1] == b"\0":
        return
    shown = files.shown(name.name)
    if ev.process.readlink("root") != b"/":
        yield _no(
            ev,
            "root",
            f"is bound to {shown} below another root directory",
            "the name is bound again while the restored tree has the restorer's root; unix(7)",
            "dump from inside that root",
        )
    elif not name.file and not name.name.startswith(b"/"):
        yield _no(
            ev,
            "relative",
            f"is bound to the relative path {shown}, which none of the tree's working directories holds",
            "the kernel keeps the name as it was given, not the directory that it was resolved from; unix(7)",
            "bind to an absolute path",
        )
    elif not name.file and _replaced(ev, name.name):
        yield _no(
            ev,
            "replaced",
            f"is bound to {shown}, where something else is now",
            "a restore would have to put its socket file in the place of that; bind(2) EADDRINUSE",
            f"remove {shown}, or close the socket",
        )


def _ends(ev: FileEvidence, seen: UnixSocket) -> Iterator[Verdict]:
    peer = _peer(ev, seen)
    if seen.state == LISTENING:
        if seen.rqueue:
            yield _no(
                ev,
                "pending",
                f"listens and has {seen.rqueue} connections that nobody has accepted",
                "the end of such a connection belongs to no descriptor yet; Linux net/unix/af_unix.c unix_accept",
                "accept them and retry",
            )
    elif seen.type == DGRAM:
        yield from _datagram_ends(ev, seen, peer)
    elif seen.state == CONNECTED and peer is None and not _gone(seen):
        if seen.peer:
            yield _no(
                ev,
                "outside",
                f"is connected to a socket outside the tree (inode {seen.peer})",
                "the other end would not follow; a restored copy of this end would be connected to nobody",
                "dump the tree that holds both ends, or close the connection",
            )
        else:
            yield _no(
                ev,
                "pending",
                "is a connection that its listener has not accepted",
                "its other end belongs to no descriptor yet; Linux net/unix/af_unix.c unix_stream_connect",
                "let the listener accept it and retry",
            )
    if seen.state == CONNECTED and seen.type != DGRAM:
        yield from _stream_ends(ev, seen, peer)
    made, now = sockets.maker(ev), _maker(ev, seen, peer)
    if made is not None and (made.process is None or made != now):
        yield Loss("sock.unix", ev.id, "SO_PEERCRED will name another process", "the one it names is not in the tree, or listens no more")


def _stream_ends(ev: FileEvidence, seen: UnixSocket, peer: FileEvidence | None) -> Iterator[Verdict]:
    listener = _listener(ev, seen)
    if listener is not None and listener.ino not in sockets.by_inode(ev.tree):
        yield _no(
            ev,
            "listener_outside",
            f"was accepted from {_shown(seen)}, which a process outside the tree listens on",
            "only a listener of that name can make such a socket, and the name is taken; unix(7)",
            "dump the listening process with it",
        )
    other = None if peer is None else _diag(peer)
    if other is not None and seen.name is not None and other.name is not None and listener is None and _listener(ev, other) is None:
        yield _no(
            ev,
            "ambiguous",
            f"and its peer are both named ({_shown(seen)}, {_shown(other)}) and neither listener is there any more",
            "which of the two was accepted decides how they are made again, and no interface tells",
            "close the connection",
        )
    if _gone(seen) and not _accepted(ev, seen) and (name := _peer_name(ev)):
        yield Loss("sock.unix", ev.id, f"getpeername will not name {_printable(name)}", "the peer is gone")


def _datagram_ends(ev: FileEvidence, seen: UnixSocket, peer: FileEvidence | None) -> Iterator[Verdict]:
    other = None if peer is None else _diag(peer)
    mutual = other is not None and other.peer == seen.ino
    if sockets.maker(ev) is not None and not mutual and seen.peer != 0:
        yield _no(
            ev,
            "apart",
            "is half of a socketpair and was connected elsewhere, or disconnected",
            "it keeps the credentials that only socketpair gives it, and the other half keeps its connection to it; unix(7)",
            "close the socket",
        )
    elif seen.peer == 0 and (name := _peer_name(ev)):
        yield _no(
            ev,
            "dead_peer",
            f"is connected to {_printable(name)}, which is closed",
            "getpeername still names it, and a socket of that name would have to be made to connect to",
            "connect it anew, or close it",
        )
    elif seen.peer and peer is None:
        there = _all(ev).get(seen.peer)
        if there is None or there.name is None or there.peer == seen.ino or there.name[:1] not in (b"/", b"\0"):
            yield _no(
                ev,
                "outside",
                f"is connected to a socket outside the tree (inode {seen.peer})",
                "that one has no name to connect to again, or is connected to this one",
                "dump the tree that holds both ends, or close the socket",
            )
    elif other is not None and other.name is None and not mutual:
        yield _no(
            ev,
            "oneway",
            "is connected to an unnamed socket that is not connected to it",
            "an unnamed datagram socket can only be reached by the other half of its socketpair; unix(7)",
            "close the socket",
        )


def _printable(name: bytes) -> str:
    return files.shown(b"@" + name[1:] if name[:1] == b"\0" else name)


def _shown(seen: UnixSocket) -> str:
    return _printable(seen.name or b"")


def _contents(ev: FileEvidence, seen: UnixSocket) -> Iterator[Verdict]:
    waiting = ev.info.get("scm_fds")
    if waiting is None:
        yield from _unseen_descriptors(ev)
    elif int(waiting):
        yield _no(
            ev,
            "rights",
            f"has {int(waiting)} descriptors in its queue (SCM_RIGHTS)",
            "open files that only a message in flight holds are not carried; unix(7)",
            "let the program receive them and retry",
        )
        return
    events = ev.borrowed.poll(sockets.POLLPRI)
    if events & sockets.POLLPRI:
        yield _no(
            ev,
            "oob",
            "has out-of-band data in its queue",
            "its place in the stream cannot be read without taking it; Linux net/unix/af_unix.c unix_stream_recv_urg",
            "let the program read it and retry",
        )
    if events & sockets.POLLERR and seen.type != STREAM:
        yield _no(
            ev,
            "error",
            "has an error to report (its peer closed with data unread, or connected elsewhere)",
            "reading the queue of such a socket would take the error away; Linux net/core/datagram.c __skb_try_recv_datagram",
            "let the program see the error and retry",
        )
    elif sockets.stopped(ev) and not events & sockets.POLLPRI:
        yield from _messages_verdicts(ev, seen)


def _unseen_descriptors(ev: FileEvidence) -> Iterator[Verdict]:
    # before 3c32da19a858 ("unix: Show number of pending scm files of receive queue in fdinfo") (v5.6)
    from holdfast.kinds.contract import Unchecked  # no kernel that Holdfast supports comes here

    yield Unchecked("sock.unix", f"{ev.where}: descriptors in its queue", "this kernel does not show scm_fds in fdinfo")


def _messages_verdicts(ev: FileEvidence, seen: UnixSocket) -> Iterator[Verdict]:
    messages = _queue_once(ev, seen)
    for message in messages:
        if message.process is not None and message.process.startswith("outside:"):
            yield _no(
                ev,
                "credentials",
                f"holds a message with the credentials of process {message.process[8:]}, which is not in the tree",
                "credentials are attached by their own process, or in the name of one that exists; unix(7) SCM_CREDENTIALS",
                "let the program receive it and retry",
            )
            break
    if seen.type == DGRAM and messages:
        yield from _sender_verdicts(ev, seen, messages)
    if seen.type != STREAM and _hides(ev, seen, messages):
        yield _no(
            ev,
            "hidden",
            "holds a message of no bytes that was looked at before",
            "a look by SO_PEEK_OFF passes such a message, so its place in the queue cannot be seen; Linux net/core/datagram.c"
            " __skb_try_recv_from_queue",
            "let the program receive it and retry",
        )
    if seen.type != STREAM and any(not m.data for m in messages) and socket_options.options(ev) and _peeks(ev):
        yield _no(
            ev,
            "peek",
            "looks ahead in its queue (SO_PEEK_OFF), which holds a message of no bytes",
            "whether that one was passed already cannot be read; Linux net/core/datagram.c __skb_try_recv_from_queue",
            "let the program receive it and retry",
        )


def _peeks(ev: FileEvidence) -> bool:
    return any(o.name == "SO_PEEK_OFF" for o in socket_options.options(ev))


def _sender_verdicts(ev: FileEvidence, seen: UnixSocket, messages: Iterable[Message]) -> Iterator[Verdict]:
    senders = {m.sender for m in messages}
    peer = _peer(ev, seen)
    if peer is not None and sockets.maker(ev) is not None:
        other = _diag(peer)
        known = {(other.name or b"") if other is not None else b""}
    elif seen.name is None:
        known = set()
    else:
        mine = {sockets.inode(f): f for f in ev.tree.files if detect(f) is not None}
        names = (_diag(f) for f in mine.values())
        known = {b"", *(s.name for s in names if s is not None and s.name is not None and s.type == DGRAM)}
    for sender in sorted(senders - known):
        yield _no(
            ev,
            "sender",
            f"holds a datagram from {_printable(sender) or 'a socket that is not its peer'}, which cannot be sent again",
            "its sender is not in the tree, or the socket has no name to send to",
            "let the program receive it and retry",
        )


# --- dump


def dump(ev: FileEvidence) -> Unix:
    seen = _diag(ev)
    assert seen is not None
    peer = _peer(ev, seen)
    accepted = _accepted(ev, seen)
    source = _listener(ev, seen) if accepted else None
    listener = None if source is None else sockets.by_inode(ev.tree)[source.ino].id
    outside = seen.type == DGRAM and bool(seen.peer) and peer is None
    uid, gid = files.owner(ev.process, ev.stat)
    filled = peer is not None and (other := _diag(peer)) is not None and bool(_queue_once(peer, other))
    return Unix(
        type=sockets.TYPES[seen.type],
        flags=files.names(ev.flags),
        name=_name(ev, seen),
        listening=seen.state == LISTENING,
        backlog=seen.wqueue if seen.state == LISTENING else 0,
        peer=None if peer is None else peer.id,
        peer_gone=_gone(seen),
        peer_name=_peer_name(ev) if outside else b"",
        accepted=accepted,
        listener=listener,
        reset=bool(ev.borrowed.poll(0) & sockets.POLLERR),
        shutdown=tuple(word for word, bit in (("read", READ), ("write", WRITE)) if seen.shutdown & bit),
        maker=_maker(ev, seen, peer),
        queue=_queue_once(ev, seen),
        # filling the peer's queue may take a larger buffer for a moment, so the size has to be told whatever it is
        options=socket_options.options(ev, also=("SO_SNDBUF", "SO_BUF_LOCK") if filled else ()),
        uid=uid,
        gid=gid,
        mode=S_IMODE(ev.stat.st_mode),
    )


# --- restore


def _group(rec: Unix) -> str:
    return "unix"  # names, senders and peers tie any two of them together


def restore(rec: Unix, steps: Steps) -> None:
    Making(steps).run()


def compare(before: Unix, after: Unix, where: ObjectId) -> Iterator[Difference]:
    # whom nobody in the tree is, nobody can be made to be
    ignore = ("maker",) if before.maker is not None and before.maker.process is None else ()
    return compare_fields("sock.unix", where, before, after, ignore)


KIND = Kind("sock.unix", record=Unix, subject="file", claims=True, watches=WATCHES, verbs=verbs(__name__), group=_group)
