"""Memory areas: /proc/PID/maps and /proc/PID/smaps.

Names are kept as the kernel prints them, for two reasons. A newline in a path is printed as `\\012` while a backslash is printed as
itself, so `\\012` may be either; and ` (deleted)` may be the kernel's word or the file's own name. Whoever must know opens
/proc/PID/map_files/START-END and asks fstat.
"""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed
from holdfast.model.record import Record

_SOURCE = "proc_pid_maps(5), Linux fs/proc/task_mmu.c show_map_vma"

_PROT = {a + b + c: (a == b"r") * 1 + (b == b"w") * 2 + (c == b"x") * 4 for a in (b"r", b"-") for b in (b"w", b"-") for c in (b"x", b"-")}

DELETED = b" (deleted)"


class Vma(Record):
    """One memory area: a range of pages with one protection and one origin."""

    start: int
    end: int
    prot: int  # PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4
    shared: bool  # VM_MAYSHARE: MAP_SHARED, even where the file was opened read-only
    offset: int  # bytes into the file; for private anonymous memory an old address, without meaning
    major: int
    minor: int
    inode: int
    name: bytes  # as printed, b"" when there is none

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    @property
    def has_file(self) -> bool:
        """A file lies behind it, if only the kernel's own (shared memory, a device, an anon_inode)."""
        return bool(self.inode or self.major or self.minor)

    @property
    def special(self) -> str:
        """The kernel's word for an area without file, such as `heap`, `stack`, `vdso`, `vvar_vclock`; empty for all others."""
        name = self.name
        if name[:1] != b"[" or self.has_file or name[:6] == b"[anon:":
            return ""
        return name[1:-1].decode("ascii", "backslashreplace")

    @property
    def anon_name(self) -> bytes | None:
        """The name given by PR_SET_VMA_ANON_NAME, or None; an empty name is not the same as none.

        Source:  PR_SET_VMA(2const); 9a10064f5625 ("mm: add a field to store names for private anonymous memory") (v5.17)
        """
        name = self.name
        if name[-1:] == b"]":
            if name[:6] == b"[anon:" and not self.has_file:
                return name[6:-1]
            if name[:12] == b"[anon_shmem:":
                return name[12:-1]
        return None

    @property
    def path(self) -> bytes:
        """The file's path without the kernel's ` (deleted)`; empty where there is no file; see `path_is_certain`."""
        if not self.has_file or self.name[:12] == b"[anon_shmem:":
            return b""
        return self.name.removesuffix(DELETED)

    @property
    def seems_deleted(self) -> bool:
        """The name ends in ` (deleted)`: the file has no name any more, or has this one."""
        return self.has_file and self.name.endswith(DELETED)

    @property
    def path_is_certain(self) -> bool:
        """The printed name can mean only one path."""
        return not self.name.endswith(DELETED) and b"\\012" not in self.name


class Smap(Record):
    """One memory area with its VmFlags and its counters."""

    vma: Vma
    flags: tuple[str, ...]  # two letters each, in the kernel's order; `??` is a bit for which this kernel has no letters
    lines: tuple[bytes, ...]  # every other line, as printed
    keyed: bool = False  # this kernel and processor have protection keys: one of the lines tells the area's

    def counters(self) -> dict[str, int]:
        """Every other key to its value.

        Unit:    bytes where the kernel prints kB, else as printed
        Raises:  kernel_lacks.proc_format: a value is no number
        """
        out: dict[str, int] = {}
        for line in self.lines:
            key, _, rest = line.partition(b":")
            words = rest.split()
            try:
                out[key.decode("ascii")] = int(words[0]) * (1024 if words[1:] == [b"kB"] else 1)
            except (ValueError, IndexError) as cause:
                raise malformed("smaps", line, _SOURCE) from cause
        return out


def _vma(line: bytes) -> Vma:
    words = line.split(None, 5)
    start, end = words[0].split(b"-")
    perms = words[1]
    major, minor = words[3].split(b":")
    kind = perms[3:]
    if kind not in {b"p", b"s"}:
        raise ValueError(perms)
    return Vma(
        int(start, 16),
        int(end, 16),
        _PROT[perms[:3]],
        kind == b"s",
        int(words[2], 16),
        int(major, 16),
        int(minor, 16),
        int(words[4]),
        words[5] if len(words) == 6 else b"",
    )


def parse_maps(data: bytes) -> list[Vma]:
    """The areas of /proc/PID/maps.

    Shape:   sorted by start, no overlaps; [vsyscall], which is no area of the process, is last where the kernel prints it
    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_pid_maps(5), Linux fs/proc/task_mmu.c show_map_vma
    """
    out = []
    line = b""
    try:
        for line in data.split(b"\n"):  # not splitlines: a path may hold a carriage return
            if line:
                out.append(_vma(line))
    except (ValueError, IndexError, KeyError) as cause:
        raise malformed("maps", line, _SOURCE) from cause
    return out


def parse_smaps(data: bytes) -> list[Smap]:
    """The areas of /proc/PID/smaps with VmFlags; the other lines are kept and read only when asked for.

    Shape:   as parse_maps
    Raises:  kernel_lacks.proc_format: a line of unknown form
    Source:  proc_pid_smaps(5), Linux fs/proc/task_mmu.c show_smap
    """
    out = []
    keyed = b"\nProtectionKey:" in data
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    # A header begins with a hexadecimal digit in lower case, a key with a capital letter.
    heads = [i for i, line in enumerate(lines) if not b"@" <= line[:1] <= b"Z"]
    heads.append(len(lines))
    if heads[0] != 0:
        raise malformed("smaps", lines[0], _SOURCE)
    i = 0
    try:
        for k in range(len(heads) - 1):
            i = heads[k]
            flags: tuple[str, ...] = ()
            rest = lines[i + 1 : heads[k + 1]]
            for j in range(len(rest) - 1, -1, -1):
                if rest[j][:8] == b"VmFlags:":
                    flags = tuple(rest.pop(j)[8:].decode("ascii").split())
                    break
            out.append(Smap(_vma(lines[i]), flags, tuple(rest), keyed))
    except (ValueError, IndexError, KeyError) as cause:
        raise malformed("smaps", lines[i], _SOURCE) from cause
    return out
