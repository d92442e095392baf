"""Deterministic CBOR, the subset that images are made of: integers, bytes, text, arrays, text-keyed maps, false, true, null.

Own code because the usual package takes 9 ms to import, as much as a whole small dump may take (decisions/0010); a test
holds every output equal to that package's canonical form. The decoder accepts deterministic encodings only, so one value has one form.
Source:  RFC 8949 sections 3, 4.2.1 (deterministic encoding) and 3.4.3 (big integers).
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

MAX_DEPTH = 32
MAX_BIG = 128  # bytes of a big integer's magnitude

_U8 = struct.Struct(">BB").pack
_U16 = struct.Struct(">BH").pack
_U32 = struct.Struct(">BI").pack
_U64 = struct.Struct(">BQ").pack
_R16 = struct.Struct(">H").unpack_from
_R32 = struct.Struct(">I").unpack_from
_R64 = struct.Struct(">Q").unpack_from
_BOOLS = b"\xf4\xf5"
_BIG_TAGS = b"\xc2\xc3"
_SMALL = tuple(bytes((n,)) for n in range(24))


class Malformed(ValueError):
    """Bytes that are not the deterministic CBOR of any value; `at` is the offset."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(f"{why} at byte {at}")
        self.why, self.at = why, at


class Names(tuple[str, ...]):
    """A tuple of text; such tuples repeat within a column, so each distinct one is encoded once."""

    __slots__ = ()


def head(major: int, n: int) -> bytes:
    """The initial bytes of an item: major type and argument in its shortest form."""
    lead = major << 5
    if n < 24:
        return bytes((lead | n,))
    if n < 0x100:
        return _U8(lead | 24, n)
    if n < 0x10000:
        return _U16(lead | 25, n)
    if n < 0x100000000:
        return _U32(lead | 26, n)
    return _U64(lead | 27, n)


def _int(n: int) -> bytes:
    if 0 <= n < 24:
        return _SMALL[n]
    if n >= 0x100000000:
        if n < 0x10000000000000000:
            return _U64(0x1B, n)
        return _big(2, n)
    if n >= 0:
        return head(0, n)
    n = -1 - n
    return head(1, n) if n < 0x10000000000000000 else _big(3, n)


