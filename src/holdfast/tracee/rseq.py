"""Restartable sequences: do what the kernel was about to do to a thread that was stopped inside one.

A thread that was preempted inside a restartable sequence must not go on in it: on its way back to user space the kernel sets it to the
sequence's abort handler. It looks for that when the thread runs next. Where the thread then runs our program, its instruction pointer
is not in the sequence, and the kernel forgets the sequence; with the old registers back, the thread would go on in the
middle of it, on another CPU perhaps, and nothing would tell. So the registers at the stop are taken as the kernel would have left them.

Source:  rseq(2), Linux kernel/rseq.c rseq_ip_fixup, clear_rseq_cs
"""

from __future__ import annotations

from struct import Struct as Format

from holdfast.tracee import ptrace
from holdfast.tracee.arch.x86_64 import Registers

CS_AT = 8  # of struct rseq: the address of the sequence's description, 0 outside any
SEQUENCE = Format("<IIQQQ")  # version, flags, start, length, abort handler
M64 = (1 << 64) - 1


def aborted(tid: int, raw: bytes) -> bytes:
    """The registers of a stopped thread, at the abort handler where it was inside a restartable sequence.

    Shape:   `raw` where it was not, or where the kernel would not have aborted it
    """
    try:
        area = ptrace.rseq_configuration(tid)[0]
    except OSError:  # a kernel that cannot say (before 5.13, or without CONFIG_RSEQ)
        return raw
    if not area:
        return raw
    try:
        described = int.from_bytes(ptrace.read_memory(tid, area + CS_AT, 8), "little")
        if not described:
            return raw
        _, flags, start, length, handler = SEQUENCE.unpack(ptrace.read_memory(tid, described, SEQUENCE.size))
    except OSError:  # memory that is not there: the kernel will send SIGSEGV, as it would have done
        return raw
    regs = Registers(raw)
    if flags or (regs["rip"] - start) & M64 >= length:
        return raw
    regs["rip"] = handler
    return regs.pack()
