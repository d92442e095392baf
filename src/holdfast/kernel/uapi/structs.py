"""C structs that cross the system call boundary on x86-64, with named fields.

    CLONE_ARGS.pack(flags=CLONE_VM, exit_signal=0)       every field not given is 0
    CLONE_ARGS.unpack(data)["flags"]                     every field by name

The names are the kernel's, but for members of members, which say so. tests/unit/kernel/uapi/test_structs.py compiles each size and offset.

Source:  the header that each layout names; user_regs_struct: arch/x86/include/asm/user_64.h
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# struct codes, little endian, no implicit padding: Q u64, q s64, I u32, i s32, H u16, h s16, B u8, b s8.


class Layout:
    """The fields of one struct: name, struct code, offset."""

    __slots__ = ("c_name", "header", "names", "offsets", "paths", "size", "spec", "struct")
    names: tuple[str, ...]
    paths: tuple[str, ...]
    offsets: tuple[int, ...]
    size: int
    struct: Struct

    def __init__(self, c_name: str, header: str, spec: str) -> None:
        self.c_name, self.header, self.spec = c_name, header, spec

    # Called when a slot is not yet filled: a layout is read when it is first used, as most never are.
    def __getattr__(self, name: str) -> Any:
        if name not in self.__slots__:
            raise AttributeError(f"Layout has no {name}")
        # A word of the spec is `name:code`, or `name=path.in.c:code`, or `4x` for padding.
        names, paths, offsets, codes = [], [], [], "<"
        size = 0
        for word in self.spec.split():
            field, colon, code = word.partition(":")
            if colon:
                field, _, path = field.partition("=")
                names.append(field)
                paths.append(path or field)
                offsets.append(size)
                size += _SIZES[code]
            else:
                code = word
                size += int(word[:-1])
            codes += code
        self.names, self.paths, self.offsets = tuple(names), tuple(paths), tuple(offsets)
        self.struct, self.size = Struct(codes), size
        return getattr(self, name)

    def pack(self, **values: int) -> bytes:
        """The struct's bytes; a field not given is 0.

        Raises:  TypeError: no such field; struct.error: the value does not fit
        """
        out = [values.pop(name, 0) for name in self.names]
        if values:
            raise TypeError(f"struct {self.c_name} has no field {sorted(values)[0]}")
        return self.struct.pack(*out)

    def unpack(self, data: bytes | bytearray | memoryview, offset: int = 0) -> dict[str, int]:
        """Every field to its value.

        Raises:  struct.error: fewer bytes than the struct has
        """
        return dict(zip(self.names, self.struct.unpack_from(data, offset), strict=True))

    def unpack_array(self, data: bytes | bytearray | memoryview) -> Iterator[tuple[int, ...]]:
        """The values of each struct of an array, in the order of `names`.

        Raises:  struct.error: the size is no multiple of the struct's
        """
        return self.struct.iter_unpack(data)

    def offset(self, name: str) -> int:
        """Where a field begins.

        Unit:    bytes
        Raises:  ValueError: no such field
        """
        return self.offsets[self.names.index(name)]

    def __repr__(self) -> str:
        return f"Layout({self.c_name}, {self.size} bytes)"


_SIZES = {"Q": 8, "q": 8, "I": 4, "i": 4, "H": 2, "h": 2, "B": 1, "b": 1}

# Memory
IOVEC = Layout("iovec", "linux/uio.h", "iov_base:Q iov_len:Q")
PRCTL_MM_MAP = Layout(
    "prctl_mm_map",
    "linux/prctl.h",
    "start_code:Q end_code:Q start_data:Q end_data:Q start_brk:Q brk:Q start_stack:Q arg_start:Q arg_end:Q env_start:Q env_end:Q auxv:Q "
    "auxv_size:I exe_fd:I",
)
PM_SCAN_ARG = Layout(
    "pm_scan_arg",
    "linux/fs.h",
    "size:Q flags:Q start:Q end:Q walk_end:Q vec:Q vec_len:Q max_pages:Q category_inverted:Q "
    "category_mask:Q category_anyof_mask:Q return_mask:Q",
)
PAGE_REGION = Layout("page_region", "linux/fs.h", "start:Q end:Q categories:Q")
UFFDIO_API = Layout("uffdio_api", "linux/userfaultfd.h", "api:Q features:Q ioctls:Q")
UFFDIO_RANGE = Layout("uffdio_range", "linux/userfaultfd.h", "start:Q len:Q")
UFFDIO_REGISTER = Layout("uffdio_register", "linux/userfaultfd.h", "start=range.start:Q len=range.len:Q mode:Q ioctls:Q")
UFFDIO_COPY = Layout("uffdio_copy", "linux/userfaultfd.h", "dst:Q src:Q len:Q mode:Q copy:q")
UFFDIO_ZEROPAGE = Layout("uffdio_zeropage", "linux/userfaultfd.h", "start=range.start:Q len=range.len:Q mode:Q zeropage:q")
UFFDIO_WRITEPROTECT = Layout("uffdio_writeprotect", "linux/userfaultfd.h", "start=range.start:Q len=range.len:Q mode:Q")
UFFDIO_CONTINUE = Layout("uffdio_continue", "linux/userfaultfd.h", "start=range.start:Q len=range.len:Q mode:Q mapped:q")
UFFDIO_POISON = Layout("uffdio_poison", "linux/userfaultfd.h", "start=range.start:Q len=range.len:Q mode:Q updated:q")
UFFDIO_MOVE = Layout("uffdio_move", "linux/userfaultfd.h", "dst:Q src:Q len:Q mode:Q move:q")

# Tasks
CLONE_ARGS = Layout(
    "clone_args",
    "linux/sched.h",
    "flags:Q pidfd:Q child_tid:Q parent_tid:Q exit_signal:Q stack:Q stack_size:Q tls:Q set_tid:Q set_tid_size:Q cgroup:Q",
)
SCHED_ATTR = Layout(
    "sched_attr",
    "linux/sched/types.h",
    "size:I sched_policy:I sched_flags:Q sched_nice:i sched_priority:I sched_runtime:Q sched_deadline:Q sched_period:Q sched_util_min:I "
    "sched_util_max:I",
)
CAP_HEADER = Layout("__user_cap_header_struct", "linux/capability.h", "version:I pid:i")
CAP_DATA = Layout("__user_cap_data_struct", "linux/capability.h", "effective:I permitted:I inheritable:I")
RLIMIT64 = Layout("rlimit64", "linux/resource.h", "rlim_cur:Q rlim_max:Q")
ROBUST_LIST_HEAD = Layout("robust_list_head", "linux/futex.h", "next=list.next:Q futex_offset:q list_op_pending:Q")
# The first 32 bytes; AT_RSEQ_FEATURE_SIZE says how many of them, or more, the kernel fills.
RSEQ = Layout("rseq", "linux/rseq.h", "cpu_id_start:I cpu_id:I rseq_cs:Q flags:I node_id:I mm_cid:I 4x")
RSEQ_CS = Layout("rseq_cs", "linux/rseq.h", "version:I flags:I start_ip:Q post_commit_offset:Q abort_ip:Q")

# Tracing
USER_REGS = Layout(
    "user_regs_struct",
    "sys/user.h",
    "r15:Q r14:Q r13:Q r12:Q rbp:Q rbx:Q r11:Q r10:Q r9:Q r8:Q rax:Q rcx:Q rdx:Q rsi:Q rdi:Q orig_rax:Q rip:Q cs:Q eflags:Q rsp:Q ss:Q "
    "fs_base:Q gs_base:Q ds:Q es:Q fs:Q gs:Q",
)
PTRACE_PEEKSIGINFO_ARGS = Layout("ptrace_peeksiginfo_args", "linux/ptrace.h", "off:Q flags:I nr:i")
PTRACE_RSEQ_CONFIGURATION = Layout(
    "ptrace_rseq_configuration", "linux/ptrace.h", "rseq_abi_pointer:Q rseq_abi_size:I signature:I flags:I pad:I"
)
PTRACE_SUD_CONFIG = Layout("ptrace_sud_config", "linux/ptrace.h", "mode:Q selector:Q offset:Q len:Q")
PTRACE_SYSCALL_INFO = Layout(
    "ptrace_syscall_info",
    "linux/ptrace.h",
    "op:B 3x arch:I instruction_pointer:Q stack_pointer:Q nr=entry.nr:Q arg0=entry.args[0]:Q arg1=entry.args[1]:Q arg2=entry.args[2]:Q "
    "arg3=entry.args[3]:Q arg4=entry.args[4]:Q arg5=entry.args[5]:Q ret_data=seccomp.ret_data:I 4x",
)
SECCOMP_METADATA = Layout("seccomp_metadata", "linux/ptrace.h", "filter_off:Q flags:Q")
SOCK_FILTER = Layout("sock_filter", "linux/filter.h", "code:H jt:B jf:B k:I")
SOCK_FPROG = Layout("sock_fprog", "linux/filter.h", "len:H 6x filter:Q")

# Signals. The five siginfo layouts are the members of one union behind the same 16 bytes; all are 128 bytes.
SIGACTION = Layout("sigaction", "asm/signal.h", "handler=sa_handler:Q sa_flags:Q sa_restorer:Q sa_mask:Q")
STACK_T = Layout("stack_t", "asm/signal.h", "ss_sp:Q ss_flags:i 4x ss_size:Q")
SIGINFO = Layout("siginfo_t", "asm/siginfo.h", "si_signo:i si_errno:i si_code:i 116x")
SIGINFO_RT = Layout("siginfo_t", "asm/siginfo.h", "si_signo:i si_errno:i si_code:i 4x si_pid:i si_uid:I si_value=si_ptr:Q 96x")
SIGINFO_TIMER = Layout(
    "siginfo_t",
    "asm/siginfo.h",
    "si_signo:i si_errno:i si_code:i 4x si_tid:i si_overrun:i si_value=_sifields._timer._sigval.sival_ptr:Q 96x",
)
SIGINFO_CHLD = Layout(
    "siginfo_t", "asm/siginfo.h", "si_signo:i si_errno:i si_code:i 4x si_pid:i si_uid:I si_status:i 4x si_utime:q si_stime:q 80x"
)
SIGINFO_FAULT = Layout("siginfo_t", "asm/siginfo.h", "si_signo:i si_errno:i si_code:i 4x si_addr:Q si_addr_lsb:h 102x")
SIGINFO_POLL = Layout("siginfo_t", "asm/siginfo.h", "si_signo:i si_errno:i si_code:i 4x si_band:q si_fd:i 100x")
SIGINFO_SYS = Layout("siginfo_t", "asm/siginfo.h", "si_signo:i si_errno:i si_code:i 4x si_call_addr:Q si_syscall:i si_arch:I 96x")
SIGEVENT = Layout(
    "sigevent",
    "asm/siginfo.h",
    "sigev_value=sigev_value.sival_ptr:Q sigev_signo:i sigev_notify:i sigev_notify_thread_id=_sigev_un._tid:i 44x",
)

# Time
TIMESPEC = Layout("__kernel_timespec", "linux/time_types.h", "tv_sec:q tv_nsec:q")
ITIMERSPEC = Layout(
    "__kernel_itimerspec",
    "linux/time_types.h",
    "interval_sec=it_interval.tv_sec:q interval_nsec=it_interval.tv_nsec:q value_sec=it_value.tv_sec:q value_nsec=it_value.tv_nsec:q",
)
ITIMERVAL = Layout(
    "itimerval",
    "sys/time.h",
    "interval_sec=it_interval.tv_sec:q interval_usec=it_interval.tv_usec:q value_sec=it_value.tv_sec:q value_usec=it_value.tv_usec:q",
)

# Files and sockets
EPOLL_EVENT = Layout("epoll_event", "linux/eventpoll.h", "events:I data:Q")  # packed on x86-64: data at 4
F_OWNER_EX = Layout("f_owner_ex", "asm/fcntl.h", "type:i pid:i")
FLOCK = Layout("flock", "asm/fcntl.h", "l_type:h l_whence:h 4x l_start:q l_len:q l_pid:i 4x")
OPEN_HOW = Layout("open_how", "linux/openat2.h", "flags:Q mode:Q resolve:Q")
MOUNT_ATTR = Layout("mount_attr", "linux/mount.h", "attr_set:Q attr_clr:Q propagation:Q userns_fd:Q")
WINSIZE = Layout("winsize", "asm/termios.h", "ws_row:H ws_col:H ws_xpixel:H ws_ypixel:H")
UCRED = Layout("ucred", "sys/socket.h", "pid:i uid:I gid:I")
LINGER = Layout("linger", "sys/socket.h", "l_onoff:i l_linger:i")

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Layout))
