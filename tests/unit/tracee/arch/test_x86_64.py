"""The machine code is what its listings say, and the registers are the kernel's."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from holdfast.tracee.arch import x86_64 as cpu

if TYPE_CHECKING:
    from pathlib import Path

LOOP = """
next: mov (%rbx),%rax
 cmp $-1,%rax
 je stop
 mov 8(%rbx),%r12
 mov 16(%rbx),%rdi
 mov 24(%rbx),%rsi
 mov 32(%rbx),%rdx
 mov 40(%rbx),%r10
 mov 48(%rbx),%r8
 mov 56(%rbx),%r9
 test $63,%r12b
 jz go
 test $1,%r12b
 jz 1f
 mov (%rdi),%rdi
1: test $2,%r12b
 jz 1f
 mov (%rsi),%rsi
1: test $4,%r12b
 jz 1f
 mov (%rdx),%rdx
1: test $8,%r12b
 jz 1f
 mov (%r10),%r10
1: test $16,%r12b
 jz 1f
 mov (%r8),%r8
1: test $32,%r12b
 jz go
 mov (%r9),%r9
go: syscall
 shr $8,%r12
 cmp $3,%r12b
 jne 1f
 test %rax,%rax
 jnz 1f
 mov 64(%rbx),%rbx
 jmp next
1: mov %rax,72(%rbx)
 test %r12b,%r12b
 jz ok
 cmp $2,%r12b
 jne 1f
 cmp 64(%rbx),%rax
 jne stop
 jmp ok
1: cmp $-4096,%rax
 ja stop
ok: add $80,%rbx
 jmp next
stop: mov $39,%eax
 syscall
 mov %eax,%r13d
 mov $186,%eax
 syscall
 mov %r13d,%edi
 mov %eax,%esi
 mov %r14d,%edx
 mov $234,%eax
 syscall
1: mov $34,%eax
 syscall
 jmp 1b
"""
STUB = "1: mov $34,%eax\n syscall\n jmp 1b\n"
BORN = f"""{STUB} int3
 mov $157,%eax
 mov $1,%edi
 mov $9,%esi
 syscall
 mov $110,%eax
 syscall
 cmp $0x12345,%eax
 je 1b
 xor %edi,%edi
 mov $231,%eax
 syscall
"""
GUARD = """
 mov %rsp,%rbx
 sub $32,%rsp
1: xor %edi,%edi
 mov %rsp,%rsi
 mov $1,%edx
 xor %eax,%eax
 syscall
 cmp $-4,%rax
 je 1b
 cmp $1,%rax
 je 2f
 mov (%rbx),%rcx
 mov 16(%rbx),%rdi
 lea 16(%rbx),%rsi
 lea 16(%rbx,%rcx,8),%rdx
 mov $59,%eax
 syscall
2: xor %edi,%edi
 mov $231,%eax
 syscall
"""
INIT = f"""{STUB} .fill 7, 1, 0xcc
 sub $256,%rsp
reap: mov $61,%eax
 mov $-1,%rdi
 lea 128(%rsp),%rsi
 mov $0x40000001,%edx
 xor %r10d,%r10d
 syscall
 test %eax,%eax
 jle take
 cmp %ebx,%eax
 jne reap
 mov 128(%rsp),%edi
 mov %edi,%eax
 and $0x7f,%eax
 jz 1f
 lea 128(%rax),%edi
 jmp 2f
1: shr $8,%edi
 movzbl %dil,%edi
2: mov $231,%eax
 syscall
take: mov $128,%eax
 lea all(%rip),%rdi
 mov %rsp,%rsi
 xor %edx,%edx
 mov $8,%r10d
 syscall
 test %eax,%eax
 jle reap
 cmp $17,%eax
 je reap
 cmpl $0,16(%rsp)
 jne take
 mov %eax,%esi
 mov %ebx,%edi
 mov $62,%eax
 syscall
 jmp take
all: .quad -1
"""


def assembled(folder: Path, listing: str) -> list[str]:
    """The instructions of a listing, as the disassembler writes them: two encodings of one instruction are one."""
    (folder / "code.s").write_text(listing)
    subprocess.run(["as", "-o", folder / "code.o", folder / "code.s"], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", folder / "code.o", folder / "code.bin"], check=True)
    return disassembled(folder, (folder / "code.bin").read_bytes())


def disassembled(folder: Path, code: bytes) -> list[str]:
    (folder / "raw").write_bytes(code)
    argv = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", str(folder / "raw")]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if line.startswith(" ")]


@pytest.mark.tool("as", "binutils")
@pytest.mark.parametrize(
    ("code", "listing"),
    [(cpu.LOOP, LOOP), (cpu.STUB_CODE, STUB), (cpu.STUB_CODE + cpu.BORN_CODE, BORN), (cpu.GUARD_CODE, GUARD), (cpu.INIT_CODE, INIT)],
    ids=["loop", "stub", "born", "guard", "init"],
)
def test_the_bytes_are_what_the_listing_says(tmp_path: Path, code: bytes, listing: str) -> None:
    if listing is BORN:
        code = code[: len(cpu.STUB_CODE) + cpu.PARENT_AT] + (0x12345).to_bytes(4, "little") + code[len(cpu.STUB_CODE) + cpu.PARENT_AT + 4 :]
    assert disassembled(tmp_path, code) == assembled(tmp_path, listing)


def test_the_loop_pauses_at_its_end() -> None:
    assert cpu.LOOP[cpu.PAUSE_AT :] == cpu.STUB_CODE
    assert cpu.STUB_CODE[5:7] == cpu.SYSCALL_INSN


@pytest.mark.parametrize("elf", [cpu.stub_elf(77), cpu.init_elf(), cpu.guard_elf()], ids=["stub", "init", "guard"])
def test_an_elf_loads_itself_whole_and_begins_inside(elf: bytes) -> None:
    assert elf[:7] == b"\x7fELF\x02\x01\x01"
    entry, segments = struct.unpack_from("<QQ", elf, 24)
    kind, access, offset, at, _, in_file, in_memory, _ = struct.unpack_from("<IIQQQQQQ", elf, segments)
    assert (kind, access, offset, in_file, in_memory) == (1, 5, 0, len(elf), len(elf))
    assert at + 120 <= entry < at + len(elf)


def test_a_stub_is_told_its_parent() -> None:
    one, two = cpu.stub_elf(0x11111111), cpu.stub_elf(0x22222222)
    assert [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b] == list(range(129 + cpu.PARENT_AT, 129 + cpu.PARENT_AT + 4))


def test_registers_keep_what_is_not_changed() -> None:
    raw = struct.pack("<27Q", *range(27))
    regs = cpu.Registers(raw)
    assert regs.pack() == raw
    regs["rip"] = -1
    assert regs["rip"] == cpu.MASK
    assert [i for i, (a, b) in enumerate(zip(struct.unpack("<27Q", regs.pack()), range(27), strict=True)) if a != b] == [16]


def test_a_call_is_set_up_as_the_kernel_takes_it() -> None:
    regs = cpu.Registers(bytes(27 * 8))
    regs.enter_call(0x1000, 9, (1, 2, 3, 4, 5, 6))
    assert [regs[n] for n in ("rip", "rax", "orig_rax", "rdi", "rsi", "rdx", "r10", "r8", "r9")] == [0x1000, 9, cpu.MASK, 1, 2, 3, 4, 5, 6]
