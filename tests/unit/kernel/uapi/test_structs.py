"""Every struct's size and offsets compiled against the headers of this machine, or of the tree that HOLDFAST_UAPI_INCLUDE names."""

from __future__ import annotations

import os
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.uapi import structs
from holdfast.kernel.uapi.structs import CAP_DATA, CLONE_ARGS, EPOLL_EVENT, FLOCK, PAGE_REGION, SIGINFO_RT, Layout

if TYPE_CHECKING:
    from pathlib import Path

LIBC = {"sys/user.h", "sys/time.h", "sys/socket.h"}
TYPEDEFS = {"siginfo_t", "stack_t"}
BEFORE = {"asm/signal.h": ("linux/types.h", "linux/time.h"), "asm/siginfo.h": (), "linux/futex.h": ("linux/types.h",)}
# Debian 12's headers (linux-libc-dev 6.1) lack these; with HOLDFAST_UAPI_INCLUDE set to 7.2's all are there.
NEWER = {"rseq", "pm_scan_arg", "page_region", "uffdio_poison", "uffdio_move", "ptrace_sud_config"}
# The kernel's struct grows at its end; what we use of it does not move.
GROWS = {"rseq"}


@pytest.mark.tool("gcc", "gcc libc6-dev linux-libc-dev")
@pytest.mark.parametrize("layout", structs.ALL, ids=lambda layout: layout.c_name)
def test_size_and_offsets_equal_the_header(layout: Layout, tmp_path: Path) -> None:
    tree = os.environ.get("HOLDFAST_UAPI_INCLUDE")
    flags = ["-nostdinc", "-isystem", tree, "-isystem", f"{tree}/x86_64-linux-gnu"] if tree and layout.header not in LIBC else []
    name = layout.c_name if layout.c_name in TYPEDEFS else f"struct {layout.c_name}"
    text = "#define _GNU_SOURCE\n" + "".join(f"#include <{header}>\n" for header in (*BEFORE.get(layout.header, ()), layout.header))
    text += f'int printf(const char *, ...);\nint main(void) {{\nprintf("%zu\\n", sizeof({name}));\n'
    text += "".join(f'printf("%zu %zu\\n", __builtin_offsetof({name}, {path}), sizeof((({name} *)0)->{path}));\n' for path in layout.paths)
    source, program = tmp_path / "s.c", tmp_path / "s"
    source.write_text(text + "return 0; }\n", encoding="ascii")
    run = subprocess.run(["gcc", "-w", *flags, "-o", program, source], capture_output=True, text=True)
    if run.returncode and layout.c_name in NEWER and not tree:
        assert "incomplete type" in run.stderr or "has no member" in run.stderr or "undefined type" in run.stderr, run.stderr
        return
    assert run.returncode == 0, run.stderr
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    size, *members = (tuple(map(int, line.split())) for line in printed.splitlines())
    ends = [*layout.offsets[1:], layout.size]
    assert [offset for offset, _ in members] == list(layout.offsets)
    assert all(offset + width <= end for (offset, width), end in zip(members, ends, strict=True))
    if layout.c_name not in GROWS:
        assert (layout.size,) == size
    assert layout.struct.size == layout.size


def test_a_field_not_given_is_zero() -> None:
    data = CLONE_ARGS.pack(flags=0x1000000, exit_signal=17)
    assert data == struct.pack("<11Q", 0x1000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    assert CLONE_ARGS.unpack(data)["exit_signal"] == 17


def test_unpack_is_the_inverse_of_pack() -> None:
    values = {"si_signo": 34, "si_errno": -1, "si_code": -1, "si_pid": 7, "si_uid": 2**32 - 1, "si_value": 2**64 - 1}
    assert SIGINFO_RT.unpack(b"before" + SIGINFO_RT.pack(**values), 6) == values


def test_offsets_and_arrays() -> None:
    assert (EPOLL_EVENT.offset("data"), EPOLL_EVENT.size, FLOCK.offset("l_start")) == (4, 12, 8)
    regions = PAGE_REGION.pack(start=1, end=2) + PAGE_REGION.pack(start=3, categories=4)
    assert list(PAGE_REGION.unpack_array(regions)) == [(1, 2, 0), (3, 0, 4)]


def test_wrong_use_is_an_error() -> None:
    with pytest.raises(TypeError, match="no field colour"):
        CAP_DATA.pack(colour=1)
    with pytest.raises(struct.error):
        CAP_DATA.pack(effective=2**32)
    with pytest.raises(struct.error):
        CAP_DATA.unpack(b"short")
    with pytest.raises(ValueError, match="not in tuple"):
        CAP_DATA.offset("colour")
