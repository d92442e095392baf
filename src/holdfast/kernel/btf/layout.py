"""A struct as its leaf fields: path, type, place and size; anonymous members are inlined.

A leaf is a member that is not an anonymous struct or union: an embedded named struct is one leaf, and has a layout of its own.
"""

from __future__ import annotations

from holdfast.kernel.btf.decode import ARRAY, INT, STRUCT, UNION, Btf, malformed
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 32
_MOST = 100_000  # members visited for one struct; the largest real one has under 1,000


class Leaf(Record):
    """One leaf field of a struct."""

    path: str
    type: str  # C-like text
    bit_offset: int
    bitfield_bits: int  # 0: not a bitfield
    size: int
    holds: str = ""  # the named struct or union that it embeds by value (also as an array), if any
    integer: str = ""  # u16, s64, bool8 where the type is an integer under whatever name


class Layout(Record):
    """One struct: its size in bytes and its leaf fields in the order of the source."""

    name: str
    size: int
    leaves: tuple[Leaf, ...]


def leaves(btf: Btf, type_id: int) -> Iterator[Leaf]:
    """The leaf fields of a struct or union, in the order of the source.

    Shape:   an unnamed member adds nothing to the path; a named member of an unnamed struct type adds `name.`
    """
    return _leaves(btf, type_id, "", 0, 0, [_MOST])


def _leaves(btf: Btf, type_id: int, prefix: str, base: int, depth: int, left: list[int]) -> Iterator[Leaf]:
    # `left` bounds the whole walk: a hostile blob could otherwise nest two anonymous members 32 deep
    members = btf.members(type_id)
    left[0] -= len(members)
    if depth > _DEEPEST or left[0] < 0:
        raise malformed(f"type {type_id} holds itself", btf.where)
    for member in members:
        bottom = btf.strip(member.type)
        kind = btf.kind(bottom)
        if kind in (STRUCT, UNION) and (not member.name or not btf.name(bottom)):
            inner = f"{prefix}{member.name}." if member.name else prefix
            yield from _leaves(btf, bottom, inner, base + member.bit_offset, depth + 1, left)
        else:
            yield Leaf(
                prefix + member.name,
                btf.text(member.type),
                base + member.bit_offset,
                member.bitfield_bits,
                btf.size(member.type),
                embedded(btf, member.type),
                integer(btf, bottom),
            )


def embedded(btf: Btf, type_id: int) -> str:
    """The name of the struct or union that a member of this type embeds by value, through arrays; empty when it embeds none."""
    for _ in range(_DEEPEST):
        type_id = btf.strip(type_id)
        kind = btf.kind(type_id)
        if kind in (STRUCT, UNION):
            return btf.name(type_id)
        if kind != ARRAY:
            return ""
        type_id = btf.array(type_id)[0]
    raise malformed(f"type {type_id} is an array of itself", btf.where)


def integer(btf: Btf, type_id: int) -> str:
    """An integer type by sign and width, equal for all its names; empty for any other type."""
    if btf.kind(type_id) != INT:
        return ""
    encoding, _, _ = btf.int_encoding(type_id)
    return f"{'bool' if encoding & 4 else 's' if encoding & 1 else 'u'}{btf.size(type_id) * 8}"


def layout(btf: Btf, name: str) -> Layout | None:
    """The layout of the struct or union with this name; None when this kernel has none."""
    type_id = btf.find(name, STRUCT, UNION)
    if not type_id:
        return None
    return Layout(name, btf.size(type_id), tuple(leaves(btf, type_id)))