def _big(tag: int, n: int) -> bytes:
    raw = n.to_bytes((n.bit_length() + 7) // 8, "big")
    if len(raw) > MAX_BIG:
        raise ValueError(f"an integer of {len(raw)} bytes; an image holds at most {MAX_BIG}")
    return head(6, tag) + head(2, len(raw)) + raw


def _bytes(b: bytes) -> bytes:
    return head(2, len(b)) + b


def _text(s: str) -> bytes:
    raw = s.encode()
    return head(3, len(raw)) + raw


def _array(items: Iterable[Any]) -> bytes:
    items = list(items)
    if len(items) == 1:
        return b"\x81" + encode(items[0])
    kinds = set(map(type, items))
    if len(kinds) == 1:
        kind = kinds.pop()
        if kind is int:
            return head(4, len(items)) + b"".join(map(_int, items))
        if kind is str or kind is Names:  # values repeat: encode each distinct one once
            put: Callable[[Any], bytes] = _text if kind is str else _array
            once = {v: put(v) for v in set(items)}
            return head(4, len(items)) + b"".join([once[v] for v in items])
    return head(4, len(items)) + b"".join(map(encode, items))


def _map(items: dict[str, Any]) -> bytes:
    pairs = sorted((_text(key), value) for key, value in items.items())
    return head(5, len(pairs)) + b"".join([key + encode(value) for key, value in pairs])


_PUT: dict[type, Callable[[Any], bytes]] = {
    int: _int,
    str: _text,
    bytes: _bytes,
    list: _array,
    tuple: _array,
    Names: _array,
    dict: _map,
    bool: lambda v: b"\xf5" if v else b"\xf4",
    type(None): lambda _: b"\xf6",
}


def encode(value: Any) -> bytes:
    """The one deterministic encoding of a value.

    Shape:   exact types only: int, bool, bytes, str, None, list or tuple, dict with str keys
    Raises:  TypeError: any other type, floats among them; ValueError: text that is not Unicode, an integer above 128 bytes
    """
    put = _PUT.get(type(value))
    if put is None:
        raise TypeError(f"{type(value).__name__} has no place in an image")
    return put(value)


def decode(data: bytes, start: int = 0, end: int | None = None) -> Any:
    """The value that `data[start:end]` encodes, all of it.

    Shape:   int, bool, bytes, str, None, list, dict with str keys
    Raises:  Malformed: not deterministic, truncated, too deep, a type outside the subset, bytes left over
    """
    stop = len(data) if end is None else end
    value, at = _item(data, start, stop, 0)
    if at != stop:
        raise Malformed("bytes after the value", at)
    return value


def _item(data: bytes, at: int, end: int, depth: int) -> tuple[Any, int]:
    if at >= end:
        raise Malformed("truncated", at)
    lead = data[at]
    arg = lead & 31
    start = at
    if arg < 24:
        at += 1
    else:
        arg, at = _argument(data, at, end)
    major = lead >> 5
    if major == 0:
        return arg, at
    if 2 <= major <= 3:
        stop = at + arg
        if stop > end:
            raise Malformed(f"{arg} bytes promised, {end - at} there", start)
        if major == 2:
            return data[at:stop], stop
        try:
            return str(data[at:stop], "utf-8"), stop
        except UnicodeDecodeError:
            raise Malformed("text that is not UTF-8", start) from None
    if major == 4:
        if arg > end - at:
            raise Malformed(f"{arg} items promised, {end - at} bytes there", start)
        if depth >= MAX_DEPTH:
            raise Malformed(f"nested deeper than {MAX_DEPTH}", start)
        return _read_array(data, at, end, arg, depth + 1)
    if major == 5:
        return _read_map(data, start, at, end, arg, depth)
    if major == 1:
        return -1 - arg, at
    if lead in _BOOLS:
        return lead == 0xF5, at
    if lead == 0xF6:
        return None, at
    if lead in _BIG_TAGS:
        return _read_big(data, start, at, end, lead)
    raise Malformed(f"initial byte {lead:#04x} is not in the subset", start)


# The most frequent items are read without a call each: small integers, addresses, short text.
def _read_array(data: bytes, at: int, end: int, count: int, depth: int) -> tuple[list[Any], int]:
    out: list[Any] = []
    push = out.append
    try:
        for _ in range(count):
            lead = data[at] if at < end else 0xFF
            if lead < 24:
                push(lead)
                at += 1
            elif 0x60 <= lead < 0x78 and at + lead - 0x5F <= end:
                stop = at + lead - 0x5F
                push(str(data[at + 1 : stop], "utf-8"))
                at = stop
            elif lead == 0x1B and at + 9 <= end and data[at + 1 : at + 5] != b"\0\0\0\0":
                push(_R64(data, at + 1)[0])
                at += 9
            else:
                value, at = _item(data, at, end, depth)
                push(value)
    except UnicodeDecodeError:
        raise Malformed("text that is not UTF-8", at) from None
    return out, at


# An argument longer than the initial byte; RFC 8949 section 4.2.1 wants the shortest form.
def _argument(data: bytes, at: int, end: int) -> tuple[int, int]:
    size = (data[at] & 31) - 24
    if size > 3 or data[at] >> 5 == 7:
        raise Malformed(f"initial byte {data[at]:#04x} is not in the subset", at)
    stop = at + 1 + (1 << size)
    if stop > end:
        raise Malformed("truncated", at)
    if size == 0:
        arg, least = data[at + 1], 24
    elif size == 1:
        arg, least = _R16(data, at + 1)[0], 0x100
    elif size == 2:
        arg, least = _R32(data, at + 1)[0], 0x10000
    else:
        arg, least = _R64(data, at + 1)[0], 0x100000000
    if arg < least:
        raise Malformed(f"{arg} is not in its shortest form", at)
    return arg, stop


def _read_map(data: bytes, start: int, at: int, end: int, count: int, depth: int) -> tuple[dict[str, Any], int]:
    if count * 2 > end - at:
        raise Malformed(f"{count} pairs promised, {end - at} bytes there", start)
    if depth >= MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH}", start)
    out: dict[str, Any] = {}
    last = b""
    for _ in range(count):
        key_at = at
        lead = data[at] if at < end else 0xFF
        if 0x60 <= lead < 0x78 and at + lead - 0x5F <= end:  # short text, as in _read_array
            at += lead - 0x5F
            try:
                key = str(data[key_at + 1 : at], "utf-8")
            except UnicodeDecodeError:
                raise Malformed("text that is not UTF-8", key_at) from None
        else:
            key, at = _item(data, at, end, MAX_DEPTH)
            if type(key) is not str:
                raise Malformed("a map key that is not text", key_at)
        raw = data[key_at:at]
        if raw <= last:
            raise Malformed("map keys out of order or twice", key_at)
        last = raw
        lead = data[at] if at < end else 0xFF
        if lead < 24:
            out[key] = lead
            at += 1
        else:
            out[key], at = _item(data, at, end, depth + 1)
    return out, at


def _read_big(data: bytes, start: int, at: int, end: int, lead: int) -> tuple[int, int]:
    raw, at = _item(data, at, end, MAX_DEPTH)
    if type(raw) is not bytes or not 8 < len(raw) <= MAX_BIG or raw[0] == 0:
        raise Malformed("a big integer that is not deterministic or too long", start)
    n = int.from_bytes(raw, "big")
    return (n if lead == 0xC2 else -1 - n), at
