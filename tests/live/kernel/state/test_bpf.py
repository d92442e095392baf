"""Kernel memory through BPF: by each kind of program, faults as errors, nothing left open, nothing for an ordinary user."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast
from holdfast.kernel.state import bpf, layouts
from holdfast.kernel.state.bpf import BpfMemory

pytestmark = pytest.mark.root
SRC = str(Path(holdfast.__file__).parents[1])


@pytest.mark.parametrize("kind", bpf._KINDS, ids=["raw tracepoint", "syscall"])
def test_each_kind_of_program_finds_and_reads_the_own_task(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    monkeypatch.setattr(bpf, "_KINDS", (kind, bpf._KINDS[1]))
    memory = BpfMemory()
    try:
        found = layouts.load()
        comm = found.plan("task_struct").by_path["comm"]
        read = memory.read(memory.current() + comm.offset, comm.size).split(b"\0")[0]
    finally:
        memory.close()
    assert read == Path("/proc/thread-self/comm").read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("address", [0, 8, 0x7FFF_0000_0000, 0xDEAD_0000_0000_0000, (1 << 64) - 8, (1 << 64) + 8, -8])
def test_what_is_no_kernel_memory_is_an_error(address: int) -> None:
    memory = BpfMemory()
    try:
        with pytest.raises(OSError) as error:
            memory.read(address, 8)
        assert error.value.errno in {errno.EFAULT, errno.ERANGE}  # ERANGE: no kernel address at all (copy_from_kernel_nofault_allowed)
    finally:
        memory.close()


def test_more_than_the_window_is_read_in_parts() -> None:
    memory = BpfMemory()
    try:
        # the kernel's text lies in one piece
        start = int(next(line for line in Path("/proc/kallsyms").read_text().splitlines() if line.endswith(" _stext")).split()[0], 16)
        whole = memory.read(start, 200_000)
        assert len(whole) == 200_000
        assert whole[65_536:131_072] == memory.read(start + 65_536, 65_536)
    finally:
        memory.close()


def test_nothing_stays_open() -> None:
    before = os.listdir("/proc/self/fd")
    memory = BpfMemory()
    assert len(os.listdir("/proc/self/fd")) == len(before) + 3
    memory.close()
    memory.close()
    assert os.listdir("/proc/self/fd") == before


def test_an_ordinary_user_is_refused_with_both_reasons() -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from holdfast.errors import KernelLacks\nfrom holdfast.kernel.state.memory import open_memory\n"
        "from holdfast.kernel.state import bpf, kcore\n"  # while we may read them: this copy may lie in root's own folder
        "open_memory().close()\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try: open_memory()\nexcept KernelLacks as lacks: print(lacks.why)"
    )
    done = subprocess.run([sys.executable, "-c", program, SRC], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("BPF: ")
    assert "Operation not permitted" in done.stdout
    assert "; /proc/kcore: " in done.stdout
