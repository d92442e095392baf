"""x86-64: register layout, the program loop, the stub that a restored task starts from.

Source:  Linux arch/x86/include/uapi/asm/ptrace.h (user_regs_struct), syscall(2), ptrace(2).
"""

from __future__ import annotations

from struct import Struct as Format

MASK = (1 << 64) - 1
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()
PRSTATUS = Format("<27Q")
INDEX = {name: i for i, name in enumerate(REGISTERS)}
SYSCALL_INSN = b"\x0f\x05"
ARG_REGISTERS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")

# The loop over a table of rows (prog/lower.py). rbx: the row; r14: the signal that it stops itself with.
# It uses no stack. It ends in tgkill(getpid(), gettid(), r14), never in a trap instruction: a forced SIGTRAP destroys
# a task's SIG_IGN or blocked SIGTRAP (kernel/signal.c, force_sig_info_to_task), a queued signal that the tracer
# swallows leaves no trace.
#
#   next: mov (%rbx),%rax; cmp $-1,%rax; je stop
#         mov 8(%rbx),%r12                          flags
#         mov 16..56(%rbx) to rdi rsi rdx r10 r8 r9 arguments; for each bit 0..5 of r12: load through it
#   go:   syscall; shr $8,%r12
#         cmp $3,%r12b; jne 1f; test %rax,%rax; jnz 1f; mov 64(%rbx),%rbx; jmp next
#   1:    mov %rax,72(%rbx); test %r12b,%r12b; jz ok
#         cmp $2,%r12b; jne 1f; cmp 64(%rbx),%rax; jne stop; jmp ok
#   1:    cmp $-4096,%rax; ja stop
#   ok:   add $80,%rbx; jmp next
#   stop: mov $39,%eax; syscall; mov %eax,%r13d; mov $186,%eax; syscall; mov %r13d,%edi; mov %eax,%esi
#         mov %r14d,%edx; mov $234,%eax; syscall
#   1:    mov $34,%eax; syscall; jmp 1b             pause, for a tracer that comes back
LOOP = bytes.fromhex(
    "488b034883f8ff0f84970000004c8b6308488b7b10488b7318488b53204c8b53284c8b43304c8b4b3841f6c43f743641f6c4017403488b3f41f6c402"
    "7403488b3641f6c4047403488b1241f6c40874034d8b1241f6c41074034d8b0041f6c42074034d8b090f0549c1ec084180fc03750b4885c07506488b"
    "5b40eb84488943484584e474164180fc027508483b43407513eb08483d00f0ffff77094883c350e95cffffffb8270000000f054189c5b8ba0000000f"
    "054489ef89c64489f2b8ea0000000f05b8220000000f05ebf7"
)

PAUSE_AT = len(LOOP) - 9

# pause() for ever: mov $34,%eax; syscall; jmp _start
STUB_CODE = bytes.fromhex("b8220000000f05ebf7")
# What a stub begins with: it dies with the task that made it, and at once if that is dead already, which its parent then shows.
#
#   mov $157,%eax; mov $1,%edi; mov $9,%esi; syscall       prctl(PR_SET_PDEATHSIG, SIGKILL)
#   mov $110,%eax; syscall; cmp $PARENT,%eax; je pause     getppid
#   xor %edi,%edi; mov $231,%eax; syscall                  exit_group
BORN_CODE = bytes.fromhex("cc" + "b89d000000bf01000000be090000000f05b86e0000000f053d00000000" + "74d731ffb8e70000000f05")
PARENT_AT = 1 + 0x19
STUB_BASE = 0x10000
STUB_SYSCALL = STUB_BASE + 120 + 5  # address of the stub's own syscall instruction


