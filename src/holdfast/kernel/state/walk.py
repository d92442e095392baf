"""The walk: from tasks along allow-listed edges, object by object, each decoded whole by its plan.

Objects are met breadth first, in the order of the fields, and named by the first edge that reaches them, so the names are the same
in two runs of one program. A pointer becomes the name of the object that it points at once the walk is over and all names are known.
The kernel runs on meanwhile: a pointer that went bad is a leaf `unreadable`, and a list has a longest length, so that a list that
changes under our hands cannot keep us.
"""

from __future__ import annotations

from holdfast.kernel.state.edges import ADDRESSES, EDGES, FIRST, LISTS, NAMESPACES, PID_NUMBERS, VALUES
from holdfast.kernel.state.plan import BITFIELD, BITS, BYTES, FUNCTION, HLIST, LIST, NUMBERS, POINTER, SIGNED, TEXT, TREE, UNSIGNED, raw
from holdfast.kernel.state.value import Leaf, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.kernel.state.layouts import Layouts
    from holdfast.kernel.state.memory import Memory
    from holdfast.kernel.state.plan import Row
    from holdfast.kernel.state.symbols import Symbols

    After = Callable[["Walk", int, bytes, str], None]

USER_END = 1 << 47  # addresses below are the program's own
_LONGEST = 65536  # elements of one list
_MOST_BYTES = 256  # a longer array of bytes is told by its digest
_DEEPEST_PATH = 64  # names from a dentry to its root


