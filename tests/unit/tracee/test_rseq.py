"""Which registers a thread has that was stopped inside a restartable sequence."""

from __future__ import annotations

import errno

import pytest

from holdfast.tracee import ptrace, rseq
from holdfast.tracee.arch.x86_64 import Registers

AREA, DESCRIBED, START, LENGTH, HANDLER = 0x1000, 0x2000, 0x400000, 0x20, 0x500000


def at(rip: int) -> bytes:
    regs = Registers(bytes(27 * 8))
    regs["rip"] = rip
    return regs.pack()


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[int, bytes]:
    found = {AREA + 8: DESCRIBED.to_bytes(8, "little"), DESCRIBED: rseq.SEQUENCE.pack(0, 0, START, LENGTH, HANDLER)}

    def read(tid: int, address: int, size: int) -> bytes:
        if address not in found:
            raise OSError(errno.EFAULT, "")
        assert len(found[address]) == size
        return found[address]

    monkeypatch.setattr(ptrace, "rseq_configuration", lambda tid: (AREA, 32, 0))
    monkeypatch.setattr(ptrace, "read_memory", read)
    return found


@pytest.mark.parametrize(
    ("rip", "after"), [(START, HANDLER), (START + LENGTH - 1, HANDLER), (START + LENGTH, START + LENGTH), (START - 1, START - 1), (0, 0)]
)
def test_inside_the_sequence_and_nowhere_else_it_is_aborted(memory: dict[int, bytes], rip: int, after: int) -> None:
    assert Registers(rseq.aborted(1, at(rip)))["rip"] == after


def test_without_a_sequence_nothing_changes(memory: dict[int, bytes]) -> None:
    memory[AREA + 8] = bytes(8)
    assert rseq.aborted(1, at(START)) == at(START)


def test_flags_that_forbid_it_and_memory_that_is_not_there_change_nothing(memory: dict[int, bytes]) -> None:
    memory[DESCRIBED] = rseq.SEQUENCE.pack(0, 1, START, LENGTH, HANDLER)
    assert rseq.aborted(1, at(START)) == at(START)
    del memory[DESCRIBED]
    assert rseq.aborted(1, at(START)) == at(START)


def test_a_kernel_that_cannot_say_and_a_thread_without_an_area(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ptrace, "rseq_configuration", lambda tid: (0, 0, 0))
    assert rseq.aborted(1, at(START)) == at(START)

    def unknown(tid: int) -> tuple[int, int, int]:
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(ptrace, "rseq_configuration", unknown)
    assert rseq.aborted(1, at(START)) == at(START)
