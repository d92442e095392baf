"""What the guard reads out of its table and out of the programs that were running."""

from __future__ import annotations

import ctypes
import mmap
import os

import pytest

from holdfast.kernel.uapi.syscalls import X86_64 as NUMBERS
from holdfast.prog.call import Block, Out, Program, Struct
from holdfast.prog.lower import RESULT_AT, ROW_SIZE, lower
from holdfast.tracee import guard
from holdfast.tracee.arch.x86_64 import LOOP
from holdfast.tracee.gadget import Gadget

PAGE = 4096


class Area:
    """An area in this process, with a program in it that seems to have run."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 4 * PAGE)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.memory[: len(LOOP)] = LOOP

    def place(self, program: Program, results: list[int]) -> None:
        """Put a program in, whose first rows have these results."""
        lowered = lower(program, self.base + PAGE, NUMBERS)
        self.memory[PAGE : PAGE + lowered.size] = lowered.image
        for n, result in enumerate(results):
            at = PAGE + n * ROW_SIZE + RESULT_AT
            self.memory[at : at + 8] = result.to_bytes(8, "little", signed=True)

    def made(self) -> tuple[set[int], set[int]]:
        """Descriptors that were made and closed."""
        return guard._made(os.getpid(), self.base, 4 * PAGE)


@pytest.fixture
def area() -> Area:
    return Area()


def pair(*fds: int) -> bytes:
    return b"".join(fd.to_bytes(4, "little") for fd in fds)


def test_a_socket_pair_was_made_where_its_call_has_run(area: Area) -> None:
    program = Program()
    program.call("socketpair", 1, 1, 0, Out(8, pair(7, 8)))
    area.place(program, [])
    assert area.made() == (set(), set())
    area.place(program, [-24])
    assert area.made() == (set(), set())
    area.place(program, [0])
    assert area.made() == ({7, 8}, set())


def test_received_descriptors_and_closed_ones_are_told_apart(area: Area) -> None:
    control = (16 + 4).to_bytes(8, "little") + pair(1, 1) + pair(9, 0)
    header = Struct(bytes(16), Block(bytes(16)), (1).to_bytes(8, "little"), Out(24, control), (24).to_bytes(8, "little"), bytes(8))
    program = Program()
    program.call("recvmsg", 7, header, 0, check=1)
    program.call("close", 7)
    program.call("close", 8)
    area.place(program, [1, 0])
    assert area.made() == ({9}, {7})


def test_an_area_that_is_not_there_holds_nothing() -> None:
    assert guard._made(os.getpid(), 0x1000, PAGE * 4) == (set(), set())
    assert guard._is_ours(os.getpid(), 0x1000) is False


def test_an_area_is_known_by_its_loop(area: Area) -> None:
    assert guard._is_ours(os.getpid(), area.base) is True
    area.memory[0] ^= 1
    assert guard._is_ours(os.getpid(), area.base) is False


def test_a_row_says_what_was_noted() -> None:
    sentinel = guard.Guard(2)
    try:
        registers = bytes(range(216))
        sentinel.note(41, 40, 0x1234, Gadget(0x5000, 0x6000), 28, registers)
        sentinel.note_stack(41, 0x7000, b"12345678")
        sentinel.note_wanted(41, 8192)
        sentinel.note_deferred(41, 2)
        sentinel.note_descriptors(41, {5, 3})
        sentinel.note_limits(41, [(2, 4096, 2**64 - 1), (9, 20, 30)])
        sentinel.note(42, 40, 0, Gadget(0x5000), 0, registers)
        sentinel.note_out(42)
        table = os.pread(sentinel._table, 1 << 20, 0)
        first, second = (guard._Row(table, (n + 1) * guard.ROW) for n in range(2))
        assert (first.tid, first.process, first.active, first.mask, first.quiet) == (41, 40, 1, 0x1234, 28)
        assert (first.gadget, first.spin, first.stack, first.word) == (0x5000, 0x6000, 0x7000, b"12345678")
        assert (first.wanted, first.deferred, first.descriptors, first.registers) == (8192, 2, {3, 5}, registers)
        assert first.limits == [(2, 4096, 2**64 - 1), (9, 20, 30)]
        assert (second.tid, second.active, second.limits) == (42, 0, [])
        sentinel.note_limits(41, ())
        sentinel.note_area(41, 0x9000, 8192)
        sentinel.note_wanted(41, 0)
        sentinel.note_descriptors(41, set())
        again = guard._Row(os.pread(sentinel._table, 1 << 20, 0), guard.ROW)
        assert (again.area, again.size, again.wanted, again.descriptors) == (0x9000, 8192, 0, set())
        assert again.limits == []
    finally:
        sentinel.dismiss()
        sentinel.reap()


def test_a_thread_is_at_the_gadget_behind_its_call_and_where_it_spins() -> None:
    sentinel = guard.Guard(1)
    try:
        sentinel.note(41, 40, 0, Gadget(0x5000, 0x6000), 28, bytes(216))
        row = guard._Row(os.pread(sentinel._table, 1 << 20, 0), guard.ROW)
        assert [row.at_gadget(rip) for rip in (0x4FFF, 0x5000, 0x5002, 0x5003, 0x5004, 0x6000, 0x6003)] == [
            False,
            True,
            True,
            True,
            False,
            True,
            False,
        ]
        assert row.blocked() == (1 << 64) - 1 & ~(1 << 27) & ~(1 << 8) & ~(1 << 18)
    finally:
        sentinel.dismiss()
        sentinel.reap()