# The init of a job's pid namespace. It begins as the stub does, so that a program can be run in it; let go at INIT_ENTRY with the job's
# pid in rbx and every signal blocked, it reaps orphans, passes on signals that come from outside the namespace (their siginfo names
# sender 0, pid_namespaces(7)), and ends as the job ends. It needs no descriptor, no file and one page of stack.
#
#         sub $256,%rsp
#   reap: mov $61,%eax; mov $-1,%rdi; lea 128(%rsp),%rsi; mov $0x40000001,%edx; xor %r10d,%r10d; syscall   wait4, WNOHANG | __WALL
#         test %eax,%eax; jle take; cmp %ebx,%eax; jne reap
#         mov 128(%rsp),%edi; mov %edi,%eax; and $0x7f,%eax; jz 1f; lea 128(%rax),%edi; jmp 2f
#   1:    shr $8,%edi; movzbl %dil,%edi
#   2:    mov $231,%eax; syscall                                                                            exit_group
#   take: mov $128,%eax; lea all(%rip),%rdi; mov %rsp,%rsi; xor %edx,%edx; mov $8,%r10d; syscall            rt_sigtimedwait
#         test %eax,%eax; jle reap; cmp $17,%eax; je reap; cmpl $0,16(%rsp); jne take
#         mov %eax,%esi; mov %ebx,%edi; mov $62,%eax; syscall; jmp take                                     kill
#   all:  .quad -1
INIT_CODE = STUB_CODE + bytes.fromhex(
    "cccccccccccccc4881ec00010000b83d00000048c7c7ffffffff488db42480000000ba010000404531d20f0585c07e2839d875da8bbc248000000089"
    "f883e07f74088db880000000eb07c1ef08400fb6ffb8e70000000f05b880000000488d3d2a0000004889e631d241ba080000000f0585c07e9983f811"
    "7494837c24100075d789c689dfb83e0000000f05ebcaffffffffffffffff"
)
INIT_ENTRY = STUB_BASE + 120 + 16

# The guard: read(0, stack, 1); again where interrupted; where a byte came exit_group(0), else execve(argv[1], argv + 1, envp).
#
#   mov %rsp,%rbx; sub $32,%rsp
#   1: xor %edi,%edi; mov %rsp,%rsi; mov $1,%edx; xor %eax,%eax; syscall; cmp $-4,%rax; je 1b; cmp $1,%rax; je 2f
#   mov (%rbx),%rcx; mov 16(%rbx),%rdi; lea 16(%rbx),%rsi; lea 16(%rbx,%rcx,8),%rdx; mov $59,%eax; syscall
#   2: xor %edi,%edi; mov $231,%eax; syscall
GUARD_CODE = bytes.fromhex(
    "4889e34883ec2031ff4889e6ba0100000031c00f054883f8fc74ec4883f8017417488b0b488b7b10488d7310488d54cb10b83b0000000f0531ffb8e70000000f05"
)


def stub_elf(parent: int) -> bytes:
    """A static ELF of 170 bytes that only pauses, as long as the process that it is a child of is there.

    Source:  elf(5), PR_SET_PDEATHSIG(2const)
    """
    born = BORN_CODE[:PARENT_AT] + parent.to_bytes(4, "little") + BORN_CODE[PARENT_AT + 4 :]
    return _elf(STUB_CODE + born, entry=len(STUB_CODE) + 1)


def init_elf() -> bytes:
    """A static ELF of 279 bytes: a stub, and behind it the init of a job's pid namespace.

    Source:  elf(5)
    """
    return _elf(INIT_CODE)


def guard_elf() -> bytes:
    """A static ELF of 185 bytes that waits for a byte on descriptor 0, and without one becomes the program of its arguments.

    Source:  elf(5)
    """
    return _elf(GUARD_CODE)


