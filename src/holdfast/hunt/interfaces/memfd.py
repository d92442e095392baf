"""Recipes of files in memory: every MFD_* flag, each F_SEAL_* and pair of them, sizes, holes, modes, owners, names, secret memory.

What a seal forbids is tried after the restore.

Source:  memfd_create(2), fcntl(2) F_ADD_SEALS, fallocate(2), memfd_secret(2)
"""

from __future__ import annotations

from itertools import combinations

from holdfast.hunt.actors import CHILD, and_then, by
from holdfast.hunt.interfaces.memory import FD, LOOK, OBJECTS, RW
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """The file, then its seals."""
    script = Script(constants)
    yield from script.recipes("memfd_create", _memfd(script))
    yield from script.recipes("seals", _seals(script))


WRITE = "pwrite64($fd, b'x', 1, 0) ; fchmod($fd, 0x1ed)"
STATUS = "fcntl($fd, F_GETFD) ; fcntl($fd, F_GETFL) ; fcntl($fd, F_GET_SEALS) ; lseek($fd, 0, SEEK_CUR)"


def _memfd(script: Script) -> Iterator[Row]:
    flags = script.names("MFD_", header="linux/memfd.h", but=("MFD_HUGE_SHIFT", "MFD_HUGE_MASK"))
    after = f"ftruncate($fd, 0x2000) ; {WRITE} ; fcntl($fd, F_ADD_SEALS, F_SEAL_GROW) ; fcntl($fd, F_GET_SEALS)"
    for flag in flags:
        huge = "MFD_HUGETLB|" if flag.startswith("MFD_HUGE_") else ""
        secure = "SEAL" in flag or "EXEC" in flag
        yield Row(f"fd.{huge}{flag}", "getpid()", f"fd = memfd_create(b'hunt\\0', {huge}{flag})", STATUS, after, secure)
    plain = [f for f in flags if not f.startswith("MFD_HUGE")]
    for chosen in combinations(plain, 2):
        how = "|".join(chosen)
        yield Row(f"fd.{how}", "getpid()", f"fd = memfd_create(b'hunt\\0', {how})", STATUS, after, "SEAL" in how)
    for name in ("", "a b", "x" * 249, "\\\\n(deleted)", "\\xff"):
        yield Row(f"fd.name={name[:12]}", "getpid()", f"fd = memfd_create(b'{name}\\0', 0)", STATUS)
    for size in (0, 1, 4095, 4097, 1 << 20, 1 << 32, (1 << 63) - 1):
        yield Row(f"fd.size={size}", FD, f"ftruncate($fd, {size})", STATUS, "lseek($fd, 0, SEEK_END)")
    for mode in (0, 0o400, 0o666, 0o777, 0o4755, 0o1777):
        yield Row(f"fd.mode={mode:o}", FD, f"fchmod($fd, {mode})", STATUS)
    for uid, gid in ((1000, -1), (-1, 1000), (65534, 65534)):
        yield Row(f"fd.owner={uid},{gid}", FD, f"fchown($fd, {uid}, {gid})", STATUS)
    content = f"{FD} ; pwrite64($fd, b'head', 4, 0) ; pwrite64($fd, b'tail', 4, 0x3ffc)"
    look = "pread64($fd, [8], 8, 0) ; pread64($fd, [8], 8, 0x2000) ; pread64($fd, [4], 4, 0x3ffc)"
    yield Row("fd.written", FD, content.removeprefix(FD + " ; "), look)
    holes = f"{look} ; lseek($fd, 0, SEEK_DATA) ; lseek($fd, 0, SEEK_HOLE) ; lseek($fd, 0, SEEK_SET)"
    at = {"FALLOC_FL_PUNCH_HOLE": "0, 0x1000", "FALLOC_FL_KEEP_SIZE": "0x8000, 0x1000"}
    for flag in script.names("FALLOC_FL_", header="linux/falloc.h"):
        how = f"{flag}|FALLOC_FL_KEEP_SIZE" if "PUNCH" in flag else flag
        yield Row(f"fd.fallocate.{how}", content, f"fallocate($fd, {how}, {at.get(flag, '0x1000, 0x2000')})", holes)
    yield Row("fd.fallocate.0", content, "fallocate($fd, 0, 0x8000, 0x1000)", holes)
    yield Row("fd.lseek", content, "lseek($fd, 0x1234, SEEK_SET)", STATUS, "read($fd, [4], 4)")
    yield Row(
        "fd.xattr",
        FD,
        "fsetxattr($fd, b'user.hunt\\0', b'value', 5, 0)",
        "fgetxattr($fd, b'user.hunt\\0', [16], 16) ; flistxattr($fd, [64], 64)",
    )
    yield Row("fd.trusted", FD, "fsetxattr($fd, b'trusted.hunt\\0', b'v', 1, 0)", "fgetxattr($fd, b'trusted.hunt\\0', [16], 16)")
    yield Row("fd.times", FD, "utimensat($fd, 0, <8:1000000000> <8:1> <8:2000000000> <8:999999999>, 0)", STATUS)
    for flags_of in ("0", "O_CLOEXEC"):
        secret = f"fd = memfd_secret({flags_of}) ; ftruncate($fd, 0x1000) ; map = mmap(0, 0x1000, {RW}, MAP_SHARED, $fd, 0)"
        yield Row(f"secret.{flags_of}", "getpid()", secret, "fcntl($fd, F_GETFD)", "mincore($map, 0x1000, [1])", security=True)


def _seals(script: Script) -> Iterator[Row]:
    seals = script.names("F_SEAL_", header="linux/fcntl.h")
    tried = (
        f"ftruncate($fd, 0x1000) ; ftruncate($fd, 0x8000) ; {WRITE} ; fcntl($fd, F_ADD_SEALS, F_SEAL_SEAL)"
        f" ; fcntl($fd, F_GET_SEALS) ; mmap(0, 0x1000, {RW}, MAP_SHARED, $fd, 0)"
    )
    for count in (1, 2, len(seals)):
        for chosen in combinations(seals, count):
            how = "|".join(chosen)
            yield Row(f"memfd.{how}", FD, f"fcntl($fd, F_ADD_SEALS, {how})", STATUS, tried, security=True)
    for seal in seals:
        sealed = f"fcntl($fd, F_ADD_SEALS, {seal})"
        yield Row(f"mapped.{seal}", OBJECTS["memfd"], sealed, f"{STATUS} ; {LOOK}", tried, security=True)
        readonly = f"{FD} ; map = mmap(0, 0x4000, PROT_READ, MAP_SHARED, $fd, 0)"
        yield Row(
            f"readonly.{seal}", readonly, sealed, f"{STATUS} ; peek($map, 8)", f"mprotect($map, 0x1000, {RW}) ; {tried}", security=True
        )
        child = and_then(FD, CHILD)
        yield Row(f"inherited.{seal}", child, by("child", sealed), f"{STATUS} ; {by('child', STATUS)}", tried, security=True)
    yield Row(
        "memfd.cleared",
        "fd = memfd_create(b'hunt\\0', MFD_NOEXEC_SEAL)",
        "fcntl($fd, F_ADD_SEALS, F_SEAL_WRITE)",
        STATUS,
        tried,
        security=True,
    )
