"""mm.vdso: the kernel's own areas that every process has: [vdso], [vvar] and [vvar_vclock].

Carries:  where they were; the engine moves the restored process's own there.
Loses:    nothing: a restore is refused where the running kernel's vdso is another one, because code that was inside it could
          not go on.
Sources:  vdso(7), Linux arch/x86/entry/vdso/vma.c; [vvar_vclock] since e93d2521b27f ("x86/vdso: Split virtual clock pages into
          dedicated mapping") (v6.13).
"""

from __future__ import annotations

from holdfast.kinds import areas
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from holdfast.kinds.contract import Difference, Host, Steps
    from holdfast.kinds.evidence import VmaEvidence
    from holdfast.model.ids import ObjectId

NAMES = ("vdso", "vvar", "vvar_vclock")


class KernelArea(Record):
    """One of the kernel's own areas; `digest` is of the code of [vdso], empty for the data areas."""

    start: int
    end: int
    name: str
    digest: bytes = b""


def detect(ev: VmaEvidence) -> Claim | None:
    """One of the three names."""
    return Claim(ev.vma.special) if ev.vma.special in NAMES else None


def dump(ev: VmaEvidence) -> KernelArea:
    """The area, and for [vdso] what code it holds."""
    v = ev.vma
    return KernelArea(v.start, v.end, v.special, _digest(ev) if v.special == "vdso" else b"")


def _digest(ev: VmaEvidence) -> bytes:
    from _blake2 import blake2b  # the C part of hashlib, which costs 3 ms to import

    with open(f"/proc/{int(ev.process.pid)}/mem", "rb", 0) as f:
        f.seek(ev.vma.start)
        return blake2b(f.read(ev.vma.size), digest_size=16).digest()


def ready(rec: KernelArea, host: Host) -> Iterator[Refusal]:
    """The restorer's own vdso must be the same code."""
    own = host.kernel_area(rec.name)
    if own is None or own.size != rec.end - rec.start or (rec.digest and own.digest != rec.digest):
        yield Refusal(
            "mm.vdso.differs",
            f"this kernel's [{rec.name}] is not the one that the image was made with",
            "/proc/self/maps",
            "a thread may have been inside it, and the C library holds addresses in it; vdso(7)",
            "restore on the kernel that the image names (see `holdfast show`)",
        )


def restore(rec: KernelArea, steps: Steps) -> None:
    """Nothing to emit: the engine moves these areas before anything else is mapped."""


def compare(before: KernelArea, after: KernelArea, where: ObjectId) -> Iterator[Difference]:
    """Every field."""
    return areas.compare("mm.vdso", where, before, after)


KIND: Any = Kind("mm.vdso", record=KernelArea, subject="vma", claims=True, watches=(Struct("vm_area_struct"),), verbs=verbs(__name__))