# The process that the hunter's recipes run in. It pauses; the hunter sends it to GATE with registers set for one system call and rbx
# at a word for the result, and it pauses again. HANDLER counts signals in SUBJECT_COUNTER, RESTORER ends a handler.
#   idle: mov $34,%eax; syscall; jmp idle
#   gate: syscall; mov %rax,(%rbx); jmp idle
#   handler: lock incl SUBJECT_COUNTER; ret
#   restorer: mov $15,%eax; syscall
SUBJECT_SCRATCH, SUBJECT_SCRATCH_SIZE = 0x10000000, 1 << 20
SUBJECT_COUNTER = SUBJECT_SCRATCH
SUBJECT_CODE = bytes.fromhex("b8220000000f05ebf70f05488903ebf0f0ff042500000010c3b80f0000000f05")
SUBJECT_IDLE = STUB_BASE + 120 + 56
SUBJECT_GATE, SUBJECT_HANDLER, SUBJECT_RESTORER = SUBJECT_IDLE + 9, SUBJECT_IDLE + 16, SUBJECT_IDLE + 25


def subject_elf() -> bytes:
    """A static ELF that only pauses, with a mebibyte of memory that can be written at SUBJECT_SCRATCH.

    Source:  elf(5)
    """
    segment = Format("<IIQQQQQQ").pack(1, 6, 0, SUBJECT_SCRATCH, SUBJECT_SCRATCH, 0, SUBJECT_SCRATCH_SIZE, 4096)
    return _elf(SUBJECT_CODE, more=segment)


def _elf(code: bytes, entry: int = 0, more: bytes = b"") -> bytes:
    headers = 120 + len(more)
    size = headers + len(code)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += Format("<HHIQQQIHHHHHH").pack(2, 62, 1, STUB_BASE + headers + entry, 64, 0, 0, 64, 56, 1 + len(more) // 56, 0, 0, 0)
    segment = Format("<IIQQQQQQ").pack(1, 5, 0, STUB_BASE, STUB_BASE, size, size, 4096)
    return head + segment + more + code


class Registers:
    """The general registers of one stopped thread; change them by name and put them back.

    Shape:   27 unsigned 64-bit words, in the order of struct user_regs_struct
    """

    __slots__ = ("words",)

    def __init__(self, raw: bytes) -> None:
        self.words: list[int] = list(PRSTATUS.unpack(raw))

    def __getitem__(self, name: str) -> int:
        return self.words[INDEX[name]]

    def __setitem__(self, name: str, value: int) -> None:
        self.words[INDEX[name]] = value & MASK

    def pack(self) -> bytes:
        """The bytes that NT_PRSTATUS takes."""
        return PRSTATUS.pack(*self.words)

    def enter_call(self, insn: int, number: int, args: tuple[int, ...]) -> None:
        """Set up one system call at an address that holds a syscall instruction."""
        self["rax"], self["rip"], self["orig_rax"] = number, insn, MASK
        for name, value in zip(ARG_REGISTERS, (*args, 0, 0, 0, 0, 0, 0), strict=False):
            self[name] = value

    def enter_gate(self, number: int, args: tuple[int, ...], slot: int) -> None:
        """Set up one system call of a hunter's subject; its result goes to the word at `slot` too."""
        self.enter_call(SUBJECT_GATE, number, args)
        self["rbx"] = slot

    def enter_idle(self) -> None:
        """Set a hunter's subject up to pause."""
        self["rip"], self["rax"], self["orig_rax"] = SUBJECT_IDLE, 0, MASK

    def enter_init(self, program: int) -> None:
        """Set up the life of a job's init; `program` is the job's pid in its own namespace."""
        self["rip"], self["rbx"], self["rax"], self["orig_rax"] = INIT_ENTRY, program, 0, MASK

    def enter_pause(self, code: int) -> None:
        """Set up the end of the program loop, where a task pauses for ever."""
        self["rip"], self["rax"], self["orig_rax"] = code + PAUSE_AT, 0, MASK

    def enter_loop(self, code: int, table: int, signal: int) -> None:
        """Set up the program loop."""
        self["rip"], self["rbx"], self["r14"], self["rax"], self["orig_rax"] = code, table, signal, 0, MASK
