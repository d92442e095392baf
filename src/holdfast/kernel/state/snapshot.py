"""The live state of tasks in one call, and the reader that takes it."""

from __future__ import annotations

from holdfast.kernel.state import addresses, credentials, descriptors, layouts, pages, sockets, symbols, tasks
from holdfast.kernel.state.memory import open_memory
from holdfast.kernel.state.value import Leaf, State
from holdfast.kernel.state.walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.kernel.state.layouts import Layouts
    from holdfast.kernel.state.memory import Memory
    from holdfast.kernel.state.symbols import Symbols

__all__ = ["Leaf", "Reader", "State"]

_AFTER = {**addresses.AFTER, **credentials.AFTER, **descriptors.AFTER, **sockets.AFTER, **tasks.AFTER}


def _add_pages(state: State, label: str, pid: int) -> None:
    # which pages each area of a process has, as leaves of the area; a process that shares its address space with an earlier one adds none
    areas: dict[int, tuple[str, int]] = {}
    for path, struct in state.objects.items():
        if struct == "vm_area_struct" and path.startswith(f"{label}.mm.vma["):
            start, end = (leaf.value if (leaf := state.leaves.get(f"{path}.{name}")) else None for name in ("vm_start", "vm_end"))
            if isinstance(start, int) and isinstance(end, int):
                areas[start] = (path, end)
    try:
        found = pages.sorts(pid, sorted((start, end) for start, (_, end) in areas.items()))
    except (OSError, pages.TooMany):
        state.gaps = tuple(sorted({*state.gaps, "vm_area_struct.pages"}))
        return
    for start, by_sort in found.items():
        for sort, runs in by_sort.items():
            path = f"{areas[start][0]}.pages.{sort}"
            state.leaves[path] = Leaf(path, runs, "vm_area_struct", f"pages.{sort}", "")


class Reader:
    """Reads live kernel structs of tasks until it is closed.

    Needs:   what `open_memory` needs
    """

    def __init__(self, memory: Memory, found: Layouts, names: Symbols) -> None:
        self._memory, self._layouts, self._symbols = memory, found, names
        self._kinds: dict[int, tuple[str, ...]] = {}

    @classmethod
    def open(cls) -> Reader:
        """A reader of the running kernel.

        Raises:  kernel_lacks.kernel_memory: kernel memory cannot be read; kernel_lacks.kernel_types: this kernel has no BTF
        """
        memory = open_memory()
        try:
            return cls(memory, layouts.load(), symbols.Symbols())
        except OSError as cause:
            memory.close()
            from holdfast.errors import KernelLacks  # only a kernel without types comes here

            raise KernelLacks(
                "kernel_types",
                "this kernel does not describe its structs",
                where=cause.filename or "/sys/kernel/btf/vmlinux",
                why=cause.strerror or str(cause),
                do="boot a kernel with CONFIG_DEBUG_INFO_BTF",
            ) from cause
        except BaseException:
            memory.close()
            raise

    def walk(self) -> Walk:
        """A walk that has met nothing yet."""
        return Walk(self._memory, self._layouts, self._symbols, _AFTER, self._kinds)

    def snapshot(self, of: Mapping[str, int]) -> State:
        """The state of the named processes, every thread of each: the leader under the label, the others as `label/1`, `label/2`.

        Shape:   `of` maps a label to a process id in the caller's process id namespace
        Raises:  ProcessLookupError: one of them is no more
        """
        walk = self.walk()
        found: list[tuple[str, int]] = []
        space, level = tasks.namespace(walk)
        at = self._layouts.at
        for label, number in of.items():
            try:
                first = tasks.task_of(walk, space, number)
                others = [one for _, one in tasks.threads(walk, first, level) if one != first]
            except ProcessLookupError:
                raise
            except OSError as cause:
                raise ProcessLookupError(number) from cause
            found.append((label, first))
            found += [(f"{label}/{n}", one) for n, one in enumerate(others, 1)]
        for label, task in found:
            try:
                pid = walk.number(task + at("task_struct.thread_pid"))
                innermost = pid + at("pid.numbers") + walk.number(pid + at("pid.level"), 4) * self._layouts.size("upid")
                walk.visible[walk.number(innermost + at("upid.nr"), 4)] = walk.pids[pid] = label
                walk.numbers[walk.number(task + at("task_struct.pid"), 4)] = label
            except OSError as cause:
                if "/" not in label:
                    raise ProcessLookupError(of[label]) from cause
                continue  # a thread that has ended since
            walk.reach(task, "task_struct", label)
        state = walk.run()
        for label, number in of.items():
            _add_pages(state, label, number)
        return state

    def close(self) -> None:
        """Give back what was taken to read, and keep what was learnt."""
        self._symbols.close()
        self._memory.close()
