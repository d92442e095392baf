"""hunt.interfaces.headers: C headers to integers, without a compiler."""

from __future__ import annotations

import pytest

from holdfast.hunt.interfaces import headers

IOCTL = """
#define _IOC(dir,type,nr,size) (((dir) << 30) | ((type) << 8) | ((nr) << 0) | ((size) << 16))
#define _IOC_TYPECHECK(t) (sizeof(t))
#define _IOR(type,nr,size) _IOC(2U,(type),(nr),(_IOC_TYPECHECK(size)))
"""


def read(text: str, **others: str) -> dict[str, int]:
    texts = {"a.h": text, "linux/ioctl.h": IOCTL, **{name.replace("_", "/") + ".h": body for name, body in others.items()}}
    found = headers.constants(texts.get, ["a.h"])
    return {name: value for name, (value, home) in found.items() if home == "a.h"}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("#define A 1 /* one */\n#define B (A << 3) // eight", {"A": 1, "B": 8}),
        ("#define A \\\n  0x10U\n", {"A": 16}),
        ("#define A 'a'\n#define S \"text\"\n#define F(x) ((x)+1)\n#define G F(F(2))", {"A": 97, "G": 4}),
        ("enum { X = 3, Y, Z = 1 << Y, /* end */ };\n#define Y Y", {"X": 3, "Y": 4, "Z": 16}),
        ("#define BASE 7\nenum e { X = BASE, Y };", {"BASE": 7, "X": 7, "Y": 8}),
        ("#define __AC(X,Y) (X##Y)\n#define _AC(X,Y) __AC(X,Y)\n#define V _AC(3,UL)", {"V": 3}),
        ("#ifdef __x86_64__\n#define A 1\n#else\n#define A 2\n#endif", {"A": 1}),
        ("#if defined(__KERNEL__) || __BITS_PER_LONG == 32\n#define A 1\n#elif 1\n#define A 2\n#else\n#define A 3\n#endif", {"A": 2}),
        ("#if 0\n#if 1\n#define A 1\n#endif\n#define B 2\n#endif\n#define C 3", {"C": 3}),
        ("#define A 1\n#undef A\n#define B 2", {"A": 1, "B": 2}),
        ("#define A B\n#define B A\n#define C 1", {"C": 1}),
    ],
)
def test_values_of_a_header(text: str, values: dict[str, int]) -> None:
    assert read(text) == values


def test_an_enumerator_may_name_one_of_another_header() -> None:
    assert read("#include <linux/b.h>\nenum { X = FIRST + 1 };", linux_b="enum { FIRST = 41 };") == {"X": 42}


def test_a_number_of_an_ioctl_knows_the_size_of_its_structure() -> None:
    text = """
    #include <linux/ioctl.h>
    typedef unsigned int word_t;
    struct inner { word_t a : 3, b : 5; __u8 tag; };
    struct big { struct inner one; union { __u64 wide; char text[3]; }; void *p; __u16 tail[2 * 2]; };
    struct tight { char a; __u64 b; } __attribute__((packed));
    #define BIG _IOR('x', 1, struct big)
    #define TIGHT _IOR('x', 2, struct tight)
    #define UNKNOWN _IOR('x', 3, struct nobody)
    """
    assert {name: hex(value) for name, value in read(text).items()} == {"BIG": "0x80207801", "TIGHT": "0x80097802"}
