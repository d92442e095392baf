"""kernel/specimen.py: one small kernel in every form that it can come in."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import KernelLacks, UsageError
from holdfast.kernel import debian, specimen
from tests.unit.kernel.btf.test_decode import every_kind
from tests.unit.kernel.test_deb import package
from tests.unit.kernel.test_elf import make
from tests.unit.kernel.test_vmlinuz import image, pack

if TYPE_CHECKING:
    from pathlib import Path

BLOB = every_kind()[0].blob()
CONFIG = "CONFIG_ONE=y\n# CONFIG_TWO is not set\n"
BANNER = b"Linux version 6.12.3-test (builder@host) #1 SMP"
VMLINUX = make({".rodata": BANNER + b"\0IKCFG_ST" + gzip.compress(CONFIG.encode()) + b"IKCFG_ED", ".BTF": BLOB})


def load(tmp_path: Path, name: str, data: bytes) -> specimen.Specimen:
    path = tmp_path / name
    path.write_bytes(data)
    return specimen.load(str(path))


@pytest.mark.parametrize("form", ["vmlinux", "zstd", "xz", "gzip"])
def test_an_image_says_release_configuration_and_types(tmp_path: Path, form: str) -> None:
    data = VMLINUX if form == "vmlinux" else image(pack(form, VMLINUX), None if form == "gzip" else len(VMLINUX))
    kernel = load(tmp_path, "image", data)
    assert (kernel.release, kernel.version, kernel.blob) == ("6.12.3-test", (6, 12), BLOB)
    assert kernel.options() == {"ONE": "y"}
    assert kernel.btf().find("outer")


def test_raw_types_take_their_release_from_the_name(tmp_path: Path) -> None:
    kernel = load(tmp_path, "btf-7.3.4-cloud-amd64", BLOB)
    assert (kernel.release, kernel.version, kernel.config) == ("7.3.4-cloud-amd64", (7, 3), "")
    assert load(tmp_path, "btf", BLOB).version == ()


def test_a_package_gives_its_image_and_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.kernel import test_deb  # its files are what goes into the package

    packed = image(pack("xz", VMLINUX), len(VMLINUX))
    monkeypatch.setattr(test_deb, "FILES", {"boot/vmlinuz-6.12.3": packed, "boot/config-6.12.3": b"CONFIG_FROM_PACKAGE=m\n"})
    kernel = load(tmp_path, "x.deb", package("data.tar.xz"))
    assert (kernel.release, kernel.options()) == ("6.12.3-test", {"FROM_PACKAGE": "m"})
    monkeypatch.setattr(test_deb, "FILES", {"usr/share/doc/x": b"text"})
    with pytest.raises(UsageError, match=r"linux-binary-\*"):
        load(tmp_path, "y.deb", package("data.tar.xz"))


@pytest.mark.parametrize(
    ("data", "error", "code"),
    [(b"#!/bin/sh\n", UsageError, "usage.kernel.form"), (make({".text": b"x"}), KernelLacks, "kernel_lacks.btf")],
)
def test_what_is_no_kernel_is_named(tmp_path: Path, data: bytes, error: type[UsageError | KernelLacks], code: str) -> None:
    with pytest.raises(error) as caught:
        load(tmp_path, "x", data)
    assert caught.value.code == code


def test_a_fetched_kernel_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    asked = []

    def boot_files(kernel: debian.DebianKernel) -> tuple[bytes, str]:
        asked.append(kernel.name)
        return image(pack("xz", VMLINUX), len(VMLINUX)), CONFIG

    monkeypatch.setattr(debian, "boot_files", boot_files)
    kernel = debian.DebianKernel("6.12.3+deb13", "cloud", "6.12.3-1~x", "linux-image-6.12.3+deb13-cloud-amd64")
    assert not specimen.is_cached(kernel)
    assert [specimen.fetched(kernel).blob == BLOB for _ in range(2)] == [True, True]
    assert (asked, specimen.is_cached(kernel)) == (["debian:6.12.3+deb13/cloud"], True)
    assert specimen.fetched(kernel).release == "6.12.3+deb13-cloud-amd64"
    assert sorted(os.listdir(specimen.place_of(kernel))) == ["btf", "config"]
