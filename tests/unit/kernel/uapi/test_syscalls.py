"""System call numbers against the headers of this machine."""

from __future__ import annotations

import subprocess

import pytest

from holdfast.kernel.uapi.syscalls import X86_64, name_of


def test_no_number_has_two_names() -> None:
    assert len(set(X86_64.values())) == len(X86_64)
    assert list(X86_64.values()) == sorted(X86_64.values())


@pytest.mark.parametrize(
    ("name", "number"), [("read", 0), ("clone3", 435), ("mseal", 462), ("open_tree_attr", 467), ("file_getattr", 468), ("listns", 470)]
)
def test_a_name(name: str, number: int) -> None:
    assert X86_64[name] == number
    assert name_of(number) == name


def test_an_unknown_number_is_shown_as_one() -> None:
    assert name_of(9999) == "syscall_9999"


@pytest.mark.tool("gcc", "gcc libc6-dev linux-libc-dev")
def test_numbers_equal_the_system_headers() -> None:
    run = subprocess.run(
        ["gcc", "-E", "-dM", "-x", "c", "-"], input="#include <asm/unistd_64.h>\n", capture_output=True, text=True, check=True
    )
    defines = (line.split() for line in run.stdout.splitlines())
    header = {words[1].removeprefix("__NR_"): int(words[2]) for words in defines if words[1].startswith("__NR_")}
    assert len(header) > 300
    assert {name: X86_64.get(name) for name in header} == header
