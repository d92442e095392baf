"""Recipes of what only x86-64 has: arch_prctl, local descriptor tables, AMX permission, tagged addresses, shadow stacks.

Every ARCH_* name of asm/prctl.h that is no getter is tried with small numbers, addresses and bits; its getter is found by name.

Source:  arch_prctl(2), modify_ldt(2), set_thread_area(2); asm/prctl.h, asm/ldt.h
"""

from __future__ import annotations

from holdfast.hunt.actors import ACTORS, and_then, by, told
from holdfast.hunt.asked import distinct
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

HEADER = "asm/prctl.h"
MAP = "map = mmap(0, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
FIRST_CODE = 0x1000
"""What is below is a feature, the argument of a code."""
NUMBERS = (0, 1, 2, 18)
BASES = (0, 1, 4096, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFEFFF)
SHADOW = ("SHSTK", "CPUID")
KINDS: dict[str, int] = {
    # user_desc's bits: seg_32bit 1, contents 2-4, read_exec_only 8, limit_in_pages 16, seg_not_present 32, useable 64, lm 128
    "data": 0b0101_0001,
    "stack": 0b0101_0011,
    "code": 0b0101_0101,
    "conforming": 0b0111_0111,
    "code16": 0b0100_0100,
    "readonly": 0b0101_1001,
    "bytes": 0b0100_0001,
    "absent": 0b0111_0001,
    "long": 0b1101_0001,
}


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """arch_prctl by name, then tables."""
    script = Script(constants)
    yield from script.recipes("arch_prctl", _arch(script, ask))
    yield from script.recipes("modify_ldt", _ldt())
    yield from script.recipes(
        "set_thread_area", (Row(f"self.entry={n}", "", f"set_thread_area({_entry(n, 0x51)})") for n in (-1, 12, 13, 14))
    )


def _arch(script: Script, ask: Ask) -> Iterator[Row]:
    names = script.names("ARCH_", header=HEADER)
    for name in names:
        words = set(name.split("_"))
        if words & {"GET", "STATUS"} or script.value(name) < FIRST_CODE:
            continue
        get = _getters(name, names)
        secure = bool(words & set(SHADOW))
        values = (*BASES, -1) if name in ("ARCH_SET_FS", "ARCH_SET_GS") else NUMBERS
        texts = {f"{n}" if 0 <= n < 0x10000 else hex(n): f"arch_prctl({name}, {n})" for n in values}
        setters = {shown: script.lines(text)[0] for shown, text in texts.items()}
        taken = {shown: line for shown, line in setters.items() if ask((), line) is not None}
        tried = taken or dict(list(setters.items())[1:2])
        chosen = distinct(ask, tried, script.lines(get))
        for at, (shown, before) in enumerate(chosen.items()):
            after = told(get) if get and at < 2 else ""
            yield Row(f"self.{name}={shown}", texts.get(before, ""), texts[shown], get, after, secure)
        for shown in [shown for shown, before in chosen.items() if taken and not before][:1]:
            for actor in ("thread", "child"):
                yield Row(f"{actor}.{name}={shown}", ACTORS[actor], by(actor, texts[shown]), by(actor, get), "", secure)
        yield Row(f"self.{name}=map", MAP, f"arch_prctl({name}, $map)", get, "", secure)
        if name in ("ARCH_SET_FS", "ARCH_SET_GS"):
            for actor in ("thread", "child"):
                yield Row(f"{actor}.{name}=map", and_then(MAP, ACTORS[actor]), by(actor, f"arch_prctl({name}, $map)"), by(actor, get))


def _getters(name: str, names: list[str]) -> str:
    lines = []
    for old, new in (("_SET_", "_GET_"), ("_REQ_", "_GET_"), ("_ENABLE", "_STATUS"), ("_LOCK", "_STATUS")):
        other = name.replace(old, new, 1)
        if other != name and other in names:
            lines += [f"arch_prctl({other}, [8])", f"arch_prctl({other}, 0)"]
    if "TAG" in name and "ARCH_GET_UNTAG_MASK" in names:
        lines.append("arch_prctl(ARCH_GET_UNTAG_MASK, [8])")
    return " ; ".join(lines)


def _entry(number: int, bits: int, base: int = 0x1000, limit: int = 0xFFFFF) -> str:
    return f"<4:{number}> <4:{base}> <4:{limit}> <4:{bits}>"


def _ldt() -> Iterator[Row]:
    get = "modify_ldt(0, [64], 64)"
    for name, bits in KINDS.items():
        yield Row(f"self.{name}=0", "", f"modify_ldt(0x11, {_entry(0, bits)}, 16)", get, told(get))
    for number in (1, 7, 511, 512, 8191):
        yield Row(f"self.data={number}", "", f"modify_ldt(0x11, {_entry(number, KINDS['data'])}, 16)", get)
    for base, limit in ((0, 0), (0xFFFFFFFF, 1), (0x12345678, 0x54321)):
        yield Row(f"self.base={base:#x}", "", f"modify_ldt(0x11, {_entry(2, KINDS['data'], base, limit)}, 16)", get)
    yield Row("self.old=0", "", f"modify_ldt(1, {_entry(0, KINDS['data'])}, 16)", get)
    cleared = f"modify_ldt(0x11, {_entry(0, KINDS['data'])}, 16)"
    yield Row("self.cleared=0", cleared, "modify_ldt(0x11, <4:0> <4:0> <4:0> <4:0x28>, 16)", get)
    for actor in ("thread", "child"):
        yield Row(f"{actor}.data=0", ACTORS[actor], by(actor, cleared), by(actor, get))
