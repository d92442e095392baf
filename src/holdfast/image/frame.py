"""Frames: what the file `state` is made of; each says how long it is, what it holds and whether a reader may skip it.

Source:  docs/format.md, "Frame"
"""

from __future__ import annotations

import struct

from holdfast.errors import BadImage
from holdfast.image import broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x93HOLD\r\n\x1a"  # not text, not UTF-8, and broken by a newline-translating copy
FIXED = struct.Struct("<8sIHHIIQ")  # magic, header length, flags, kind length, record version, zero, payload length
MUST_UNDERSTAND = 1
CRITICAL_FLAGS = 0x00FF  # an unknown flag among these refuses; the others may be ignored
DIGEST_SIZE = 32
MAX_HEADER = 4096
MAX_KIND = 64
MAX_STATE = 1 << 30
_KIND_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


class Frame:
    """One frame of a state file: where it is, what its header says, where its payload lies.

    Unit:    start, payload, end are byte offsets in the state file; the digest follows the payload
    """

    __slots__ = ("digest", "end", "flags", "kind", "payload", "payload_end", "start", "version")

    def __init__(self, kind: str, version: int, flags: int, start: int, payload: int, payload_end: int, digest: bytes) -> None:
        self.kind, self.version, self.flags, self.start = kind, version, flags, start
        self.payload, self.payload_end, self.digest = payload, payload_end, digest
        self.end = payload_end + DIGEST_SIZE

    @property
    def must_understand(self) -> bool:
        """Whether a reader that does not know the kind has to refuse the image."""
        return bool(self.flags & MUST_UNDERSTAND)


def is_kind(name: str) -> bool:
    """Whether the text can name a kind: 1 to 64 of a-z 0-9 . _ -, starting with a letter."""
    return 0 < len(name) <= MAX_KIND and _KIND_LETTERS.issuperset(name) and "a" <= name[0] <= "z"


def pack(kind: str, version: int, payload: bytes, must_understand: bool = True) -> tuple[bytes, bytes]:
    """A whole frame, and its digest.

    Raises:  ValueError: the kind's name or the version cannot be stored
    """
    from blake3 import blake3  # here because it is a compiled module: a reader of text output never needs it

    if not is_kind(kind) or not 0 < version < 1 << 32:
        raise ValueError(f"{kind!r} version {version} cannot name a frame")
    name = kind.encode()
    header = FIXED.pack(MAGIC, FIXED.size + len(name), MUST_UNDERSTAND if must_understand else 0, len(name), version, 0, len(payload))
    body = b"".join((header, name, payload))
    digest = blake3(body).digest()
    return body + digest, digest


def scan(data: bytes, where: str = "state") -> Iterator[Frame]:
    """Every frame of a state file, in order, each with its digest checked.

    Raises:  bad_image.magic, truncated, malformed, frame_flag, digest
    """
    from blake3 import blake3  # see pack

    at, end = 0, len(data)
    while at < end:
        frame = _header(data, at, end, where)
        if blake3(memoryview(data)[at : frame.payload_end]).digest() != frame.digest:
            raise BadImage(
                "digest",
                f"the frame {frame.kind} is damaged",
                where=f"{where} byte {at}",
                why="its digest does not fit its content",
                do=broken.AGAIN,
            )
        yield frame
        at = frame.end


def find(data: bytes, at: int = 0) -> int:
    """The offset of the next thing that looks like a frame, or -1: where a tool that salvages a damaged file goes on."""
    return data.find(MAGIC, at)


def _header(data: bytes, at: int, end: int, where: str) -> Frame:
    place = f"{where} byte {at}"
    if data[at : at + 8] != MAGIC[: max(0, min(8, end - at))]:
        raise BadImage(
            "magic",
            "this is not a Holdfast image, or it is damaged",
            where=place,
            why=f"{data[at : at + 8].hex()} begins no frame",
            do=broken.AGAIN,
        )
    if end - at < FIXED.size:
        raise broken.truncated(place, f"{end - at} bytes are left, less than a header")
    _, header, flags, name_size, version, zero, size = FIXED.unpack_from(data, at)
    if not FIXED.size + name_size <= header <= MAX_HEADER or not 0 < name_size <= MAX_KIND or zero or not version:
        raise broken.damaged(place, f"impossible header: length {header} name {name_size} version {version} zero {zero}")
    if flags & CRITICAL_FLAGS & ~MUST_UNDERSTAND:
        raise BadImage(
            "frame_flag",
            "a frame has a flag that must be understood and is not",
            where=place,
            why=f"flags {flags:#06x}",
            do="restore with the version of holdfast that wrote the image, or a later one",
        )
    name_at = at + FIXED.size
    payload = at + header
    payload_end = payload + size
    if payload_end + DIGEST_SIZE > end:
        raise broken.truncated(place, f"the frame has {size} bytes of payload, {end - payload} are left")
    name = data[name_at : name_at + name_size].decode("latin-1")
    if not is_kind(name):
        raise broken.damaged(place, f"{name!r} is no kind's name")
    return Frame(name, version, flags, at, payload, payload_end, data[payload_end : payload_end + DIGEST_SIZE])
