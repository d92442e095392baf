"""Of a kernel's source only what its configuration needs is kept, and nothing leaves the folder."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from typing import TYPE_CHECKING

from holdfast.kernel import debian
from holdfast.tags import fetch
from holdfast.tags.tree import read

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FILES = {
    "linux-source-6.12/Kconfig": b'source "init/Kconfig"\n',
    "linux-source-6.12/init/Kconfig": b"config A\n\tbool\n",
    "linux-source-6.12/init/main.c": b"int main;\n",
    "linux-source-6.12/io_uring/KConfig": b"",
    "linux-source-6.12/scripts/cc-version.sh": b"#!/bin/sh\n",
    "linux-source-6.12/scripts/../../../evil/Kconfig": b"",
}


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, body in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755
            tar.addfile(entry, io.BytesIO(body))
        link = tarfile.TarInfo("linux-source-6.12/scripts/Kconfig.link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return lzma.compress(out.getvalue(), preset=0)


def test_a_debian_tree_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def files(packages: list[str], wanted: object, version: str = "") -> dict[str, bytes]:
        asked.append(packages)
        return {"usr/src/linux-source-6.12.tar.xz": archive()}

    kernel = debian.DebianKernel("6.12.117+deb12", "full", "6.12.117-1", "linux-image-6.12.117+deb12-amd64")
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    monkeypatch.setattr(debian, "available", lambda again=False: [kernel])
    monkeypatch.setattr(debian, "files", files)
    place = fetch.tree("debian:6.12")
    assert fetch.tree("debian:6.12") == place
    assert asked == [["linux-source-6.12"]]
    kept = sorted(os.path.relpath(os.path.join(folder, name), place) for folder, _, names in os.walk(place) for name in names)
    assert kept == ["Kconfig", "init/Kconfig", "io_uring/KConfig", "scripts/cc-version.sh"]
    assert sorted(os.listdir(tmp_path / "kconfig")) == ["6.12-6.12.117"]
    assert list(read(place).options) == ["A"]


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert fetch.tree(str(tmp_path)) == str(tmp_path)
