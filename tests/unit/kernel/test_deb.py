"""kernel/deb.py: small packages made by hand, in every packing."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from holdfast.errors import UsageError
from holdfast.kernel import deb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {"boot/vmlinuz-1": b"image", "boot/config-1": b"CONFIG_X=y\n", "usr/share/doc/x": b"text"}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "data.tar": bytes,
    "data.tar.gz": gzip.compress,
    "data.tar.xz": lzma.compress,
    "data.tar.zst": lambda d: zstandard.ZstdCompressor().compress(d),
}


def package(packed: str, data: bytes | None = None) -> bytes:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as tar:
        for name, body in FILES.items():
            entry = tarfile.TarInfo("./" + name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", packed: PACKERS[packed](room.getvalue()) if data is None else data}
    out = b"!<arch>\n"
    for name, body in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
    return out


@pytest.mark.parametrize("packed", sorted(PACKERS))
def test_wanted_files_come_out_of_every_packing(packed: str, tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(package(packed))
    assert deb.extract(str(path), lambda name: name.startswith("boot/")) == {n: b for n, b in FILES.items() if n.startswith("boot/")}
    assert deb.extract(str(path), lambda _: True, 1) == {"boot/vmlinuz-1": b"image"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"hello", "ar archive"),
        (package("data.tar")[:68], "no data.tar"),
        (package("data.tar.xz", b"\xfd7zXZ\0damaged"), "deb.malformed"),
        (package("data.tar").replace(b"data.tar  ", b"data.tar.x"), "packed as"),
    ],
)
def test_damage_is_named(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=says):
        deb.extract(str(path), lambda _: True)
