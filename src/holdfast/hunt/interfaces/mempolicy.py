"""Recipes of memory policy: every MPOL_* mode with each flag and node set, of a thread, of a mapping and of a part of one.

Source:  set_mempolicy(2), mbind(2), get_mempolicy(2), set_mempolicy_home_node(2); linux/mempolicy.h
"""

from __future__ import annotations

from holdfast.hunt.actors import ACTORS, and_then, by, told
from holdfast.hunt.interfaces.memory import OBJECTS
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

HEADER = "linux/mempolicy.h"
NO_MODES = ("MPOL_DEFAULT", "MPOL_F_", "MPOL_MF_", "MPOL_MAX", "MPOL_MODE_FLAGS", "MPOL_USER_")
LOOK = "get_mempolicy([4], [8], 64, 0, 0) ; get_mempolicy([4], [8], 64, 0, MPOL_F_MEMS_ALLOWED)"
OF_MAP = "get_mempolicy([4], [8], 64, $map, MPOL_F_ADDR) ; get_mempolicy([4], [8], 64, $map+4096, MPOL_F_ADDR)"
NODES = {"none": "0, 0", "node0": "<8:1>, 64"}


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Of threads, then of mappings."""
    script = Script(constants)
    modes = script.names("MPOL_", header=HEADER, but=NO_MODES)
    flags = [f for f in script.names("MPOL_F_", header=HEADER) if script.value(f) > 0xFF]
    moves = script.names("MPOL_MF_", header=HEADER, but=("MPOL_MF_VALID", "MPOL_MF_INTERNAL"))
    yield from script.recipes("set_mempolicy", _threads(modes, flags))
    yield from script.recipes("mbind", _mappings(modes, flags, moves))


def _threads(modes: list[str], flags: list[str]) -> Iterator[Row]:
    for mode in modes:
        for named, nodes in NODES.items():
            yield Row(f"self.{mode}={named}", "getpid()", f"set_mempolicy({mode}, {nodes})", LOOK, told(LOOK))
        for flag in flags:
            state = f"set_mempolicy({mode}|{flag}, {NODES['node0']})"
            yield Row(f"self.{mode}|{flag}=node0", "getpid()", state, LOOK, told(LOOK))
        for actor in ("thread", "child"):
            state = f"set_mempolicy({mode}, {_nodes(mode)})"
            yield Row(f"{actor}.{mode}", ACTORS[actor], by(actor, state), by(actor, LOOK))


def _nodes(mode: str) -> str:
    # set_mempolicy(2): it takes no nodes
    return NODES["none" if mode == "MPOL_LOCAL" else "node0"]


def _mappings(modes: list[str], flags: list[str], moves: list[str]) -> Iterator[Row]:
    again = "map = mmap(0, 0x4000, PROT_READ, MAP_SHARED, $fd, 0) ; get_mempolicy([4], [8], 64, $map, MPOL_F_ADDR)"
    for mode in modes:
        for kind in ("anon", "shared", "memfd", "filecow"):
            yield Row(f"{kind}.{mode}", OBJECTS[kind], f"mbind($map, 0x4000, {mode}, {_nodes(mode)}, 0)", OF_MAP)
        yield Row(f"anon.middle.{mode}", OBJECTS["anon"], f"mbind($map+4096, 0x1000, {mode}, {_nodes(mode)}, 0)", OF_MAP)
        # the policy of a file in memory belongs to the file, whoever maps it
        yield Row(
            f"unmapped.{mode}", OBJECTS["memfd"], f"mbind($map, 0x4000, {mode}, {_nodes(mode)}, 0) ; munmap($map, 0x4000)", LOOK, again
        )
        for flag in flags:
            yield Row(f"anon.{mode}|{flag}", OBJECTS["anon"], f"mbind($map, 0x4000, {mode}|{flag}, {NODES['node0']}, 0)", OF_MAP)
    for move in moves:
        yield Row(f"anon.{move}", OBJECTS["anon"], f"mbind($map, 0x4000, MPOL_BIND, {NODES['node0']}, {move})", OF_MAP)
    for mode in ("MPOL_BIND", "MPOL_PREFERRED_MANY"):
        bound = and_then(OBJECTS["anon"], f"mbind($map, 0x4000, {mode}, {NODES['node0']}, 0)")
        yield Row(f"home.{mode}", bound, "set_mempolicy_home_node($map, 0x4000, 0, 0)", OF_MAP)
