"""Recipes of memory: mappings and what is done to them, locks, guards, seals, keys, the heap.

MAP_*, MADV_* and MCL_* are tried by prefix on the objects that they can be meant for; a part of a mapping is another state than
the whole, for it splits the mapping.

Source:  mmap(2), mprotect(2), madvise(2), mremap(2), mlock(2), mseal(2), pkeys(7), brk(2)
"""

from __future__ import annotations

from itertools import combinations

from holdfast.hunt.actors import CHILD, HEIR, and_then
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

MMAN = ("asm-generic/mman-common.h", "asm-generic/mman.h", "asm/mman.h", "linux/mman.h")
RW = "PROT_READ|PROT_WRITE"
WRITTEN = "poke($map, b'first') ; poke($map+8192, b'third')"
FD = "fd = memfd_create(b'hunt\\0', MFD_ALLOW_SEALING) ; ftruncate($fd, 0x4000)"
FILE = "fd = openat(AT_FDCWD, b'FOLDER/mapped\\0', O_RDWR|O_CREAT|O_CLOEXEC, 0x180) ; ftruncate($fd, 0x4000)"
OBJECTS: dict[str, str] = {
    "anon": f"map = mmap(0, 0x4000, {RW}, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) ; {WRITTEN}",
    "shared": f"map = mmap(0, 0x4000, {RW}, MAP_SHARED|MAP_ANONYMOUS, -1, 0) ; {WRITTEN}",
    "memfd": f"{FD} ; map = mmap(0, 0x4000, {RW}, MAP_SHARED, $fd, 0) ; {WRITTEN}",
    "cow": f"{FD} ; map = mmap(0, 0x4000, {RW}, MAP_PRIVATE, $fd, 0) ; {WRITTEN}",
    "file": f"{FILE} ; map = mmap(0, 0x4000, {RW}, MAP_SHARED, $fd, 0) ; {WRITTEN}",
    "filecow": f"{FILE} ; map = mmap(0, 0x4000, {RW}, MAP_PRIVATE, $fd, 0) ; {WRITTEN}",
}
"""Four pages, of which the first and the third were written to."""
LOOK = "peek($map, 16) ; peek($map+8192, 16)"
PIPE = "pipe2(p:[8], O_NONBLOCK)"
REACH = f"{PIPE} ; write($p@4:4, $map, 8) ; write($p@4:4, $map+4096, 8) ; {HEIR} ; heir: write($p@4:4, $map, 8) ; read($p@0:4, [32], 32)"
"""What the leader and its heir can read of the first two pages; a page that they cannot read is EFAULT."""
UNDOES = {
    "MADV_NORMAL": "MADV_RANDOM",
    "MADV_DOFORK": "MADV_DONTFORK",
    "MADV_DODUMP": "MADV_DONTDUMP",
    "MADV_KEEPONFORK": "MADV_WIPEONFORK",
    "MADV_UNMERGEABLE": "MADV_MERGEABLE",
    "MADV_GUARD_REMOVE": "MADV_GUARD_INSTALL",
}
"""Advices that take another back."""
HINTS = ("MADV_WILLNEED", "MADV_COLD", "MADV_PAGEOUT", "MADV_POPULATE_READ", "MADV_POPULATE_WRITE", "MADV_COLLAPSE")
"""Advices that are done with when the call is over."""
WITHOUT_CONTENT = ("MADV_DONTNEED", "MADV_FREE", "MADV_REMOVE", "MADV_GUARD_INSTALL")
BEYOND = ("MADV_HWPOISON", "MADV_SOFT_OFFLINE")
"""Advices that take memory away from the machine."""


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """All of it; the interface is the system call that makes the state."""
    script = Script(constants)
    yield from script.recipes("mmap", _mmap(script))
    yield from script.recipes("mprotect", _mprotect(script))
    yield from script.recipes("madvise", _madvise(script))
    yield from script.recipes("process_madvise", _process_madvise())
    yield from script.recipes("mremap", _mremap())
    yield from script.recipes("mlock", _mlock(script))
    yield from script.recipes("munmap", _munmap())
    yield from script.recipes("mseal", _mseal())
    yield from script.recipes("pkey", _pkeys(script))
    yield from script.recipes("brk", _brk())
    yield from script.recipes("remap_file_pages", _nonlinear())
    yield from script.recipes("map_shadow_stack", _shadow_stack(script))


