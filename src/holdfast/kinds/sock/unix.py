"""sock.unix: an AF_UNIX socket: one end of a pair or of a connection within the tree, a listener, or a loose one.

Carries:  type (stream, seqpacket, datagram), queued data both ways with its boundaries, senders' names and attached credentials, shut
          down directions, a peer that is gone and the ECONNRESET that it left, the name (a path, its file's mode and owner; an abstract
          name; none), backlog, SO_PEERCRED and SO_PEERGROUPS where the process they name is in the tree, owner and mode of the
          socket, a datagram socket's connection to a named socket outside, status flags, every socket option that can be read
          and set (kernel/uapi/sockopts.py), classic BPF filter.
Loses:    SO_PEERCRED's pid where the process it names is gone or outside the tree (it becomes the first holder's); the name that
          getpeername gives of a peer that is gone; the inode of a path's socket file, its number and times; the kernel's own overhead in
          SIOCOUTQ; the security label of queued data; a message of no bytes at the end of the queue of a seqpacket socket that was shut
          down; an urgent byte that was taken (MSG_OOB) from behind all that waits in a stream, or from where credentials change, and that
          ends a read there, where live kernel structs may not be read; where a datagram's sender is not the other end of a pair: a message
          of no bytes, behind others in the queue, that somebody has looked at (MSG_PEEK) before; SO_COOKIE; what kinds/socket_options.py
          lists.
Sources:  unix(7), socket(7), sock_diag(7), proc_pid_fdinfo(5), Linux net/unix/af_unix.c, net/unix/diag.c.
"""

from __future__ import annotations

from stat import S_IMODE

from holdfast.kinds import files, socket_options, sockets, unix_facts
from holdfast.kinds.contract import Claim, FdinfoKey, Kind, Link, Loss, Refusal, Struct, compare_fields, verbs
from holdfast.kinds.socket_options import Option  # noqa: TC001 - image.schema finds a field's class by its name here
from holdfast.kinds.sockets import DGRAM, STREAM, Maker
from holdfast.kinds.unix_facts import CONNECTED, LISTENING, READ, WRITE
from holdfast.kinds.unix_steps import Making, Message, Name
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.kernel.sockdiag import UnixSocket
    from holdfast.kinds.contract import Difference, Probes, Steps, Verdict
    from holdfast.kinds.evidence import FileEvidence
    from holdfast.model.ids import ObjectId


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


def detect(ev: FileEvidence) -> Claim | None:
    if not unix_facts.is_unix(ev) or files.inherited(ev):
        return None
    sort = sockets.identity(ev)
    return Claim("unix" if sort is None else f"unix {sockets.TYPES[sort[1]]}")


# --- verdicts


def refuse(ev: FileEvidence, kernel: Probes) -> Iterator[Verdict]:
    unreachable = list(sockets.unreachable_namespace(ev, "sock.unix"))
    if unreachable:
        yield from unreachable
        return
    seen = unix_facts.seen_by_kernel(ev)
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
    name = unix_facts.name_of(ev, seen)
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
    elif not name.file and unix_facts.is_replaced(ev, name.name):
        yield _no(
            ev,
            "replaced",
            f"is bound to {shown}, where something else is now",
            "a restore would have to put its socket file in the place of that; bind(2) EADDRINUSE",
            f"remove {shown}, or close the socket",
        )
    elif not name.file and unix_facts.shares_a_path(ev, name.name):
        yield _no(
            ev,
            "shared",
            f"was bound to {shown}, and so was another socket of the tree, whose file it may be now",
            "only listeners and sockets that were never connected are bound to one path after each other; bind(2) EADDRINUSE",
            "close the socket",
        )


def _ends(ev: FileEvidence, seen: UnixSocket) -> Iterator[Verdict]:
    peer = unix_facts.peer_of(ev, seen)
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
    elif seen.state == CONNECTED and peer is None and not unix_facts.peer_is_gone(seen):
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
    made, now = sockets.maker(ev), unix_facts.maker_to_be(ev, seen, peer)
    if made is not None and (made.process is None or made != now):
        yield Loss("sock.unix", ev.id, "SO_PEERCRED will name another process", "the one it names is not in the tree, or listens no more")


