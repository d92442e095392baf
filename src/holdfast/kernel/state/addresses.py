"""An address space: its areas, in the order of a maple tree, and the names that they carry.

Source:  lib/maple_tree.c, include/linux/maple_tree.h, include/linux/mm_types.h
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kernel.state.walk import After, Walk

_LAST = (1 << 64) - 1
_NODE_BYTES = 256
_LEAF_64, _RANGE_64, _ARANGE_64 = 1, 2, 3
_MOST_AREAS = 1 << 17  # twice vm.max_map_count's default


def areas(walk: Walk, mm: int) -> list[int]:
    """The vm_area_structs of an address space, by address.

    Raises:  OSError: the tree came apart under our hands
    """
    root = walk.number(mm + walk.layouts.at("mm_struct.mm_mt") + walk.layouts.at("maple_tree.ma_root"))
    if root & 3 != 2:
        return [root] if root and not root & 3 else []
    out: list[int] = []
    _node(walk, root, 0, _LAST, out, 0)
    return out


def _node(walk: Walk, entry: int, low: int, high: int, out: list[int], depth: int) -> None:
    # a node's type is in bits 3 to 6 of the pointer to it; a pivot is the last index of its slot, and 0 ends them
    kind, name = entry >> 3 & 15, "maple_range_64"
    if kind not in {_LEAF_64, _RANGE_64, _ARANGE_64} or depth > 32:
        walk.gaps.add("maple_tree.ma_root")
        return
    if kind == _ARANGE_64:
        name = "maple_arange_64"
    at, size = walk.layouts.at, walk.layouts.size
    data = walk.memory.read(entry & -_NODE_BYTES, _NODE_BYTES)
    pivots = struct.unpack_from(f"<{size(f'{name}.pivot') // 8}Q", data, at(f"{name}.pivot"))
    slots = struct.unpack_from(f"<{size(f'{name}.slot') // 8}Q", data, at(f"{name}.slot"))
    for n, slot in enumerate(slots):
        last = pivots[n] if n < len(pivots) else high
        if not last and n:
            last = high
        if slot and kind != _LEAF_64:
            _node(walk, slot, low, last, out, depth + 1)
        elif slot and not slot & 3 and len(out) < _MOST_AREAS:
            out.append(slot)
        low = last + 1
        if last >= high:
            return


def _mm(walk: Walk, address: int, _data: bytes, path: str) -> None:
    start = walk.layouts.plan("vm_area_struct").by_path["vm_start"]
    for area in areas(walk, address):
        walk.reach(area, "vm_area_struct", f"{path}.vma[{walk.number(area + start.offset):#x}]")


def _name(walk: Walk, address: int, _data: bytes, path: str) -> None:
    walk.put(f"{path}.name", walk.text(address + walk.layouts.at("anon_vma_name.name"), 80), "anon_vma_name", "name", "char[]")


AFTER: dict[str, After] = {"mm_struct": _mm, "anon_vma_name": _name}
