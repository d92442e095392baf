"""State in use that a dump refuses and that shows in the kernel's own structs only, for the tasks of a dump.

The table of predicates is the ledger's (kernel/state/predicates.py); what each struct is reached by is here. A field that this kernel
lacks is not in use.
"""

from __future__ import annotations

import os

from holdfast.kernel.state import addresses, credentials, descriptors, sockets, tasks
from holdfast.kernel.state.predicates import NEWEST, PREDICATES
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holdfast.kernel.state.snapshot import Reader
    from holdfast.kernel.state.walk import Walk

    Test = tuple[tuple[str, ...], str, int]

_LAST_POINTER = (1 << 64) - 4097  # above are errors that are stored as pointers
# structs that start with a struct sock: a predicate of `sock` is asked of all of them
_SOCKS = ("unix_sock", "udp_sock", "tcp_sock", "netlink_sock")


class InUse(Record):
    """One thing in use that no dump can carry.

    Shape:   `pid` and `tid` are as the caller gave and sees them; `what` names the descriptor or area, where it is one
    """

    pid: int
    tid: int
    struct: str
    field: str
    what: str
    why: str
    source: str
    do: str


def in_use(reader: Reader, of: Mapping[str, int]) -> tuple[InUse, ...]:
    """What the named processes use that the ledger refuses, as live kernel structs show it, every thread and descriptor of each.

    Raises:  ProcessLookupError: one of them is no more
    """
    asking = _Asking(reader.walk())
    space, level = tasks.namespace(asking.walk)
    asking.reader_is(space)
    for pid in of.values():
        try:
            asking.process(pid, tasks.task_of(asking.walk, space, pid), level)
        except ProcessLookupError:
            raise
        except OSError as cause:
            raise ProcessLookupError(pid) from cause
    return tuple(asking.found)


def unasked(reader: Reader) -> tuple[str, ...]:
    """The predicates that cannot be asked here, as `struct.field`: in_use says nothing about them, and nobody may take that for a no.

    Shape:   sorted; a field that a known kernel lacks is not in use there, one that a newer kernel lacks may have another name
    """
    walk = reader.walk()
    credentials.landlock_offset(walk)
    credentials.landlock_file_offset(walk)
    blobs = ("landlock_cred_security", "landlock_file_security") if credentials.landlock_is_unknown() else ()
    newer = _version() > NEWEST
    knows = walk.layouts.knows
    return tuple(sorted({
        f"{row[2]}.{row[3]}".rstrip(".")
        for row in PREDICATES
        if row[0] in blobs or (newer and not all(knows(part) for test in row[1] for part in test[0]))
    }))  # fmt: skip


def _version() -> tuple[int, ...]:
    numbers = os.uname().release.split("-")[0].split(".")[:2]
    return tuple(int("".join(c for c in number if c.isdigit()) or 0) for number in numbers)


