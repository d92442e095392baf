"""A config is found wherever it is packed, and what is damaged is said, never guessed."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import UsageError
from holdfast.kernel.kconfig import LIMIT_BYTES
from holdfast.tags import source

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"CONFIG_A=y\n"


def package(files: dict[str, bytes], how: str = "xz") -> bytes:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    data = lzma.compress(tar.getvalue()) if how == "xz" else tar.getvalue()
    name = "data.tar.xz" if how == "xz" else "data.tar"
    out = b"!<arch>\n"
    for member, body in ((b"debian-binary", b"2.0\n"), (name.encode(), data)):
        out += (
            member.ljust(16)
            + b"0".ljust(12)
            + b"0".ljust(6)
            + b"0".ljust(6)
            + b"100644".ljust(8)
            + str(len(body)).encode().ljust(10)
            + b"`\n"
        )
        out += body + b"\n" * (len(body) % 2)
    return out


@pytest.mark.parametrize("data", [TEXT, gzip.compress(TEXT, mtime=0), lzma.compress(TEXT)])
def test_packed_and_plain(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config"
    path.write_bytes(data)
    assert source.read(str(path)) == (TEXT, str(path))


@pytest.mark.parametrize("how", ["xz", "plain"])
def test_debian_package(tmp_path: Path, how: str) -> None:
    path = tmp_path / "linux-image.deb"
    path.write_bytes(package({"./boot/vmlinuz-6.12": b"MZ", "./boot/config-6.12-amd64": TEXT}, how))
    assert source.read(str(path)) == (TEXT, f"{path}: boot/config-6.12-amd64")


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT))))
    assert source.read("-") == (TEXT, "stdin")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gzip.compress(TEXT, mtime=0)[:-9], "usage.kconfig.packed"),
        (gzip.compress(bytes(LIMIT_BYTES + 2), mtime=0), "usage.kconfig.packed"),
        (b"\x1f\x8bgarbage", "usage.kconfig.packed"),
        (lzma.compress(TEXT)[:-5], "usage.kconfig.packed"),
        (b"\xfd7zXZ\0garbage", "usage.kconfig.packed"),
        (b"\x7fELF\x02\x01", "usage.kconfig.kernel"),
        (bytes(0x202) + b"HdrS" + bytes(64), "usage.kconfig.kernel"),
        (package({"./usr/share/doc/x": b"y"}), "usage.kconfig.several"),
        (package({"./boot/config-1": TEXT, "./boot/config-2": TEXT}), "usage.kconfig.several"),
        (b"!<arch>\nrubbish", "usage.deb.malformed"),
    ],
)
def test_what_cannot_be_used_is_an_error(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        source.read(str(path))
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["gone", "."])
def test_what_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        source.read(str(tmp_path / name))
    assert caught.value.code == "usage.kconfig.unreadable"


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    assert len(source.read(str(path))[0]) == LIMIT_BYTES + 1
