"""What the names and queues of AF_UNIX sockets are, and the steps that make all such sockets of an image again.

Names, senders and peers tie any two unix sockets of an image together, so they are made as one group. The order: connections whose listener
is gone borrow its name for a moment; then listeners and single sockets; then connections that come out of those listeners; then pairs;
then datagram sockets that no socketpair made. Data goes in before any option that would change it (credentials, filters).
Beside kinds/sock/unix.py only for its length: that file knows what such a socket is, this one how to make it.
"""

from __future__ import annotations

from holdfast.kinds import files, socket_options, sockets
from holdfast.kinds.sockets import SEQPACKET, SOL_SOCKET
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Block, Out, Word
from holdfast.prog.call import Struct as Pointers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.kinds.contract import Part, Steps
    from holdfast.kinds.sock.unix import Unix
    from holdfast.kinds.socket_options import Option
    from holdfast.kinds.sockets import Maker
    from holdfast.model.ids import ObjectId
    from holdfast.prog.call import Arg

MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
SCM_CREDENTIALS = 2
NONBLOCK, NOFOLLOW, O_PATH = 0o4000, 0o400000, 0o10000000
AF_UNIX = (1).to_bytes(2, "little")
ENXIO, ECONNREFUSED = 6, 111
S_IFSOCK = 0o140000
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
LONGEST = 108  # sizeof sun_path
CHUNK = 1 << 16
AROUND = 4093  # bytes by which an accepted connection is known to be ours
HUGE = 1 << 29
# options that an accepted socket takes from its listener: number, default
PASSING = {"SO_PASSCRED": (16, 0), "SO_PASSSEC": (34, 0), "SO_PASSPIDFD": (76, 0), "SO_PASSRIGHTS": (83, 1)}


class Name(Record):
    """The name of a socket as bind took it: a path, or an abstract name with its leading NUL.

    Shape:   `file`: the path still leads to the socket; `mode` and owner are that file's; `folder` is what a relative path starts from
    """

    name: bytes
    file: bool = False
    mode: int = 0
    uid: int = 0
    gid: int = 0
    folder: bytes = b""


class Message(Record):
    """What one receive gives, or a run of a stream's bytes; credentials only where the sender attached some."""

    data: bytes
    sender: bytes = b""  # the name of a datagram's sender
    process: ObjectId | None = None
    uid: int = 0
    gid: int = 0