def _stream_ends(ev: FileEvidence, seen: UnixSocket, peer: FileEvidence | None) -> Iterator[Verdict]:
    listener = unix_facts.listener_of(ev, seen)
    if listener is not None and listener.ino not in sockets.by_inode(ev.tree):
        yield _no(
            ev,
            "listener_outside",
            f"was accepted from {_shown(seen)}, which a process outside the tree listens on",
            "only a listener of that name can make such a socket, and the name is taken; unix(7)",
            "dump the listening process with it",
        )
    other = None if peer is None else unix_facts.seen_by_kernel(peer)
    if (
        other is not None
        and seen.name is not None
        and other.name is not None
        and listener is None
        and unix_facts.listener_of(ev, other) is None
    ):
        yield _no(
            ev,
            "ambiguous",
            f"and its peer are both named ({_shown(seen)}, {_shown(other)}) and neither listener is there any more",
            "which of the two was accepted decides how they are made again, and no interface tells",
            "close the connection",
        )
    if unix_facts.peer_is_gone(seen) and not unix_facts.was_accepted(ev, seen) and (name := unix_facts.peer_name(ev)):
        yield Loss("sock.unix", ev.id, f"getpeername will not name {_printable(name)}", "the peer is gone")


def _datagram_ends(ev: FileEvidence, seen: UnixSocket, peer: FileEvidence | None) -> Iterator[Verdict]:
    other = None if peer is None else unix_facts.seen_by_kernel(peer)
    mutual = other is not None and other.peer == seen.ino
    if sockets.maker(ev) is not None and not mutual and seen.peer != 0:
        yield _no(
            ev,
            "apart",
            "is half of a socketpair and was connected elsewhere, or disconnected",
            "it keeps the credentials that only socketpair gives it, and the other half keeps its connection to it; unix(7)",
            "close the socket",
        )
    elif seen.peer == 0 and (name := unix_facts.peer_name(ev)):
        yield _no(
            ev,
            "dead_peer",
            f"is connected to {_printable(name)}, which is closed",
            "getpeername still names it, and a socket of that name would have to be made to connect to",
            "connect it anew, or close it",
        )
    elif seen.peer and peer is None:
        there = unix_facts.all_of_namespace(ev).get(seen.peer)
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
    messages = unix_facts.queue(ev, seen)
    if seen.type == STREAM and seen.state == CONNECTED and unix_facts.is_marked(ev, messages):
        yield _no(
            ev,
            "mark",
            "has a queue out of which an urgent byte was taken (MSG_OOB)",
            "a read still ends at its place, which a copy of the bytes has not; Linux net/unix/af_unix.c manage_oob",
            "let the program read on and retry",
        )
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
    if seen.type != STREAM and unix_facts.hides(ev, seen, messages):
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
    peer = unix_facts.peer_of(ev, seen)
    if peer is not None and sockets.maker(ev) is not None:
        other = unix_facts.seen_by_kernel(peer)
        known = {(other.name or b"") if other is not None else b""}
    elif seen.name is None:
        known = set()
    else:
        mine = {sockets.inode(f): f for f in ev.tree.files if unix_facts.is_unix(f)}
        names = (unix_facts.seen_by_kernel(f) for f in mine.values())
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
    seen = unix_facts.seen_by_kernel(ev)
    assert seen is not None
    peer = unix_facts.peer_of(ev, seen)
    accepted = unix_facts.was_accepted(ev, seen)
    source = unix_facts.listener_of(ev, seen) if accepted else None
    listener = None if source is None else sockets.by_inode(ev.tree)[source.ino].id
    outside = seen.type == DGRAM and bool(seen.peer) and peer is None
    uid, gid = files.owner(ev.process, ev.stat)
    filled = peer is not None and (other := unix_facts.seen_by_kernel(peer)) is not None and bool(unix_facts.queue(peer, other))
    return Unix(
        type=sockets.TYPES[seen.type],
        flags=files.names(ev.flags),
        name=unix_facts.name_of(ev, seen),
        listening=seen.state == LISTENING,
        backlog=seen.wqueue if seen.state == LISTENING else 0,
        peer=None if peer is None else peer.id,
        peer_gone=unix_facts.peer_is_gone(seen),
        peer_name=unix_facts.peer_name(ev) if outside else b"",
        accepted=accepted,
        listener=listener,
        reset=bool(ev.borrowed.poll(0) & sockets.POLLERR),
        shutdown=tuple(word for word, bit in (("read", READ), ("write", WRITE)) if seen.shutdown & bit),
        maker=unix_facts.maker_to_be(ev, seen, peer),
        queue=unix_facts.queue(ev, seen),
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
