"""kernel/btf/decode.py: small blobs made by hand, every kind, split BTF, and damaged blobs."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest

from holdfast.errors import UsageError
from holdfast.kernel.btf import decode
from holdfast.kernel.btf.decode import Btf, Member
from holdfast.kernel.btf.layout import layout, leaves


class Writer:
    """Writes a blob, type by type; strings are shared, ids count up from 1 (or from the base's)."""

    def __init__(self, base: Btf | None = None) -> None:
        self.types, self.strings, self.base = b"", b"" if base else b"\0", base
        self.next = base.count if base else 1

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1 + (self.base.string_end if self.base else 0)

    def add(self, kind: int, name: str, third: int, *words: int, vlen: int = 0, flag: bool = False) -> int:
        self.types += struct.pack("<III", self.name(name), vlen | kind << 24 | flag << 31, third & 0xFFFFFFFF)
        self.types += b"".join(struct.pack("<I", w & 0xFFFFFFFF) for w in words)
        self.next += 1
        return self.next - 1

    def struct(self, name: str, size: int, *members: tuple[str, int, int], flag: bool = False, kind: int = decode.STRUCT) -> int:
        words = [w for n, t, bits in members for w in (self.name(n), t, bits)]
        return self.add(kind, name, size, *words, vlen=len(members), flag=flag)

    def blob(self) -> bytes:
        lengths = (0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, *lengths) + self.types + self.strings


def every_kind() -> tuple[Writer, dict[str, int]]:
    w, ids = Writer(), {}
    ids["int"] = w.add(decode.INT, "int", 4, 1 << 24 | 32)
    ids["u8"] = w.add(decode.INT, "u8", 1, 8)
    ids["ptr"] = w.add(decode.PTR, "", ids["int"])
    ids["array"] = w.add(decode.ARRAY, "", 0, ids["int"], ids["int"], 3)
    ids["fwd"] = w.add(decode.FWD, "unseen", 0, flag=True)
    ids["inner"] = w.struct("", 8, ("x", ids["int"], 0), ("y", ids["ptr"], 0), kind=decode.UNION)
    ids["enum"] = w.add(decode.ENUM, "colour", 4, w.name("RED"), -1, w.name("BLUE"), 7, vlen=2, flag=True)
    ids["enum64"] = w.add(decode.ENUM64, "wide", 8, w.name("HUGE"), 5, 1 << 31, vlen=1)
    ids["const"] = w.add(decode.CONST, "", ids["int"])
    ids["volatile"] = w.add(decode.VOLATILE, "", ids["const"])
    ids["tag"] = w.add(decode.TYPE_TAG, "rcu", ids["volatile"])
    ids["typedef"] = w.add(decode.TYPEDEF, "count_t", ids["tag"])
    ids["restrict"] = w.add(decode.RESTRICT, "", ids["ptr"])
    ids["float"] = w.add(decode.FLOAT, "double", 8)
    ids["proto"] = w.add(decode.FUNC_PROTO, "", ids["int"], w.name("a"), ids["u8"], 0, 0, vlen=2)
    ids["func"] = w.add(decode.FUNC, "run", ids["proto"], vlen=1)
    ids["fnptr"] = w.add(decode.PTR, "", ids["proto"])
    ids["var"] = w.add(decode.VAR, "global", ids["int"], 1)
    ids["datasec"] = w.add(decode.DATASEC, ".data", 16, ids["var"], 8, 4, vlen=1)
    ids["decl_tag"] = w.add(decode.DECL_TAG, "kfunc", ids["func"], -1)
    ids["named"] = w.struct("named", 4, ("v", ids["int"], 0))
    ids["row"] = w.add(decode.ARRAY, "", 0, ids["named"], ids["int"], 2)
    bits = 3 << 24 | 5  # 3 bits at bit 5
    ids["outer"] = w.struct(
        "outer",
        64,
        ("first", ids["typedef"], 0),
        ("flags", ids["int"], bits),
        ("", ids["inner"], 64),
        ("u", ids["inner"], 128),
        ("list", ids["row"], 192),
        ("cb", ids["fnptr"], 256),
        flag=True,
    )
    return w, ids


def test_every_kind_is_decoded() -> None:
    w, ids = every_kind()
    btf = Btf(w.blob())
    assert btf.count == w.next
    kinds = {name: decode.KIND_NAMES[btf.kind(t)] for name, t in ids.items() if name.upper() in decode.KIND_NAMES}
    assert kinds == {name: name.upper() for name in kinds}
    assert len(kinds) == 15
    assert btf.enumerators(ids["enum"]) == {"RED": -1, "BLUE": 7}
    assert btf.enumerators(ids["enum64"]) == {"HUGE": 5 | 1 << 63}
    assert btf.array(ids["array"]) == (ids["int"], ids["int"], 3)
    assert btf.int_encoding(ids["int"]) == (1, 0, 32)
    assert btf.parameters(ids["proto"]) == (("a", ids["u8"]), ("", 0))
    assert btf.variables(ids["datasec"]) == ((ids["var"], 8, 4),)
    assert btf.tag_component(ids["decl_tag"]) == -1
    assert btf.strip(ids["typedef"]) == ids["int"]
    assert (btf.size(ids["array"]), btf.size(ids["typedef"]), btf.size(ids["ptr"]), btf.size(0)) == (12, 4, 8, 0)
    assert btf.text(ids["fnptr"]) == "int (*)(u8, ...)"
    assert btf.text(ids["fwd"]) == "union unseen"
    assert btf.find("outer") == ids["outer"]
    assert btf.find("colour", decode.ENUM) == ids["enum"]
    assert btf.find("absent") == 0


def test_leaves_inline_anonymous_members_and_keep_bitfields() -> None:
    w, _ = every_kind()
    found = layout(Btf(w.blob()), "outer")
    assert found is not None
    seen = [(f.path, f.type, f.bit_offset, f.bitfield_bits, f.size, f.holds) for f in found.leaves]
    assert seen == [
        ("first", "count_t", 0, 0, 4, ""),
        ("flags", "int", 5, 3, 4, ""),
        ("x", "int", 64, 0, 4, ""),
        ("y", "int*", 64, 0, 8, ""),
        ("u.x", "int", 128, 0, 4, ""),
        ("u.y", "int*", 128, 0, 8, ""),
        ("list", "struct named[2]", 192, 0, 8, "named"),
        ("cb", "int (*)(u8, ...)", 256, 0, 8, ""),
    ]


def test_a_module_continues_the_ids_and_strings_of_its_kernel() -> None:
    w, ids = every_kind()
    base = Btf(w.blob())
    split = Writer(base)
    t = split.struct("mod_state", 8, ("mine", ids["named"], 0), ("theirs", ids["int"], 32))
    module = Btf(split.blob(), base, "module")
    assert t == base.count
    assert module.members(t) == (Member("mine", ids["named"], 0, 0), Member("theirs", ids["int"], 32, 0))
    assert [f.path for f in leaves(module, module.find("mod_state"))] == ["mine", "theirs"]
    assert module.find("outer") == ids["outer"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda b: b[:10], "shorter than the header"),
        (lambda b: b"\xeb\x9f" + b[2:], "big-endian"),
        (lambda b: b[:2] + b"\x02" + b[3:], "version 2"),
        (lambda b: b[:4] + struct.pack("<I", 8) + b[8:], "header length 8"),
        (lambda b: b[:12] + struct.pack("<I", 1 << 30) + b[16:], "past the end"),
        (lambda b: b[:12] + struct.pack("<I", 6) + b[16:], "32-bit words"),
        (lambda b: b[:-1] + b"x", "zero byte"),
        (lambda b: b[:31] + b"\x1f" + b[32:], "unknown kind 31"),
        (lambda b: b[:12] + struct.pack("<I", 20) + b[16:], "past the type section"),
    ],
)
def test_a_damaged_header_is_named(damage: object, says: str) -> None:
    assert callable(damage)
    with pytest.raises(UsageError) as caught:
        Btf(damage(every_kind()[0].blob()))
    assert says in caught.value.why
    assert caught.value.code == "usage.btf.malformed"


