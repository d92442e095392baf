"""Which kernel, which tool, which parent and which mandatory features an image has: what a reader looks at first."""

from __future__ import annotations

from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.model.ids import ObjectId

KIND = "image.inventory"
VERSION = 1
FEATURES: frozenset[str] = frozenset({"zstd", "incremental"})  # what a reader of this version can do beyond plain images


class Inventory(Record):
    """The facts about an image as a whole.

    Unit:    created_ns since 1970-01-01 UTC; page_size in bytes
    """

    tool: str  # "holdfast 0.1.0"
    kernel: str  # uname -r; for reports only, never for decisions
    machine: str  # "x86_64"
    created_ns: int = field(unit="ns")
    root: ObjectId  # the process that the dump was asked for
    page_size: int = field(default=4096, unit="bytes")
    features: frozenset[str] = frozenset()  # a reader that lacks one refuses
    parent: bytes | None = None  # the digest of the image that in-parent runs point into
    parent_name: bytes | None = field(default=None, may_ignore=True)  # a hint for people; the digest decides
    kernel_build: str = field(default="", may_ignore=True)  # uname -v
    boot_id: str = field(default="", may_ignore=True)
    command: tuple[bytes, ...] = field(default=(), may_ignore=True)  # argv of the root process, for people
    left_running: bool = field(default=False, may_ignore=True)
    stopped_ns: int = field(default=0, unit="ns", may_ignore=True)  # how long the target stood still
