"""What a kind may ask about the machine that a restore is to happen on."""

from __future__ import annotations

import os
from _blake2 import blake2b

from holdfast.kernel.procfs.maps import parse_maps
from holdfast.kernel.source import Live
from holdfast.kinds.contract import Host
from holdfast.model.record import Record
from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from holdfast.model.ids import ObjectId


class KernelArea(Record):
    """One of our own kernel areas: its size, and for [vdso] a digest of its code."""

    size: int
    digest: bytes


class LiveHost(Host):
    """This machine, seen from the root directory that the restored tree will have."""

    def __init__(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        self._records = records
        self._stats: dict[bytes, Any] = {}

    def stat(self, path: bytes) -> Any:
        """os.stat_result of a path, or None."""
        if path not in self._stats:
            try:
                self._stats[path] = os.stat(path)
            except OSError:
                self._stats[path] = None
        return self._stats[path]

    def record_of(self, subject: ObjectId, kind: str) -> Any:
        """The record that a kind keeps about a subject, or None."""
        return self._records.get(kind, {}).get(subject)

    def kernel_area(self, name: str) -> Any:
        """Size and digest of one of our own kernel areas, or None."""
        if not _own:
            _own.update(_own_areas())
        return _own.get(name)


_own: dict[str, KernelArea] = {}  # as long as this process runs this program they are the same


def _own_areas() -> dict[str, KernelArea]:
    with Live("/proc/self") as source:
        text = source.read("maps")
    found = {}
    # a large program that restores has thousands of areas, and the kernel's are named: Linux fs/proc/task_mmu.c
    for v in parse_maps(b"".join(line for line in text.splitlines(True) if line.endswith(b"]\n"))):
        if v.special in ("vdso", "vvar", "vvar_vclock"):
            code = ptrace.read_memory(os.getpid(), v.start, v.size) if v.special == "vdso" else b""
            found[v.special] = KernelArea(v.size, blake2b(code, digest_size=16).digest() if code else b"")
    return found
