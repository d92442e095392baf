"""Every error family, its stable code, its exit code.

A family says who must act; a code such as `refused.fd.io_uring` says what happened and never changes.
docs/errors.md is generated from CODES and FAMILIES.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar


class HoldfastError(Exception):
    """Something Holdfast could not do, in four parts: what, where, why, what to do."""

    family: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 70
    acts: ClassVar[str] = "us: report it"

    def __init__(self, code: str, what: str, *, where: str = "", why: str = "", do: str = "") -> None:
        super().__init__(what)
        self.code = f"{self.family}.{code}" if code else self.family
        self.what, self.where, self.why, self.do = what, where, why, do

    def parts(self) -> dict[str, str]:
        """The error as plain fields: code, what, where, why, do."""
        return {"code": self.code, "what": self.what, "where": self.where, "why": self.why, "do": self.do}

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.what}"]
        lines += [f"  {name:<5}  {value}" for name, value in list(self.parts().items())[2:] if value]
        return "\n".join(lines)


class UsageError(HoldfastError):
    """The call itself is wrong."""

    family = "usage"
    exit_code = 2
    acts = "the caller"


class Refused(HoldfastError):
    """State that cannot be carried; every refusal at once, nothing was touched."""

    family = "refused"
    exit_code = 10
    acts = "the owner of the program"

    def __init__(self, code: str, what: str, *, refusals: Sequence[Any] = (), where: str = "", why: str = "", do: str = "") -> None:
        super().__init__(code, what, where=where, why=why, do=do)
        self.refusals = tuple(refusals)

    def __str__(self) -> str:
        return "\n".join([super().__str__() if not self.refusals else f"{self.code}: {self.what}", *(str(r) for r in self.refusals)])


class KernelLacks(HoldfastError):
    """This kernel, or this user on it, cannot do what is needed."""

    family = "kernel_lacks"
    exit_code = 20
    acts = "the administrator"


class BadImage(HoldfastError):
    """The image is damaged, unsealed, not ours to trust, or holds what this version must understand and does not."""

    family = "bad_image"
    exit_code = 30
    acts = "the owner of the image"


class TargetChanged(HoldfastError):
    """The target changed under our hands: it died, forked or was traced by another."""

    family = "target_changed"
    exit_code = 40
    acts = "nobody: try again"


class Differs(HoldfastError):
    """What was restored is not what was dumped; the restored tree was destroyed."""

    family = "differs"
    exit_code = 50
    acts = "the operator: do not trust this restore"


class Found(HoldfastError):
    """A hunt, a drift or a tag check found something."""

    family = "found"
    exit_code = 60
    acts = "the reader of the finding"


class InternalError(HoldfastError):
    """A mistake of ours."""


FAMILIES: tuple[type[HoldfastError], ...] = (UsageError, Refused, KernelLacks, BadImage, TargetChanged, Differs, Found, InternalError)
