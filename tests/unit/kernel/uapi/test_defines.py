"""kernel/uapi/defines.py: C constant expressions as the kernel's headers write them."""

from __future__ import annotations

import pytest

from holdfast.kernel.uapi import defines


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x00000020", 32),
        ("010", 8),
        ("((1UL) << (38))", 1 << 38),
        ("(0x1UL | 0x2 | (1 << 4))", 19),
        ("-1", -1),
        ("~0U & 0xff", 255),
        ("(unsigned long)(1 << 3)", 8),
        ("((( int) ((((1UL))) << (VMA_READ_BIT))))", 4),
        ("((vma_flag_t)40)", 40),
        ("sizeof(int)", None),
        ("A + 1", 8),
        ("B", None),
        ("1 ? 5 : 6", 5),
        ("2 > 3 || 4 == 4", 1),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("1 / 0", None),
        ("1 << 4000", None),
        ("'A'", 65),
        ("(", None),
        ("", None),
        ("1 2", None),
        ("(" * 500 + "1" + ")" * 500, None),
    ],
)
def test_expressions(text: str, value: int | None) -> None:
    assert defines.evaluate(text, {"A": 7, "VMA_READ_BIT": 2}) == value


def test_enumerators_count_on_and_may_name_each_other() -> None:
    text = "enum { A, B = 4, C, D = ((1) << B), E = sizeof(x), F }; enum named { G = -2, H, I = max(1, 2), }; enum named variable;"
    assert defines.enumerators(text) == {"A": 0, "B": 4, "C": 5, "D": 16, "G": -2, "H": -1}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("usr/src/linux-headers-6.1.0-56-common/include/linux/mm.h", True),
        ("usr/src/linux-headers-6.1.0-56-common/arch/x86/include/asm/page.h", True),
        ("usr/src/linux-headers-6.1.0-56-common/arch/arm64/include/asm/page.h", False),
        ("usr/src/linux-headers-6.1.0-56-common/include/Makefile", False),
    ],
)
def test_only_headers_that_x86_reaches(name: str, wanted: bool) -> None:
    assert defines.is_header(name) is wanted