def _mmap(script: Script) -> Iterator[Row]:
    types = ("MAP_SHARED", "MAP_PRIVATE", "MAP_SHARED_VALIDATE", "MAP_TYPE", "MAP_FIXED", "MAP_ANONYMOUS", "MAP_FILE", "MAP_HUGE_")
    flags = script.names("MAP_", header=MMAN, but=types)
    for base in ("MAP_PRIVATE", "MAP_SHARED"):
        for flag in flags:
            state = f"map = mmap(0, 0x4000, {RW}, {base}|MAP_ANONYMOUS|{flag}, -1, 0) ; {WRITTEN}"
            yield Row(f"anon.{base}|{flag}", "getpid()", state, LOOK, REACH)
        for flag in flags:
            state = f"map = mmap(0, 0x4000, {RW}, {base}|{flag}, $fd, 0)"
            yield Row(f"memfd.{base}|{flag}", FD, state, LOOK)
    for flag in flags:
        if 0 < script.value(flag) <= script.value("MAP_TYPE"):
            made = f"map = mmap(0, 0x4000, {RW}, {flag}|MAP_ANONYMOUS, -1, 0) ; {WRITTEN}"
            yield Row(f"type.{flag}", "getpid()", made, LOOK, REACH)
        yield Row(f"validate.{flag}", FD, f"map = mmap(0, 0x4000, {RW}, MAP_SHARED_VALIDATE|{flag}, $fd, 0)", LOOK)
    huge = script.names("MAP_HUGE_", header=MMAN, but=("MAP_HUGE_SHIFT", "MAP_HUGE_MASK"))
    for base in ("MAP_PRIVATE", "MAP_SHARED"):
        for size in ("MAP_HUGETLB", *huge) if base == "MAP_PRIVATE" else ("MAP_HUGETLB",):
            how = f"{base}|MAP_ANONYMOUS|MAP_NORESERVE|MAP_HUGETLB|{size}"
            yield Row(f"huge.{base}|{size}", "getpid()", f"map = mmap(0, 0x40000000, {RW}, {how}, -1, 0)")
    for number in range(9):
        for kind, make in (("anon", "-1"), ("memfd", "$fd")):
            how = "MAP_PRIVATE|MAP_ANONYMOUS" if kind == "anon" else "MAP_SHARED"
            yield Row(
                f"{kind}.prot={number:#x}", FD, f"map = mmap(0, 0x4000, {number}, {how}, {make}, 0)", "mincore($map, 4096, [1])", REACH
            )
    for address in (0, 0x1000, 0x20000, 0x80000000, 0x7FF000000000):
        state = f"map = mmap({address:#x}, 0x1000, {RW}, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0) ; poke($map, b'here')"
        yield Row(f"anon.at={address:#x}", "getpid()", state, "peek($map, 8)")
    for kind in ("memfd", "cow", "file", "filecow"):
        again = f"again = mmap(0, 0x1000, {RW}, MAP_SHARED, $fd, 0x2000)"
        yield Row(f"{kind}.twice", OBJECTS[kind], again, f"{LOOK} ; peek($again, 8)", "poke($again, b'new') ; peek($map+8192, 8)")
        yield Row(f"{kind}.beyond", OBJECTS[kind], f"far = mmap(0, 0x2000, {RW}, MAP_SHARED, $fd, 0x100000000)", LOOK)
        yield Row(f"{kind}.shrunk", OBJECTS[kind], "ftruncate($fd, 0x1000)", "peek($map, 8)", REACH)
        yield Row(f"{kind}.closed", OBJECTS[kind], "close($fd)", LOOK)
        if kind.startswith("file"):
            yield Row(f"{kind}.unlinked", OBJECTS[kind], "unlinkat(AT_FDCWD, b'FOLDER/mapped\\0', 0)", LOOK)
        readonly = (
            "ro = openat(AT_FDCWD, b'/proc/self/fd/3\\0', O_RDONLY|O_CLOEXEC, 0) ; map = mmap(0, 0x4000, PROT_READ, MAP_SHARED, $ro, 0)"
        )
        yield Row(f"{kind}.readonly", FD if kind in ("memfd", "cow") else FILE, readonly, "peek($map, 8)", f"mprotect($map, 0x4000, {RW})")
    for device in ("zero", "null"):
        yield Row(
            f"device.{device}",
            "getpid()",
            f"fd = openat(AT_FDCWD, b'/dev/{device}\\0', O_RDWR, 0) ; map = mmap(0, 0x1000, {RW}, MAP_PRIVATE, $fd, 0)",
        )
    for kind in ("anon", "shared", "memfd", "cow"):
        yield Row(
            f"{kind}.inherited",
            OBJECTS[kind],
            CHILD,
            f"{LOOK} ; child: peek($map, 8)",
            "child: peek($map, 8) ; poke($map, b'new') ; child: peek($map, 8)",
        )
        yield Row(
            f"{kind}.written_by_child", and_then(OBJECTS[kind], CHILD), "child: poke($map, b'child')", f"{LOOK} ; child: peek($map, 8)"
        )