class Making:
    """All unix sockets of an image, made in an order in which each finds what it needs."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.all: dict[ObjectId, Unix] = {e.id: e.record for e in steps.mates}
        self.done: set[ObjectId] = set()
        self.turns: dict[bytes, int] = {}  # how many parts have used a name for a moment: they take turns, and its owner comes last

    def run(self) -> None:
        """Emit the parts, in the order that the module says."""
        loose = [me for me, rec in self.all.items() if rec.type == "SOCK_DGRAM" and not self._born_in_pair(rec)]
        for me, rec in self.all.items():
            if rec.accepted and self._temporary(rec):
                self.connection(me, rec)
        alone = [(me, r) for me, r in self.all.items() if r.listening or (r.type != "SOCK_DGRAM" and r.peer is None and not r.peer_gone)]
        for me, rec in sorted(alone, key=lambda one: not is_unlinked(one[1].name)):
            self.single(me, rec)
        for me, rec in self.all.items():
            if rec.accepted and me not in self.done:
                self.connection(me, rec)
        for me, rec in self.all.items():
            if me not in self.done and me not in loose:
                self.pair(me, rec)
        if loose:
            self.datagrams(loose)

    def _born_in_pair(self, rec: Unix) -> bool:
        return rec.maker is not None and (rec.peer is not None or rec.peer_gone)

    def _temporary(self, rec: Unix) -> bool:
        # no listener of the image that can still be reached by its name
        if rec.listener is None:
            return True
        name = self.all[rec.listener].name
        return name is None or not (name.file or name.name[:1] == b"\0")

    def part(self, me: ObjectId, who: Maker | None, needs: Iterable[str] = (), gives: Iterable[str] = ()) -> Part:
        """A part in the process that the other end names as its maker, or else in the first holder."""
        task = who.process if who is not None and who.process is not None else self.steps.holders(me)[0][0]
        return self.steps.part(task=task, needs=("born", "caps", "limits", "paths", *needs), gives=gives)

    def last_turn(self, name: Name | None) -> tuple[str, ...]:
        """The key of the last part that used a name for a moment."""
        turn = 0 if name is None else self.turns.get(name.name, 0)
        return (f"unix-name:{name.name.hex()}:{turn}",) if name is not None and turn else ()

    def next_turn(self, name: Name) -> tuple[str, ...]:
        """The key of one more part that uses a name for a moment."""
        turn = self.turns[name.name] = self.turns.get(name.name, 0) + 1
        return (f"unix-name:{name.name.hex()}:{turn}",)

    def replaces(self, name: Name) -> bool:
        """Whether a socket file of that name may be there that belongs to another socket of the image."""
        return any(rec.name is not None and rec.name.file and rec.name.name == name.name for rec in self.all.values())

    def senders(self, *records: Unix | None) -> tuple[str, ...]:
        """Keys: processes in whose name something is sent must be there."""
        names = {m.process for rec in records if rec is not None for m in rec.queue if m.process is not None}
        return tuple(self.steps.key("born", p) for p in sorted(names))

    # --- one socket

    def single(self, me: ObjectId, rec: Unix) -> None:
        """A listener, or a socket without a peer."""
        name = rec.name
        needs, gives = self.last_turn(name), self.next_turn(name) if name is not None and is_unlinked(name) else ()
        part = self.part(me, rec.maker, needs=needs, gives=gives)
        fd = _socket(part, rec)
        if name is not None:
            _bind(part, fd, name, self.replaces(name))
        socket_options.set_options(part, fd, rec.options, _EARLY)
        if rec.listening:
            back = sockets.act_as(part, rec.maker) if rec.maker is not None else None
            part.call("listen", fd, rec.backlog)
            if back is not None:
                back()
        if name is not None and is_unlinked(name):
            _unlink(part, name)
        _shut(part, fd, rec)
        self.finish(part, me, rec, fd)

    # --- two sockets

    def pair(self, me: ObjectId, rec: Unix) -> None:
        """A socketpair, or the half of one."""
        other_id = rec.peer
        other = self.all[other_id] if other_id is not None else None
        part = self.part(me, rec.maker, self.senders(rec, other))
        fds = Out(8)
        back = sockets.act_as(part, rec.maker) if rec.maker is not None else None
        part.call("socketpair", 1, sockets.NUMBERS[rec.type] | sockets.CLOEXEC, 0, fds)
        if back is not None:
            back()
        one, two = Word(fds, 0), Word(fds, 4)
        for fd, end in ((one, rec), (two, other)):
            if end is not None and end.name is not None:
                _bind(part, fd, end.name)
                if is_unlinked(end.name):
                    _unlink(part, end.name)
        self.both(part, me, rec, one, other_id, other, two)

    def connection(self, me: ObjectId, rec: Unix) -> None:
        """A connection that was accepted: its name is its listener's, so it has to come out of accept again."""
        assert rec.name is not None
        client_id = rec.peer
        client = self.all[client_id] if client_id is not None else None
        temporary = self._temporary(rec)
        needs = self.last_turn(rec.name) if temporary else ()
        part = self.part(me, rec.maker, (*needs, *self.senders(rec, client)), self.next_turn(rec.name) if temporary else ())
        if temporary:
            listener: Arg = _socket(part, rec)
            _bind(part, listener, rec.name, self.replaces(rec.name))
            back = sockets.act_as(part, client.maker) if client is not None and client.maker is not None else None
            part.call("listen", listener, 1)
            if back is not None:
                back()
            inherited: tuple[Option, ...] = ()
        else:
            assert rec.listener is not None
            listener = part.slot(rec.listener)
            inherited = self.all[rec.listener].options
        two = _socket(part, rec)
        if client is not None and client.name is not None:
            _bind(part, two, client.name)
            if is_unlinked(client.name):
                _unlink(part, client.name)
        back = sockets.act_as(part, rec.maker) if rec.maker is not None else None
        _to_name(part, rec.name, "connect", two)
        if back is not None:
            back()
        one = part.call("accept4", listener, 0, 0, sockets.CLOEXEC)
        for option in inherited:
            # Linux net/unix/af_unix.c unix_sock_inherit_flags: what is queued below must not get credentials by itself
            if option.name in PASSING:
                number, default = PASSING[option.name]
                part.call("setsockopt", one, SOL_SOCKET, number, default.to_bytes(4, "little"), 4)
        # a stranger may have been faster: then these bytes do not come out of what was accepted
        part.call("sendto", two, bytes(AROUND), AROUND, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0, check=AROUND)
        part.call("recvfrom", one, Out(AROUND), AROUND, MSG_DONTWAIT, 0, 0, check=AROUND)
        if temporary:
            part.call("close", listener)
            if is_unlinked(rec.name):
                _unlink(part, rec.name)
        self.both(part, me, rec, one, client_id, client, two)

    def both(self, part: Part, me: ObjectId, rec: Unix, one: Arg, other_id: ObjectId | None, other: Unix | None, two: Arg) -> None:
        """Fill the queues of two connected sockets, shut down, close, set options, hand over."""
        self.fill(part, two, rec)
        if other is not None:
            self.fill(part, one, other)
        if rec.peer_gone:
            if rec.reset:
                part.call("sendto", one, b"\0", 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0, check=1)
            part.call("close", two)
        if rec.type == "SOCK_DGRAM" or not rec.peer_gone:
            _shut(part, one, rec)
            if other is not None:
                _shut(part, two, other)
        for end_id, end, fd in ((me, rec, one), (other_id, other, two)):
            if end is not None and end_id is not None:
                socket_options.set_options(part, fd, end.options, _EARLY)
                self.finish(part, end_id, end, fd)

    def fill(self, part: Part, sender: Arg, rec: Unix) -> None:
        """Send what a record's queue holds, through the other end."""
        if not rec.queue:
            return
        _enlarge(part, sender)
        for message in rec.queue:
            _send(part, self.steps, sender, message, None, rec.type == "SOCK_STREAM")

    # --- datagram sockets that no socketpair made

    def datagrams(self, ids: list[ObjectId]) -> None:
        """All in one part: every name, then every queue (a connected socket takes datagrams of its peer alone), then connections."""
        turns = {key for me in ids for key in self.last_turn(self.all[me].name)}
        part = self.part(ids[0], None, needs=(*turns, *self.senders(*(self.all[me] for me in ids))))
        fds: dict[ObjectId, Arg] = {}
        by_name: dict[bytes, Arg] = {}
        for me in ids:
            rec = self.all[me]
            fd = fds[me] = _socket(part, rec)
            if rec.name is not None:
                _bind(part, fd, rec.name)
                by_name[rec.name.name] = fd
        for me in ids:
            rec = self.all[me]
            if not rec.queue or rec.name is None:
                continue
            stranger: Arg | None = None
            for message in rec.queue:
                sender = by_name.get(message.sender) if message.sender else stranger
                if sender is None:
                    sender = stranger = _socket(part, rec)
                    _enlarge(part, sender)
                _send(part, self.steps, sender, message, rec.name, False)
            if stranger is not None:
                part.call("close", stranger)
        for me in ids:
            rec = self.all[me]
            target = rec.peer_name
            if rec.peer is not None and (name := self.all[rec.peer].name) is not None:
                _to_name(part, name, "connect", fds[me])
            elif target:
                _to_name(part, Name(target), "connect", fds[me])
        for me in ids:
            rec = self.all[me]
            if rec.name is not None and is_unlinked(rec.name):
                _unlink(part, rec.name)
            _shut(part, fds[me], rec)
            socket_options.set_options(part, fds[me], rec.options, _EARLY)
            self.finish(part, me, rec, fds[me])

    def finish(self, part: Part, me: ObjectId, rec: Unix, fd: Arg) -> None:
        """What must come after everything else, and the descriptor itself."""
        socket_options.set_options(part, fd, rec.options, ("late",))
        sockets.set_inode(part, fd, rec.uid, rec.gid, rec.mode)
        files.set_flags(part, fd, rec.flags)
        part.opened(fd, me)
        self.done.add(me)


