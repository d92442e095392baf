"""A .config is read as the kernel's own reader would, and what cannot be trusted is said."""

from __future__ import annotations

import lzma
import random
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.kernel.kconfig import LIMIT_BYTES, parse

DATA = Path(__file__).parents[2] / "_data" / "tags"
HEAD = b"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.117 Kernel Configuration\n#\n"
TAIL = b"# end of Kernel hacking\n"


def debian(version: str) -> bytes:
    return lzma.decompress((DATA / f"config-{version}-amd64.xz").read_bytes())


@pytest.mark.parametrize(("version", "lines", "release"), [("6.1", 8777, "6.1.192"), ("6.12", 9502, "6.12.117"), ("7.3", 9948, "7.3.4")])
def test_debian_configs_are_read_whole(version: str, lines: int, release: str) -> None:
    config = parse(debian(version))
    assert len(config.values) == lines
    assert (config.gaps, config.clashing, config.broken) == ((), frozenset(), frozenset())
    assert (config.release, config.arch) == (release, "x86")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"CONFIG_A=y", "y"),
        (b"CONFIG_A=m", "m"),
        (b"# CONFIG_A is not set", "n"),
        (b"CONFIG_A=0x1f", "0x1f"),
        (b"CONFIG_A=-3", "-3"),
        (b'CONFIG_A="a \\"b\\" c"', 'a "b" c'),
        (b'CONFIG_A=""', ""),
        (b"CONFIG_A=y\r", "y"),
    ],
)
def test_values(line: bytes, value: str) -> None:
    assert parse(HEAD + line + b"\n" + TAIL).state("A") == value


def test_missing_in_a_whole_config_is_n_and_in_a_fragment_unknown() -> None:
    assert parse(HEAD + b"CONFIG_A=y\n" + TAIL).state("B") == "n"
    assert parse(b"CONFIG_A=y\n").state("B") is None


def test_two_values_for_one_name_are_unknown_and_the_same_twice_is_not() -> None:
    config = parse(HEAD + b"CONFIG_A=y\n# CONFIG_A is not set\nCONFIG_B=m\nCONFIG_B=m\n" + TAIL)
    assert (config.state("A"), config.state("B"), config.clashing) == (None, "m", frozenset({"A"}))


@pytest.mark.parametrize("value", [b"yes", b'"open', b"", b"0x", b"y y"])
def test_a_value_of_no_type_is_unknown(value: bytes) -> None:
    config = parse(HEAD + b"CONFIG_A=" + value + b"\n" + TAIL)
    assert (config.state("A"), config.broken) == (None, frozenset({"A"}))


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.9999])
def test_a_cut_config_never_reads_a_missing_name_as_n(keep: float) -> None:
    text = debian("6.12")
    config = parse(text[: int(len(text) * keep)])
    assert config.whole is False
    assert config.state("NOT_THERE") is None


def test_foreign_lines_are_a_gap_with_their_number() -> None:
    config = parse(HEAD + b"CONFIG_A=y\n<html>\n" + TAIL)
    assert config.gaps == ("line 6 is neither an option nor a comment: '<html>'",)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "usage.kconfig.empty"),
        (b"hello\n", "usage.kconfig.empty"),
        (b"CONFIG_A=y\n\0", "usage.kconfig.binary"),
        (b"\x7fELF\x02" + bytes(64), "usage.kconfig.binary"),
        (b"x" * (LIMIT_BYTES + 1), "usage.kconfig.large"),
    ],
)
def test_what_is_no_config_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(data)
    assert caught.value.code == code


def test_noise_is_an_error_or_has_gaps_but_never_a_whole_config() -> None:
    random_bytes = random.Random(4)
    text = debian("6.1")[:4000]
    for _ in range(300):
        data = bytearray(text)
        for _ in range(random_bytes.randint(1, 40)):
            data[random_bytes.randrange(len(data))] = random_bytes.randrange(256)
        try:
            config = parse(bytes(data))
        except UsageError:
            continue
        assert config.whole is False
