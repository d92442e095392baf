"""Recipes of prctl: every option of linux/prctl.h with its own values, by the first process, a thread and a child.

An option is a PR_SET_* name, or another PR_* name whose number no option has taken; its values are the names that begin as it does, their
union, and small numbers; its getter is found by name. Options whose arguments are more than a number stand in a table.

Source:  prctl(2), prctl's option pages PR_*(2const); linux/prctl.h
"""

from __future__ import annotations

from holdfast.hunt.actors import ACTORS, and_then, by, told
from holdfast.hunt.asked import distinct
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe
    from holdfast.prog.text import Const

HEADER = "linux/prctl.h"
SMALL = (0, 1, 2)
OUTSIDE = ((1 << 64) - 1,)
HIGHEST = 1023
"""Options that are not called PR_SET_ have small numbers; what is above is a value."""
SECURITY = ("NO_NEW_PRIVS", "MDWE", "DUMPABLE", "KEEPCAPS", "TSC", "PDEATHSIG", "SECUREBITS", "SHADOW_STACK", "PTRACER", "CFI")
ELSEWHERE = (
    "PR_SET_SECCOMP",
    "PR_SET_SECUREBITS",
    "PR_SET_SPECULATION_CTRL",
    "PR_SET_SYSCALL_USER_DISPATCH",
    "PR_SET_MM",
    "PR_SET_VMA",
    "PR_SET_NAME",
    "PR_SET_PTRACER",
    "PR_CAP_AMBIENT",
    "PR_CAPBSET",
    "PR_SCHED_CORE",
)
"""Options whose arguments are more than a number: other tables try them in full, or the one below."""

MORE: dict[str, tuple[int, ...]] = {
    "PR_SET_PDEATHSIG": (9, 10, 15, 17, 19, 31, 34, 64),
    "PR_SET_TIMERSLACK": (49_999, 50_000, 50_001, 1_000_000_000, (1 << 32) - 1, 1 << 32),
    "PR_FUTEX_HASH": (4, 16, 64, 128),
}
"""Values beside the small ones, by option."""