def _mprotect(script: Script) -> Iterator[Row]:
    bits = script.names("PROT_", header=MMAN, but=("PROT_NONE", "PROT_WRITE"))
    for kind, make in OBJECTS.items():
        for number in range(8):
            for part, start, size in (("whole", 0, 0x4000), ("middle", 0x1000, 0x1000)):
                if number != 3:
                    after = REACH if kind == "anon" else ""
                    yield Row(
                        f"{kind}.{part}={number}",
                        make,
                        f"mprotect($map+{start}, {size}, {number})",
                        "",
                        after,
                        kind == "anon" and not number & 2,
                    )
    for bit in bits:
        yield Row(f"anon.{bit}", OBJECTS["anon"], f"mprotect($map, 0x4000, PROT_READ|{bit})", LOOK, REACH)
        down = f"map = mmap(0, 0x4000, {RW}, MAP_PRIVATE|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0) ; poke($map, b'stack')"
        yield Row(f"growsdown.{bit}", down, f"mprotect($map+8192, 0x1000, PROT_READ|{bit})", LOOK)


def _madvise(script: Script) -> Iterator[Row]:
    made = f"map = mmap(0x40000000, 0x400000, {RW}, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0)"
    huge = f"{made} ; poke($map, b'first') ; poke($map+2097152, b'x')"
    locked = f"{OBJECTS['anon']} ; mlock($map, 0x4000)"
    for advice in script.names("MADV_", header=MMAN, but=BEYOND):
        secure = "GUARD" in advice
        undone = f" ; madvise($map, 0x4000, {UNDOES[advice]})" if advice in UNDOES else ""
        tried = {k: OBJECTS[k] for k in ("anon", "memfd", "shared", "cow")} | {"locked": locked}
        for kind in ("anon", "memfd") if advice in HINTS else tried:
            yield Row(f"{kind}.{advice}", tried[kind] + undone, f"madvise($map, 0x4000, {advice})", "", REACH, secure)
        if advice not in HINTS:
            middle = f"madvise($map+4096, 0x1000, {advice})"
            yield Row(f"anon.middle.{advice}", OBJECTS["anon"] + undone, middle, "" if secure else LOOK, REACH, secure)
        if "HUGE" in advice or "COLLAPSE" in advice or advice in WITHOUT_CONTENT:
            yield Row(
                f"huge.{advice}", huge, f"madvise($map, 0x400000, {advice})", "" if secure else "peek($map+2097152, 16)", REACH, secure
            )
    for first, then in (
        ("DONTFORK", "WIPEONFORK"),
        ("DONTDUMP", "MERGEABLE"),
        ("HUGEPAGE", "DONTDUMP"),
        ("RANDOM", "DONTFORK"),
        ("SEQUENTIAL", "DONTDUMP"),
    ):
        state = f"madvise($map, 0x2000, MADV_{first}) ; madvise($map+4096, 0x2000, MADV_{then})"
        yield Row(f"anon.MADV_{first},MADV_{then}", OBJECTS["anon"], state, LOOK, REACH)