class _Asking:
    # one round of questions; an object that was asked about once is not asked again
    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.found: list[InUse] = []
        self._seen: set[int] = set()
        self._own: dict[str, int] = {}  # the reader's namespaces
        self._pid = self._tid = 0
        self._table: dict[str, list[tuple[list[Test], int]]] = {}
        knows = walk.layouts.knows
        for n, row in enumerate(PREDICATES):
            tests = [test for test in row[1] if all(knows(part) for part in test[0])]
            if tests:
                self._table.setdefault(row[0], []).append((tests, n))

    def reader_is(self, space: int) -> None:
        # nothing of the reader's own namespaces is in use by anybody in particular
        current = self.walk.field(self.walk.memory.current(), "task_struct.cred")
        self._own = {"pid_namespace": space, "user_namespace": self.walk.field(current, "cred.user_ns")}
        self._seen.update(self._own.values())

    def process(self, pid: int, leader: int, level: int) -> None:
        field = self.walk.field
        self._pid = pid
        for tid, task in tasks.threads(self.walk, leader, level):
            self._tid = tid
            self._task(task)
        self._tid = pid
        self.ask("signal_struct", field(leader, "task_struct.signal"))
        self.ask("fpu", tasks.fpu_of(self.walk, leader))
        self.ask("pid_namespace", tasks.namespace_of(self.walk, leader))
        if mm := field(leader, "task_struct.mm"):
            self.ask("mm_struct", mm)
            self._areas(mm)
        if files := field(leader, "task_struct.files"):
            self._files(files)

    def _task(self, task: int) -> None:
        layouts, field = self.walk.layouts, self.walk.field
        try:
            self.ask("task_struct", task)
            self.ask("thread_struct", task + layouts.at("task_struct.thread"))
            cred = field(task, "task_struct.cred")
            self.ask("cred", cred)
            self.ask("user_namespace", field(cred, "cred.user_ns"))
            offset = credentials.landlock_offset(self.walk)
            if offset is not None and (blob := field(cred, "cred.security")):
                self.ask("landlock_cred_security", blob + offset)
        except OSError:
            return  # a thread that ended meanwhile uses nothing

    def _areas(self, mm: int) -> None:
        if "vm_area_struct" not in self._table:
            return
        start = self.walk.layouts.at("vm_area_struct.vm_start")
        for area in addresses.areas(self.walk, mm):
            try:
                self.ask("vm_area_struct", area, start=area + start)
            except OSError:
                continue  # unmapped meanwhile

    def _files(self, files: int) -> None:
        walk = self.walk
        rights = credentials.landlock_file_offset(walk)
        for fd, file, _ in descriptors.open_files(walk, walk.field(files, "files_struct.fdt")):
            try:
                self._file(file, f"descriptor {fd}: ", rights)
            except OSError:
                continue  # closed meanwhile

    def _file(self, file: int, what: str, rights: int | None) -> None:
        walk = self.walk
        if rights is not None and (blob := walk.field(file, "file.f_security")):
            self.ask("landlock_file_security", blob + rights, what)
        kind, _ = descriptors.kind_of(walk, file)
        if kind == "socket":
            sock = walk.number(walk.field(file, "file.private_data") + walk.layouts.at("socket.sk"))
            if sock and sock not in self._seen:
                struct = sockets.struct_of(walk, sock)
                self.ask("sock", sock, what)
                if struct in _SOCKS and struct in self._table:
                    self._seen.discard(sock)
                    self.ask(struct, sock, what)
                if struct == "unix_sock" and walk.layouts.knows("unix_skb_parms.consumed"):
                    for message, unread in sockets.stream(walk, sock):
                        if not unread:
                            self.ask("sk_buff", message, what)
                elif struct in ("tcp_sock", "udp_sock"):
                    self._seen.discard(sock)
                    self.ask("inet_sock", sock, what)
        elif kind == "tty":
            self.ask("tty_struct", descriptors.tty_of(walk, file), what)
        elif kind == "pipe":
            if (pipe := walk.field(file, "file.private_data")) not in self._seen:
                self._seen.add(pipe)
                for buffer in descriptors.shared_buffers(walk, pipe)[:1]:
                    self.ask("pipe_buffer", buffer, what)
        elif kind == "shmem":
            self.ask("shmem_inode_info", walk.field(file, "file.f_inode") - walk.layouts.at("shmem_inode_info.vfs_inode"), what)
        elif not kind:
            for mark in descriptors.dnotify_marks(walk, file):
                self.ask("dnotify_mark", mark, what)

    def ask(self, struct: str, address: int, what: str = "", start: int = 0) -> None:
        """Every predicate that starts from a struct, of the object at an address; `start` is where an area's start is."""
        rows = self._table.get(struct)
        if not rows or not address or address in self._seen:
            return
        self._seen.add(address)
        for tests, n in rows:
            try:
                held = any(self._holds(test, address, struct) for test in tests)
            except OSError:
                continue  # what it points at went away meanwhile
            if held:
                _, _, name, field, shown, why, source, do = PREDICATES[n]
                named = f"area at {self.walk.number(start):#x}: " if start else what
                self.found.append(InUse(self._pid, self._tid, name, field, named + shown, why, source, do))

    def _holds(self, test: Test, address: int, struct: str) -> bool:
        parts, operator, number = test
        if operator == "exists":
            return True
        layouts = self.walk.layouts
        todo = [address]
        for part in parts[:-1]:
            todo = [one for at in todo for one in self._pointers(at, part) if one]
        place = parts[-1]
        for at in todo:
            here = at + layouts.at(place)
            data = self.walk.memory.read(here, layouts.size(place))
            value = layouts.value(place, data)
            if (
                (operator == "null" and value)
                or (operator == "!=" and value != number)
                or (operator == "&" and value & number)
                or (operator == "lacks" and number & ~value)
                or (operator == "own" and data != self.walk.memory.read(self._own[struct] + layouts.at(place), len(data)))
                or (operator == "empty" and int.from_bytes(data[:8], "little") not in {0, here})
                or (operator == "shared" and value and not credentials.shared_keyring(self.walk, value))
            ):
                return True
        return False

    def _pointers(self, address: int, part: str) -> Iterator[int]:
        # a field that is a pointer, or was an array of them in older kernels
        size = self.walk.layouts.size(part)
        data = self.walk.memory.read(address + self.walk.layouts.at(part), size)
        for i in range(0, size, 8):
            pointer = int.from_bytes(data[i : i + 8], "little")
            if pointer <= _LAST_POINTER:
                yield pointer