NAMES = (b"\0", b"x\0", b"fifteen-letters\0", b"sixteen--letters\0", b"a b\0", b"(a) R 1\0", b"a\nb\\\0", b"\xff\xfe\x80\0", b"%s%n\0")
MAP = "map = mmap(0, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
AREA = "area = mmap(0, 0x4000, PROT_READ|PROT_WRITE, {how}|MAP_ANONYMOUS, -1, 0) ; poke($area, b'named')"


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Every option with plausible values, then the options whose arguments are addresses."""
    script = Script(constants)
    found = constants.prefixed("PR_", header=HEADER)
    for option in options(found):
        yield from script.recipes("prctl", _rows(script, ask, option, found))
    yield from script.recipes("prctl", _tables())


def options(found: Sequence[Const]) -> list[Const]:
    """The names that are first arguments, without getters and without the values of another option."""
    taken: dict[int, str] = {}
    out: list[Const] = []
    for const in sorted(found, key=lambda c: not c.name.startswith(("PR_SET_", "PR_GET_"))):
        within = const.name.startswith("PR_SET_") and any(
            const.name.startswith(f"{c.name}_") for c in found if c.name.startswith("PR_SET_")
        )
        small = const.name.startswith("PR_SET_") or 0 < const.value <= HIGHEST
        if within or const.value in taken or not small or const.name.endswith(("_MASK", "_SHIFT")):
            continue
        taken[const.value] = const.name
        if not _looks(const.name):
            out.append(const)
    return [o for o in out if not o.name.startswith(ELSEWHERE)]


def _looks(name: str) -> bool:
    return bool({"GET", "READ"} & set(name.split("_")))


def _known(script: Script, ask: Ask, option: Const, found: Sequence[Const]) -> bool:
    # whether this kernel has the option at all, as far as a getter tells
    lines = script.lines(_getters(option, found))
    return not lines or any(ask((), line) is not None for line in lines)


def _values(option: Const, found: Sequence[Const]) -> list[Const]:
    # the names that begin as the option does: PR_TSC_* of PR_SET_TSC, PR_TAGGED_ADDR_* of PR_SET_TAGGED_ADDR_CTRL
    own = [c for c in found if c.name.startswith(f"{option.name}_")]
    words = option.name.removeprefix("PR_SET_").split("_")
    while not own and words and len("_".join(words)) > 2 and option.name.startswith("PR_SET_"):
        own = [c for c in found if c.name.startswith(f"PR_{'_'.join(words)}_")]
        words.pop()
    return own


def _getters(option: Const, found: Sequence[Const]) -> str:
    names = {c.name for c in found}
    asked = [option.name.replace("_SET_", "_GET_", 1), f"{option.name}_GET"]
    lines = []
    for name in asked:
        if name in names and name != option.name:
            lines += [f"prctl({name}, 0, 0, 0, 0)", f"prctl({name}, [16], 0, 0, 0)"]
    own = [c.name for c in found if c.name.startswith(f"{option.name}_") and _looks(c.name)]
    return " ; ".join(lines + [f"prctl({option.name}, {name}, 0, 0, 0)" for name in own])


def _tried(option: Const, found: Sequence[Const]) -> list[tuple[str, str]]:
    # how it is written in a recipe's name, and the arguments
    own, more = _values(option, found), MORE.get(option.name, ())
    named = {c.value: c.name for c in reversed(own) if not _looks(c.name)}
    if option.name.startswith("PR_SET_"):
        union = 0
        for const in own:
            union |= const.value
        numbers = dict.fromkeys((*named, union, *SMALL, *more, *OUTSIDE))
        tried = [(named.get(n, str(n)), f"{named.get(n, n)}, 0, 0, 0") for n in numbers]
        return tried + [(f"1.{c.name}", f"1, {c.name}, 0, 0") for c in own if c.value]
    if not named:
        return [(f"{n}", f"{n}, 0, 0, 0") for n in SMALL]
    return [(f"{c}.{n}", f"{c}, {n}, 0, 0") for c in named.values() for n in (*SMALL, *more)]


def _rows(script: Script, ask: Ask, option: Const, found: Sequence[Const]) -> Iterator[Row]:
    get = _getters(option, found)
    secure = any(word in option.name for word in SECURITY)
    tried = _tried(option, found)
    if not _known(script, ask, option, found):
        tried = [("1", "1, 0, 0, 0")]
    texts = {name: f"prctl({option.name}, {arguments})" for name, arguments in tried}
    setters = {name: script.lines(text)[0] for name, text in texts.items()}
    chosen = distinct(ask, setters, script.lines(get))
    for name, before in chosen.items():
        yield Row(f"self.{option.name}={name}", texts.get(before, ""), texts[name], get, told(get) if get else "", secure)
    taken = [name for name, before in chosen.items() if not before and ask((), setters[name]) is not None]
    for actor in ("thread", "child"):
        for name in taken[-1:]:
            yield Row(f"{actor}.{option.name}={name}", ACTORS[actor], by(actor, texts[name]), by(actor, get), "", secure)


def _tables() -> Iterator[Row]:
    for actor, make in ACTORS.items():
        for name in NAMES if actor == "self" else NAMES[5:7]:
            text, get = repr(name).replace('"', "'"), by(actor, "prctl(PR_GET_NAME, [16], 0, 0, 0)")
            yield Row(f"{actor}.PR_SET_NAME={text}", make, by(actor, f"prctl(PR_SET_NAME, {name!r}, 0, 0, 0)"), get)
    yield from _bounds()
    for how in ("MAP_PRIVATE", "MAP_SHARED"):
        area = AREA.format(how=how)
        for label in (b"a\0", b"a name with spaces\0", b"n" * 79 + b"\0"):
            named = f"prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, $area+4096, 0x1000, {label!r})"
            yield Row(f"{how}.PR_SET_VMA_ANON_NAME={label[:20]!r}", area, named, "peek($area, 8)")
    yield Row("self.PR_SET_PTRACER=ANY", "", "prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)", security=True)
    yield Row("self.PR_SET_PTRACER=child", ACTORS["child"], "prctl(PR_SET_PTRACER, $child, 0, 0, 0)", security=True)


FIELDS = (
    "start_code",
    "end_code",
    "start_data",
    "end_data",
    "start_brk",
    "brk",
    "start_stack",
    "arg_start",
    "arg_end",
    "env_start",
    "env_end",
)
"""Of struct prctl_mm_map, in order."""


def _bounds() -> Iterator[Row]:
    # where the kernel believes code, data, heap and arguments to be: proc_pid_stat(5), proc_pid_cmdline(5), proc_pid_environ(5)
    write = "poke($map, b'one\\0two\\0A=1\\0B=2\\0')"
    begin = ["$map", "$map+4096", "$map+4096", "$map+8192", "$map+8192", "$map+12288", "$map+8192", "$map", "$map+8", "$map+8", "$map+16"]
    make = and_then(MAP, write, _bounded(begin))
    for at, name in enumerate(FIELDS):
        other = [*begin[:at], _moved(begin[at], 1 if at in (0, 2, 4, 6, 7, 9) else -1), *begin[at + 1 :]]
        yield Row(f"self.PR_SET_MM_MAP.{name}", make, _bounded(other), "brk(0)", "brk(0)" if "brk" in name else "")
    yield Row("self.PR_SET_MM_MAP=map", and_then(MAP, write), _bounded(begin), "brk(0)", "brk(0)")
    for name, words in {"short": 4, "whole": 22}.items():
        vector = " ".join(f"<8:{key}> <8:{1000 + key}>" for key in [*range(3, 3 + words - 1)])
        auxv = f"{{{', '.join(begin)}, &{vector} <8:0> <8:0>, <4:{16 * words}> <4:-1>}}"
        yield Row(
            f"self.PR_SET_MM_MAP.auxv={name}",
            make,
            f"prctl(PR_SET_MM, PR_SET_MM_MAP, {auxv}, 104, 0)",
            "prctl(PR_GET_AUXV, [128], 128, 0, 0)",
        )
    for option in (f"PR_SET_MM_{name.upper()}" for name in FIELDS):
        yield Row(f"self.{option}=map", make, f"prctl(PR_SET_MM, {option}, $map+6144, 0, 0)", "brk(0)")
    vector = " ".join(f"<8:{key}> <8:{value}>" for key, value in ((6, 4096), (17, 100), (23, 1), (0, 0)))
    yield Row("self.PR_SET_MM_AUXV=short", "", f"prctl(PR_SET_MM, PR_SET_MM_AUXV, {vector}, 64, 0)", "prctl(PR_GET_AUXV, [64], 64, 0, 0)")
    exe = "exe = openat(AT_FDCWD, b'/bin/true\\0', O_RDONLY|O_CLOEXEC, 0)"
    yield Row("self.PR_SET_MM_EXE_FILE=true", exe, "prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, $exe, 0, 0)")


def _bounded(fields: Sequence[str]) -> str:
    # struct prctl_mm_map, without an auxiliary vector and without another executable
    return f"prctl(PR_SET_MM, PR_SET_MM_MAP, {{{', '.join(fields)}, <8:0> <4:0> <4:-1>}}, 104, 0)"


def _moved(place: str, by_bytes: int) -> str:
    name, _, offset = place.partition("+")
    return f"{name}{int(offset or 0) + by_bytes:+d}"