_EARLY = ("bind", "set", "size", "linger")


def is_unlinked(name: Name | None) -> bool:
    """Whether it is a path that does not lead to the socket any more: unlinked, or another's by now."""
    return name is not None and name.name[:1] not in (b"", b"\0") and not name.file


def _socket(part: Part, rec: Unix) -> Arg:
    return part.call("socket", 1, sockets.NUMBERS[rec.type] | sockets.CLOEXEC, 0)


def _address(name: bytes) -> bytes:
    # a path of 108 bytes fills sun_path, and has no room for its end
    return AF_UNIX + name + (b"" if name[:1] == b"\0" or len(name) >= LONGEST else b"\0")


def _in_folder(part: Part, name: Name) -> Arg | None:
    # a relative name is kept by the kernel as it was given, so it has to be given from the same folder
    if not name.folder:
        return None
    here = part.call("openat", AT_FDCWD, b".\0", O_PATH | sockets.CLOEXEC, 0)
    part.call("chdir", name.folder + b"\0")
    return here


def _back(part: Part, here: Arg | None) -> None:
    if here is not None:
        part.call("fchdir", here)
        part.call("close", here)


def _to_name(part: Part, name: Name, call: str, fd: Arg) -> None:
    here = _in_folder(part, name)
    address = _address(name.name)
    part.call(call, fd, address, len(address))
    _back(part, here)