def _process_madvise() -> Iterator[Row]:
    make = f"{OBJECTS['anon']} ; me = getpid() ; pidfd = pidfd_open($me, 0)"
    for advice in ("MADV_COLD", "MADV_PAGEOUT", "MADV_WILLNEED", "MADV_COLLAPSE", "MADV_DONTNEED", "MADV_GUARD_INSTALL"):
        yield Row(f"anon.{advice}", make, f"process_madvise($pidfd, {{$map, <8:0x4000>}}, 1, {advice}, 0)", "", REACH)


def _mremap() -> Iterator[Row]:
    room = "to = mmap(0, 0x8000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
    for kind, make in OBJECTS.items():
        rows = {
            "shrink": "map = mremap($map, 0x4000, 0x1000, 0, 0)",
            "grow": "map = mremap($map, 0x4000, 0x8000, MREMAP_MAYMOVE, 0) ; poke($map+16384, b'')",
            "move": f"{room} ; map = mremap($map, 0x4000, 0x4000, MREMAP_MAYMOVE|MREMAP_FIXED, $to)",
            "part": f"{room} ; mremap($map+8192, 0x1000, 0x1000, MREMAP_MAYMOVE|MREMAP_FIXED, $to)",
            "dontunmap": "to = mremap($map, 0x4000, 0x4000, MREMAP_MAYMOVE|MREMAP_DONTUNMAP, 0)",
        }
        for name, state in rows.items():
            yield Row(f"{kind}.{name}", make, state, "peek($map, 8)", REACH)
    for kind in ("shared", "memfd"):
        yield Row(
            f"{kind}.double",
            OBJECTS[kind],
            "again = mremap($map, 0, 0x4000, MREMAP_MAYMOVE, 0)",
            f"{LOOK} ; peek($again, 8)",
            "poke($map, b'new') ; peek($again, 8)",
        )


def _mlock(script: Script) -> Iterator[Row]:
    resident = "mincore($map, 0x4000, [4])"
    for kind, make in OBJECTS.items():
        for name, state in {
            "whole": "mlock($map, 0x4000)",
            "middle": "mlock($map+4096, 0x1000)",
            "onfault": "mlock2($map, 0x4000, MLOCK_ONFAULT)",
            "unlocked": "mlock($map, 0x4000) ; munlock($map+4096, 0x1000)",
        }.items():
            yield Row(f"{kind}.{name}", make, state, LOOK, resident)
    flags = script.names("MCL_", header=MMAN)
    later = f"later = mmap(0, 0x4000, {RW}, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
    for count in range(1, len(flags) + 1):
        for chosen in combinations(flags, count):
            how = "|".join(chosen)
            yield Row(f"all.{how}", OBJECTS["anon"], f"mlockall({how})", LOOK, f"{later} ; mincore($later, 0x4000, [4])")
            yield Row(f"all.{how},munlock", OBJECTS["anon"], f"mlockall({how}) ; munlock($map+4096, 0x1000)", LOOK)
            yield Row(
                f"all.{how},munlockall",
                f"{OBJECTS['anon']} ; mlockall({how})",
                "munlockall()",
                LOOK,
                f"{later} ; mincore($later, 0x4000, [4])",
            )
    yield Row("all.MCL_CURRENT|MCL_FUTURE,mapped", "getpid()", f"mlockall(MCL_CURRENT|MCL_FUTURE) ; {OBJECTS['anon']}", LOOK)


