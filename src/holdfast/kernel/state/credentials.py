"""Credentials: groups, keyrings and their keys, and the blobs of security modules.

A blob has no type: each security module has its part at an offset that the kernel works out at boot, from the sizes that the modules
ask for, in their order.

Source:  kernel/groups.c, security/keys/keyring.c, lib/assoc_array.c, security/security.c: lsm_set_blob_sizes, lsm_list_modules(2)
"""

from __future__ import annotations

import struct

from holdfast.kernel.libc import LONG, POINTER, buffer, function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kernel.state.walk import After, Walk

_MOST_KEYS = 4096
_FANOUT = 16  # slots of an assoc_array_node
_LIST_MODULES = 461  # lsm_list_modules, since v6.8
_SELINUX, _SMACK, _APPARMOR, _LANDLOCK = 101, 102, 104, 110  # include/uapi/linux/lsm.h: LSM_ID_
_NAMES = {"selinux": _SELINUX, "smack": _SMACK, "apparmor": _APPARMOR, "landlock": _LANDLOCK}
_POINTER = 8
_MOST_MODULES = 64


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
    todo, steps = [root] if root else [], 0
    while todo and steps < _MOST_KEYS:
        at = todo.pop()
        steps += 1
        if not at & 1:  # a leaf; bit 1 tells a keyring from another key
            out.append(at & ~3)
        elif at & 2:
            if following := walk.number((at & ~3) + walk.layouts.at("assoc_array_shortcut.next_node")):
                todo.append(following)
        else:
            slots = walk.memory.read((at & ~3) + walk.layouts.at("assoc_array_node.slots"), _FANOUT * _POINTER)
            todo += [slot for slot in struct.unpack(f"<{_FANOUT}Q", slots) if slot]
    return out


def active_modules() -> tuple[int, ...]:
    """The security modules of this kernel in their order, as LSM_ID_ numbers; () where nobody says.

    Source:  lsm_list_modules(2) (v6.8), /sys/kernel/security/lsm
    """
    ids, size = buffer(_MOST_MODULES * 8), buffer(4)
    struct.pack_into("<I", size, 0, len(ids))
    count = function("syscall", LONG, POINTER, POINTER, LONG)(_LIST_MODULES, ids, size, 0)
    if count > 0:
        return struct.unpack_from(f"<{count}Q", ids)
    try:
        with open("/sys/kernel/security/lsm", encoding="utf-8") as file:
            return tuple(_NAMES.get(name, 0) for name in file.read().strip().split(","))
    except OSError:
        return ()


def landlock_offset(walk: Walk) -> int | None:
    """Where Landlock's part of a credential's blob is; None where Landlock is not at work, or nobody can say."""
    # newest form first: SELinux has had a struct of its own for credentials since v6.18; before, they held its task_security_struct
    return _landlock("cred", walk, (("cred_security_struct", "task_security_struct"), ("task_smack",), None))


def landlock_file_offset(walk: Walk) -> int | None:
    """Where Landlock's part of an open file's blob is; None where Landlock is not at work, or nobody can say."""
    if not walk.layouts.knows("landlock_file_security"):
        return None  # before v6.2 files have no Landlock rights of their own
    return _landlock("file", walk, (("file_security_struct",), None, ("aa_file_ctx",)))


_offsets: dict[str, int | None] = {}


def _landlock(blob: str, walk: Walk, structs: tuple[tuple[str, ...] | None, ...]) -> int | None:
    # the sizes of SELinux's, Smack's and AppArmor's part, in this order; None stands for one pointer
    if blob not in _offsets:
        _offsets[blob] = _landlock_offset(blob, walk, structs)
    return _offsets[blob]


def landlock_is_unknown() -> bool:
    """Whether Landlock may be at work and nobody said where its parts of blobs are: after an offset was asked for."""
    return bool(_unknown)


_unknown: set[str] = set()


def _landlock_offset(blob: str, walk: Walk, structs: tuple[tuple[str, ...] | None, ...]) -> int | None:
    parts = dict(zip((_SELINUX, _SMACK, _APPARMOR), structs, strict=True))
    at = 0
    modules = active_modules()
    if not modules:
        return _by_symbol(blob, walk)
    for module in modules:
        if module == _LANDLOCK:
            return at
        if module in parts:
            names = parts[module]
            known = [walk.layouts.size(name) for name in names or () if walk.layouts.knows(name)]
            if names and not known:
                _unknown.add(blob)
                return _by_symbol(blob, walk)
            at += (known[0] if known else _POINTER) + _POINTER - 1 & -_POINTER
    return None


def _by_symbol(blob: str, walk: Walk) -> int | None:
    # where symbols list data (CONFIG_KALLSYMS_ALL), Landlock's own record of its sizes, which have become offsets once it is at work
    sizes, started = walk.symbols.address("landlock_blob_sizes"), walk.symbols.address("landlock_initialized")
    try:
        if sizes and started:
            _unknown.discard(blob)
            if not walk.number(started, 1):
                return None
            return walk.number(sizes + walk.layouts.at(f"lsm_blob_sizes.lbs_{blob}"), 4)
    except (OSError, KeyError):
        pass  # then nobody says
    _unknown.add(blob)
    walk.gaps.add(f"{blob}.security")
    return None


def shared_keyring(walk: Walk, key: int) -> bool:
    """Whether a session keyring is not the task's own: that of whoever reads, the user's, or a login's that holds the user's and no more.

    Raises:  OSError: it is gone
    """
    if key == walk.field(walk.field(walk.memory.current(), "task_struct.cred"), "cred.session_keyring"):
        return True
    name = walk.text(walk.field(key, "key.description"))
    if name.startswith("_uid_ses."):
        return True
    if name != "_ses":
        return False
    # pam_keyinit(8) and systemd join an unnamed one, and link the user's keyring into it; an empty one keeps out who has it
    held = keys(walk, walk.field(key, "key.keys"))
    return bool(held) and all(_known_by(walk, one)[1].startswith("_uid") for one in held)


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
