"""A path from a handle, of a file of this test."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.handles import path_of

if TYPE_CHECKING:
    from pathlib import Path


def handle_of(path: Path) -> tuple[int, bytes]:
    """Type and bytes of a file's handle, by name_to_handle_at(2)."""
    raw = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(132), 136)
    mount = ctypes.c_int()
    if ctypes.CDLL(None, use_errno=True).name_to_handle_at(-100, os.fsencode(path), raw, ctypes.byref(mount), 0) < 0:
        pytest.skip("machine cannot: the test's folder is on a filesystem without handles")
    size = int.from_bytes(raw.raw[:4], "little")
    return int.from_bytes(raw.raw[4:8], "little", signed=True), raw.raw[8 : 8 + size]


@pytest.mark.root
def test_a_handle_leads_to_the_path(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    for path in (tmp_path, tmp_path / "x"):
        assert path_of(os.fsencode(tmp_path), *handle_of(path)) == os.fsencode(path)


@pytest.mark.root
def test_a_handle_of_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    handle = handle_of(tmp_path / "x")
    os.unlink(tmp_path / "x")
    with pytest.raises(OSError):
        path_of(os.fsencode(tmp_path), *handle)