def test_a_struct_that_holds_itself_ends_in_an_error() -> None:
    w = Writer()
    w.struct("", 8, ("again", 1, 0))
    w.struct("top", 8, ("", 1, 0))
    with pytest.raises(UsageError, match=r"btf\.malformed"):
        layout(Btf(w.blob()), "top")


def test_doubling_at_every_level_ends_in_an_error() -> None:
    w = Writer()
    for level in range(1, 31):
        w.struct("top" if level == 1 else "", 8, ("", level + 1, 0), ("", level + 1, 0))
    w.struct("", 0)
    with pytest.raises(UsageError, match=r"btf\.malformed"):
        layout(Btf(w.blob()), "top")


def test_modifier_and_array_cycles_end_in_an_error() -> None:
    w = Writer()
    w.add(decode.CONST, "", 1)
    w.add(decode.ARRAY, "", 0, 2, 2, 4)
    w.add(decode.PTR, "", 3)
    btf = Btf(w.blob())
    for look in (btf.strip, btf.size, btf.text):
        with pytest.raises(UsageError):
            look(1)
    for look in (btf.size, btf.text):
        with pytest.raises(UsageError):
            look(2)
    with pytest.raises(UsageError):
        btf.text(3)


def walk(btf: Btf) -> int:
    # touch everything that the decoder offers; how many types answered without an error
    good = 0
    for t in range(btf.count):
        try:
            btf.name(t), btf.size(t), btf.text(t), btf.strip(t)
            if btf.kind(t) in (decode.STRUCT, decode.UNION):
                list(leaves(btf, t))
            elif btf.kind(t) in (decode.ENUM, decode.ENUM64):
                btf.enumerators(t)
            good += 1
        except UsageError:
            continue
    return good


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_never_escapes_as_another_error(seed: int) -> None:
    blob, draw = bytearray(every_kind()[0].blob()), random.Random(seed)
    for _ in range(25):
        hurt = bytearray(blob)
        for _ in range(draw.randint(1, 4)):
            hurt[draw.randrange(len(hurt))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        with contextlib.suppress(UsageError):
            assert walk(Btf(bytes(hurt))) >= 0