def _bind(part: Part, fd: Arg, name: Name, replace: bool = False) -> None:
    # A killed program leaves its socket file behind, and bind would fail. It is removed only where it is a socket that nobody is
    # bound to: a socket is made there if nothing is there (the result does not matter), then open must say that it is a socket
    # (ENXIO), and a connection of a sort that hardly any socket takes must be refused because nobody is bound to it; a
    # live socket answers EPROTOTYPE, and the restore ends here.
    path = name.name + b"\0"
    here = _in_folder(part, name)
    address = _address(name.name)
    if name.file or replace:
        part.call("mknod", path, S_IFSOCK | 0o600, 0, check=ANY)
        part.call("open", path, NOFOLLOW | NONBLOCK | sockets.CLOEXEC, 0, check=-ENXIO)
        probe = part.call("socket", 1, SEQPACKET | NONBLOCK | sockets.CLOEXEC, 0)
        part.call("connect", probe, address, len(address), check=-ECONNREFUSED)
        part.call("close", probe)
        part.call("unlink", path)
    part.call("bind", fd, address, len(address))
    if name.file:
        part.call("fchownat", AT_FDCWD, path, name.uid, name.gid, AT_SYMLINK_NOFOLLOW)
        part.call("fchmodat", AT_FDCWD, path, name.mode)
        part.made(name.folder + b"/" + name.name if name.folder else name.name)
    _back(part, here)


def _unlink(part: Part, name: Name) -> None:
    here = _in_folder(part, name)
    part.call("unlink", name.name + b"\0")
    _back(part, here)


def _shut(part: Part, fd: Arg, rec: Unix) -> None:
    for how, word in enumerate(("read", "write")):
        if word in rec.shutdown:
            part.call("shutdown", fd, how)


def _enlarge(part: Part, fd: Arg) -> None:
    # the queue may have been filled while the buffer was larger, or in pieces that cost less; the size is put back with the options
    socket_options.set_size(part, fd, socket_options.SO_SNDBUF, HUGE)


def _send(part: Part, steps: Steps, fd: Arg, message: Message, to: Name | None, stream: bool) -> None:
    here = _in_folder(part, to) if to is not None else None
    address = _address(to.name) if to is not None else b""
    size = CHUNK if stream else max(len(message.data), 1)
    for at in range(0, max(len(message.data), 1), size):
        data = message.data[at : at + size]
        if message.process is None:
            part.call("sendto", fd, data or b"\0", len(data), MSG_DONTWAIT | MSG_NOSIGNAL, address or 0, len(address), check=len(data))
            continue
        nspid = int(steps.record_of(message.process, "task.process").nspid)
        control = (28).to_bytes(8, "little") + SOL_SOCKET.to_bytes(4, "little") + SCM_CREDENTIALS.to_bytes(4, "little")
        control += b"".join(n.to_bytes(4, "little") for n in (nspid, message.uid, message.gid)) + bytes(4)
        iov = Pointers(Block(data or b"\0"), len(data).to_bytes(8, "little"))
        header = Pointers(
            Block(address) if address else bytes(8),
            len(address).to_bytes(8, "little"),
            iov,
            (1).to_bytes(8, "little"),
            Block(control),
            len(control).to_bytes(8, "little"),
            bytes(8),
        )
        part.call("sendmsg", fd, header, MSG_DONTWAIT | MSG_NOSIGNAL, check=len(data))
    _back(part, here)