class Walk:
    """One snapshot on its way."""

    def __init__(
        self, memory: Memory, layouts: Layouts, symbols: Symbols, after: dict[str, After], kinds: dict[int, tuple[str, ...]]
    ) -> None:
        self.memory, self.layouts, self.symbols = memory, layouts, symbols
        self.kinds = kinds  # function names by the address of a table of operations
        self.leaves: dict[str, Leaf | None] = {}
        self.objects: dict[str, str] = {}
        self.gaps: set[str] = set()
        self.labels: dict[int, str] = {}  # every known object by address
        self.pids: dict[int, str] = {}  # struct pid to label
        self.numbers: dict[int, str] = {}  # process id of the initial namespace to label
        self.visible: dict[int, str] = {}  # process id of the innermost namespace to label
        self._after = after
        self._todo: list[tuple[int, str, str]] = []
        self._later: list[tuple[str, int, str, str, str]] = []

    # ---- what handlers use

    def number(self, address: int, size: int = 8) -> int:
        """An unsigned number in kernel memory.

        Raises:  OSError: no such memory
        """
        return int.from_bytes(self.memory.read(address, size), "little")

    def field(self, address: int, place: str) -> int:
        """A field of the table of places, of an object at this address.

        Raises:  OSError: no such memory; KeyError: this kernel has no such field
        """
        return self.number(address + self.layouts.at(place), min(self.layouts.size(place), 8))

    def put(self, path: str, value: int | str | bytes | None, struct: str, field: str, type_text: str = "") -> None:
        """One more leaf; a value in bytes that is long is told by its digest."""
        if isinstance(value, bytes) and len(value) > _MOST_BYTES:
            from hashlib import blake2b  # few objects have as many bytes

            value = f"{len(value)} bytes {blake2b(value, digest_size=16).hexdigest()}"
        self.leaves[path] = Leaf(path, value, struct, field, type_text)

    def reach(self, address: int, struct: str, path: str) -> None:
        """An object to decode, unless it has a name already; a struct that this kernel's types lack is a gap."""
        if address in self.labels or not address:
            return
        if not self.layouts.has(struct):
            self.gaps.add(struct)
            return
        if struct not in VALUES:
            self.labels[address] = path
        self.objects[path] = struct
        self._todo.append((address, struct, path))

    def also(self, address: int, struct: str, path: str) -> None:
        """A struct around an object that has a name already, at the same address: an inode with what its file system adds to it."""
        if not self.layouts.has(struct):
            self.gaps.add(struct)
        elif path not in self.objects:
            self.objects[path] = struct
            self._todo.append((address, struct, path))

    def text(self, address: int, most: int = 256) -> str:
        """The text at an address up to its zero byte."""
        try:
            data = self.memory.read(address, most)
        except OSError:
            data = self.memory.read(address, min(most, 4096 - (address & 4095)))
        return data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")

    def operations(self, address: int) -> tuple[str, ...]:
        """The functions that a table of operations names, in its order; empty where symbols have no names here."""
        known = self.kinds.get(address)
        if known is None:
            data = self.memory.read(address, self.layouts.size("file_operations"))
            words = (int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data) - 7, 8))
            known = self.kinds[address] = tuple(name for w in words if w >= USER_END and (name := self.symbols.name(w)))
        return known

    def later(self, path: str, address: int, struct: str, field: str, type_text: str) -> None:
        """A leaf whose value is the name of what is at an address, when all names are known."""
        self.leaves[path] = None
        self._later.append((path, address, struct, field, type_text))

    # ---- the walk

    def run(self) -> State:
        """Decode everything that was reached, and all that it leads to."""
        for address, struct, path in self._todo:  # which grows meanwhile
            self._object(address, struct, path)
        labels = self.labels
        for path, address, struct, field, type_text in self._later:
            label = labels.get(address)
            if self.leaves[path] is None:  # else a handler said more
                self.leaves[path] = Leaf(path, f"@{label}" if label else "set", struct, field, type_text)
        return State({path: leaf for path, leaf in self.leaves.items() if leaf is not None}, self.objects, tuple(sorted(self.gaps)))

    def _object(self, address: int, struct: str, path: str) -> None:
        plan = self.layouts.plan(struct)
        try:
            data = self.memory.read(address, plan.size)
        except OSError:
            self.put(path, "unreadable", struct, "", f"struct {struct}")
            return
        self.gaps.update(self.layouts.gaps(struct))
        leaves, dot = self.leaves, f"{path}."
        for row, value in zip(plan.plain, plan.numbers(data), strict=True):
            kind = row.kind
            if kind in {UNSIGNED, SIGNED}:
                name = dot + row.path
                leaves[name] = Leaf(name, self._plain(row, value), row.struct, row.field, row.type)
            else:
                self._pointer(row, value, dot + row.path)
        for row in plan.others:
            if not row.when or self._holds(row, data, plan.by_path):
                self._other(row, data, address, dot + row.path)
        handler = self._after.get(struct)
        if handler is not None:
            try:
                handler(self, address, data, path)
            except OSError:
                self.put(f"{path}!", "unreadable", struct, "", f"struct {struct}")
            except KeyError as lacking:
                self.gaps.add(str(lacking.args[0]))

    @staticmethod
    def _holds(row: Row, data: bytes, by_path: dict[str, Row]) -> bool:
        for name, operator, wanted in row.when:
            other = by_path.get(name)
            if other is None:
                continue
            value = raw(other, data)
            if (operator == "=" and value == wanted) or (operator == "<" and value < wanted) or (operator == ">=" and value >= wanted):
                return True
        return False

    def _plain(self, row: Row, value: int) -> int | str:
        if row.own in PID_NUMBERS:
            label = self.numbers.get(value)
            return f"@{label}" if label else value
        if row.own in ADDRESSES:
            return "set" if value else "null"
        return value

    def _other(self, row: Row, data: bytes, address: int, name: str) -> None:
        kind = row.kind
        if kind in {LIST, HLIST, TREE}:
            self._container(row, address, name)
        elif kind == BITS:
            value = raw(row, data)
            for bit in range(row.size * 8):
                if value >> bit & 1:
                    self.put(f"{name}[{bit}]", 1, row.struct, row.field, row.type)
        elif kind in {UNSIGNED, SIGNED, BITFIELD}:
            self.put(name, self._plain(row, raw(row, data)), row.struct, row.field, row.type)
        elif kind in {POINTER, FUNCTION}:
            self._pointer(row, raw(row, data), name)
        else:
            part = data[row.offset : row.offset + row.size]
            assert kind in {TEXT, BYTES, NUMBERS}
            value_text = part.split(b"\0", 1)[0].decode("utf-8", "backslashreplace") if kind == TEXT else part
            self.put(name, value_text, row.struct, row.field, row.type)

    def _pointer(self, row: Row, value: int, name: str) -> None:
        if not value or value < USER_END:
            self.put(name, value or "null", row.struct, row.field, row.type)
        elif row.kind == FUNCTION:
            self.put(name, self.symbols.name(value) or "set", row.struct, row.field, row.type)
        elif row.own in EDGES:
            target = EDGES[row.own] or row.target
            # an error that is stored as a pointer, or a tag in the low bits, is no object
            if value & 7 or value > (1 << 64) - 4096:
                self.put(name, "set", row.struct, row.field, row.type)
                return
            actual = self._actual(value, target)
            self.reach(value, actual, name)
            if actual in VALUES:
                self.put(name, "set", row.struct, row.field, row.type)
                return
            self.later(name, value, row.struct, row.field, row.type)
        else:
            try:
                known = self._told(row, value)
            except OSError:
                known = "unreadable"
            except KeyError:
                known = None
            if known is None:
                self.later(name, value, row.struct, row.field, row.type)
            else:
                self.put(name, known, row.struct, row.field, row.type)

    def _actual(self, address: int, target: str) -> str:
        if target != "sock":
            return target
        from holdfast.kernel.state.sockets import struct_of  # the sockets' own rule; it uses this module

        try:
            return struct_of(self, address)
        except (OSError, KeyError):
            return target

    def _told(self, row: Row, value: int) -> int | str | None:
        # what a pointer that is not followed says: a namespace by number, a path, a process
        target = row.target
        if row.own in ADDRESSES:
            return "set"
        if target in NAMESPACES:
            return self.field(value, f"{target}.inum")
        if target == "dentry":
            return self.path_of(value)
        if target == "pid":
            label = self.pids.get(value)
            return f"@{label}" if label else self._innermost(value)
        if target == "user_struct":
            return self.field(value, "user_struct.uid")
        if target == "file_operations":
            return " ".join(self.operations(value)[:6]) or "set"
        return None

    # The number of a struct pid in the namespace that it was made in: those further out are given anew.
    def _innermost(self, pid: int) -> int:
        at = self.layouts.at
        own = pid + at("pid.numbers") + self.number(pid + at("pid.level"), 4) * self.layouts.size("upid")
        return self.number(own + at("upid.nr"), 4)

    def path_of(self, dentry: int) -> str:
        """The path of a dentry from the root of its file system."""
        names: list[str] = []
        for _ in range(_DEEPEST_PATH):
            parent = self.field(dentry, "dentry.d_parent")
            if parent == dentry:
                break
            names.append(self.text(self.field(dentry, "dentry.d_name")))
            dentry = parent
        return "/" + "/".join(reversed(names))

    # ---- containers

    def _container(self, row: Row, address: int, name: str) -> None:
        head = address + row.offset
        known = LISTS.get(row.own)
        try:
            if known is None:
                first = self.number(head)
                empty = first in {0, head} or (row.target == "hlist_nulls_head" and first & 1)
                self.put(name, "empty" if empty else "linked", row.struct, row.field, row.type)
                return
            struct = next((one for one in known[0].split("|") if self.layouts.has(one)), known[0])
            key = known[2]
            offset = self.layouts.at(f"{struct}.{known[1]}")
            count = 0
            before = FIRST.get((self.objects.get(name[: -len(row.path) - 1], ""), row.own))
            links = [*self.elements(row.kind, address + self.layouts.at(before))] if before else []
            links += self.elements(row.kind, head)
            for count, element in enumerate(links, 1):
                each = element - offset
                inner = self.layouts.plan(struct).by_path.get(key) if key else None
                number = count - 1 if inner is None else self.number(each + inner.offset, inner.size)
                self.reach(each, struct, f"{name}[{number}]")
            self.put(name, count, row.struct, row.field, row.type)
        except OSError:
            self.put(name, "unreadable", row.struct, row.field, row.type)
        except KeyError:
            self.gaps.add(row.own)

    def elements(self, kind: str, head: int) -> Iterator[int]:
        """The links of a list, hash list or tree, in its order.

        Raises:  OSError: it came apart under our hands
        """
        if kind == TREE:
            yield from self._tree(self.number(head))
            return
        at, first = self.number(head), head
        for _ in range(_LONGEST):
            if at in {0, first} or at & 1:
                return
            yield at
            at = self.number(at)

    def _tree(self, root: int) -> Iterator[int]:
        # in order, without recursion; a tree that changes under our hands may repeat, so no more than _LONGEST
        left, right = self.layouts.at("rb_node.rb_left"), self.layouts.at("rb_node.rb_right")
        stack: list[int] = []
        at, seen = root, 0
        while (stack or at) and seen < _LONGEST:
            while at and len(stack) < 128:
                stack.append(at)
                at = self.number(at + left)
            if not stack:
                return
            at = stack.pop()
            seen += 1
            yield at
            at = self.number(at + right)
