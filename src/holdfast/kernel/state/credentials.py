"""Credentials: groups, keyrings and their keys, and the blobs of security modules.

A blob has no type: each security module has its part at an offset that the kernel works out at boot, from the sizes that the modules
ask for, in their order.

Source:  kernel/groups.c, security/keys/keyring.c, lib/assoc_array.c, security/security.c: lsm_set_blob_sizes, lsm_list_modules(2)
"""

from __future__ import annotations

import ctypes
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kernel.state.walk import After, Walk

_MOST_KEYS = 4096
_FANOUT = 16  # slots of an assoc_array_node
_LIST_MODULES = 461  # lsm_list_modules, since v6.8
_SELINUX, _SMACK, _APPARMOR, _LANDLOCK = 101, 102, 104, 110  # include/uapi/linux/lsm.h: LSM_ID_
_NAMES = {"selinux": _SELINUX, "smack": _SMACK, "apparmor": _APPARMOR, "landlock": _LANDLOCK}
_POINTER = 8


def _groups(walk: Walk, address: int, _data: bytes, path: str) -> None:
    count = walk.number(address + walk.layouts.at("group_info.ngroups"), 4)
    groups = walk.memory.read(address + walk.layouts.at("group_info.gid"), 4 * min(count, 65536))
    walk.put(f"{path}.gid", " ".join(map(str, struct.unpack(f"<{len(groups) // 4}I", groups))), "group_info", "gid", "kgid_t[]")


def _key(walk: Walk, address: int, _data: bytes, path: str) -> None:
    kind = walk.text(walk.number(walk.field(address, "key.type") + walk.layouts.at("key_type.name")), 32)
    walk.put(f"{path}.type_name", kind, "key", "type", "struct key_type*")
    walk.put(f"{path}.description", walk.text(walk.field(address, "key.description")), "keyring_index_key", "description", "char*")
    if kind == "keyring":
        held = keys(walk, walk.field(address, "key.keys"))
        for n, (_, _, key) in enumerate(sorted((*_known_by(walk, key), key) for key in held)):
            walk.reach(key, "key", f"{path}.key[{n}]")
            walk.later(f"{path}.key[{n}]", key, "key", "keys", "struct assoc_array")
        walk.put(f"{path}.keys", len(held), "key", "keys", "struct assoc_array")


def _known_by(walk: Walk, key: int) -> tuple[str, str]:
    kind = walk.text(walk.number(walk.field(key, "key.type") + walk.layouts.at("key_type.name")), 32)
    return kind, walk.text(walk.field(key, "key.description"))


def keys(walk: Walk, root: int) -> list[int]:
    """The keys that a keyring's associative array holds.

    Raises:  OSError: it came apart under our hands
    """
    out: list[int] = []
    todo = [root]
    while todo and len(out) < _MOST_KEYS:
        at = todo.pop()
        if not at:
            continue
        if not at & 1:  # a leaf; bit 1 tells a keyring from another key
            out.append(at & ~3)
        elif at & 2:
            todo.append(walk.number((at & ~3) + walk.layouts.at("assoc_array_shortcut.next_node")))
        else:
            slots = walk.memory.read((at & ~3) + walk.layouts.at("assoc_array_node.slots"), _FANOUT * _POINTER)
            todo += struct.unpack(f"<{_FANOUT}Q", slots)
    return out


def active_modules() -> tuple[int, ...]:
    """The security modules of this kernel in their order, as LSM_ID_ numbers; () where nobody says.

    Source:  lsm_list_modules(2) (v6.8), /sys/kernel/security/lsm
    """
    ids, size = (ctypes.c_uint64 * 64)(), ctypes.c_uint32(64 * 8)
    count: int = ctypes.CDLL(None, use_errno=True).syscall(_LIST_MODULES, ids, ctypes.byref(size), 0)
    if count > 0:
        return tuple(ids[:count])
    try:
        with open("/sys/kernel/security/lsm", encoding="ascii") as file:
            return tuple(_NAMES.get(name, 0) for name in file.read().strip().split(","))
    except OSError:
        return ()


def landlock_offset(walk: Walk) -> int | None:
    """Where Landlock's part of a credential's blob is; None where Landlock is not at work, or nobody can say."""
    global _offset
    if _offset == ():
        _offset = (_landlock_offset(walk),)
    return _offset[0]


_offset: tuple[int | None, ...] = ()


def _landlock_offset(walk: Walk) -> int | None:
    # newest form first: SELinux has had a struct of its own for credentials since v6.18; before, they held its task_security_struct
    layouts = walk.layouts
    sizes = {
        _SELINUX: next((layouts.size(n) for n in ("cred_security_struct", "task_security_struct") if layouts.knows(n)), None),
        _SMACK: layouts.size("task_smack") if layouts.knows("task_smack") else None,
        _APPARMOR: _POINTER,
    }
    at = 0
    for module in active_modules():
        if module == _LANDLOCK:
            return at
        if module in sizes:
            size = sizes[module]
            if size is None:
                walk.gaps.add("cred.security")
                return None
            at += size + _POINTER - 1 & -_POINTER
    return None


def _cred(walk: Walk, address: int, _data: bytes, path: str) -> None:
    blob = walk.field(address, "cred.security")
    offset = landlock_offset(walk)
    if blob and offset is not None:
        walk.reach(blob + offset, "landlock_cred_security", f"{path}.landlock")


def _ruleset(walk: Walk, address: int, data: bytes, path: str) -> None:
    layers = walk.layouts.plan("landlock_ruleset").number(data, "num_layers")
    if layers <= 16:
        masks = walk.memory.read(address + walk.layouts.at("landlock_ruleset.access_masks"), 4 * layers)
        walk.put(f"{path}.access_masks", masks, "landlock_ruleset", "access_masks", "struct access_masks[]")


AFTER: dict[str, After] = {"group_info": _groups, "key": _key, "cred": _cred, "landlock_ruleset": _ruleset}