def _munmap() -> Iterator[Row]:
    for kind, make in OBJECTS.items():
        yield Row(f"{kind}.middle", make, "munmap($map+4096, 0x1000)", LOOK, REACH)
        yield Row(f"{kind}.first", make, "munmap($map, 0x1000)", "peek($map+8192, 8)", REACH)
        again = "munmap($map+4096, 0x1000) ; mmap($map+4096, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
        yield Row(f"{kind}.replaced", make, again, LOOK, REACH)


def _mseal() -> Iterator[Row]:
    changes = ("mprotect($map, 0x1000, PROT_READ)", "munmap($map, 0x1000)", "madvise($map, 0x1000, MADV_DONTNEED)")
    tried = and_then(*changes, "mremap($map, 0x1000, 0x2000, 0, 0)")
    for kind, make in OBJECTS.items():
        yield Row(f"{kind}.whole", make, "mseal($map, 0x4000, 0)", LOOK, tried, security=True)
        yield Row(
            f"{kind}.middle", make, "mseal($map+4096, 0x1000, 0)", LOOK, "munmap($map+4096, 0x1000) ; munmap($map, 0x1000)", security=True
        )
        readonly = "mprotect($map, 0x4000, PROT_READ) ; mseal($map, 0x4000, 0)"
        yield Row(f"{kind}.readonly", make, readonly, LOOK, tried, security=True)


def _pkeys(script: Script) -> Iterator[Row]:
    rights = ("0", *script.names("PKEY_DISABLE_", header=MMAN), "3")
    for right in rights:
        allocated = f"key = pkey_alloc(0, {right})"
        yield Row(f"alloc.{right}", "getpid()", allocated, "", "pkey_alloc(0, 0)", security=True)
        yield Row(f"anon.{right}", OBJECTS["anon"], f"{allocated} ; pkey_mprotect($map, 0x4000, {RW}, $key)", "", REACH, security=True)
        yield Row(
            f"freed.{right}",
            OBJECTS["anon"],
            f"{allocated} ; pkey_mprotect($map, 0x4000, {RW}, $key) ; pkey_free($key)",
            "",
            "pkey_alloc(0, 0)",
        )
    yield Row("anon.0,whole", OBJECTS["anon"], "pkey_mprotect($map, 0x4000, PROT_READ, 0)", "", REACH)
    yield Row("anon.execute_only", OBJECTS["anon"], "mprotect($map, 0x4000, PROT_EXEC)", "", REACH, security=True)


def _brk() -> Iterator[Row]:
    make = "heap = brk(0)"
    for size in (1, 0x1000, 0x3000, 0x200000):
        yield Row(
            f"self.grown={size:#x}",
            make,
            f"brk($heap+{size}) ; poke($heap, b'h')" if size >= 0x1000 else f"brk($heap+{size})",
            "brk(0)",
            "brk(0)",
        )
    yield Row("self.shrunk", f"{make} ; brk($heap+0x3000) ; poke($heap, b'heap')", "brk($heap+0x1000)", "peek($heap, 8) ; brk(0)")
    yield Row("self.split", f"{make} ; brk($heap+0x4000) ; poke($heap, b'heap')", "munmap($heap+0x1000, 0x1000)", "peek($heap, 8) ; brk(0)")
    yield Row("child.grown", and_then(make, CHILD), "child: brk($heap+0x2000)", "brk(0) ; child: brk(0)")


def _nonlinear() -> Iterator[Row]:
    for kind in ("shared", "memfd", "file"):
        make = OBJECTS[kind]
        yield Row(f"{kind}.swapped", make, "remap_file_pages($map, 0x1000, 0, 2, 0)", LOOK, REACH)


def _shadow_stack(script: Script) -> Iterator[Row]:
    for flag in ("0", *script.names("SHADOW_STACK_", header=MMAN)):
        yield Row(f"self.{flag}", "getpid()", f"map = map_shadow_stack(0, 0x4000, {flag})", security=True)
