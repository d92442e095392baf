"""Permanent names of the kernel's flags: one row a name, and what the kernel calls the same thing today.

A name is for ever: an image stores it, never the bit. A row may change its value when a kernel renumbers; a name is never removed and never
given to another meaning (ledger/flags/ is the record of every name that was shipped; tests/format/test_locks.py holds us to it).
Data only; kernel.flags turns it into names and bits.

Source:  the man page or header named above each table; the values of x86-64, held equal to kernel.uapi.constants by a test
"""

from __future__ import annotations

# Sets of bits, by table. A value of several bits is a name for exactly all of them (O_SYNC is O_DSYNC and one bit more).
BITS: dict[str, dict[str, int]] = {
    # open(2), fcntl(2) F_GETFL, proc_pid_fdinfo(5) flags; include/uapi/asm-generic/fcntl.h. O_RDONLY is the absence of the others.
    # O_LARGEFILE and O_ASYNC (FASYNC) are the kernel's values; a C library may show O_LARGEFILE as 0.
    "open": {
        "O_WRONLY": 0x1,
        "O_RDWR": 0x2,
        "O_ACCMODE": 0x3,  # neither reading nor writing, ioctl only: Linux fs/open.c build_open_flags
        "O_CREAT": 0x40,
        "O_EXCL": 0x80,
        "O_NOCTTY": 0x100,
        "O_TRUNC": 0x200,
        "O_APPEND": 0x400,
        "O_NONBLOCK": 0x800,
        "O_DSYNC": 0x1000,
        "O_ASYNC": 0x2000,
        "O_DIRECT": 0x4000,
        "O_LARGEFILE": 0x8000,
        "O_DIRECTORY": 0x10000,
        "O_NOFOLLOW": 0x20000,
        "O_NOATIME": 0x40000,
        "O_CLOEXEC": 0x80000,
        "O_SYNC": 0x101000,
        "O_PATH": 0x200000,
        "O_TMPFILE": 0x410000,
        "O_EMPTYPATH": 0x4000000,
    },
    # mmap(2), mprotect(2); include/uapi/asm-generic/mman-common.h
    "prot": {
        "PROT_READ": 0x1,
        "PROT_WRITE": 0x2,
        "PROT_EXEC": 0x4,
        "PROT_SEM": 0x8,
        "PROT_GROWSDOWN": 0x1000000,
        "PROT_GROWSUP": 0x2000000,
    },
    # mmap(2); include/uapi/linux/mman.h, asm-generic/mman-common.h, arch/x86/include/uapi/asm/mman.h; the type is a field, below
    "map": {
        "MAP_FIXED": 0x10,
        "MAP_ANONYMOUS": 0x20,
        "MAP_32BIT": 0x40,
        "MAP_ABOVE4G": 0x80,
        "MAP_GROWSDOWN": 0x100,
        "MAP_DENYWRITE": 0x800,
        "MAP_EXECUTABLE": 0x1000,
        "MAP_LOCKED": 0x2000,
        "MAP_NORESERVE": 0x4000,
        "MAP_POPULATE": 0x8000,
        "MAP_NONBLOCK": 0x10000,
        "MAP_STACK": 0x20000,
        "MAP_HUGETLB": 0x40000,
        "MAP_SYNC": 0x80000,
        "MAP_FIXED_NOREPLACE": 0x100000,
    },
    # sigaction(2); include/uapi/asm-generic/signal-defs.h, arch/x86/include/uapi/asm/signal.h
    "sigaction": {
        "SA_NOCLDSTOP": 0x1,
        "SA_NOCLDWAIT": 0x2,
        "SA_SIGINFO": 0x4,
        "SA_UNSUPPORTED": 0x400,
        "SA_EXPOSE_TAGBITS": 0x800,
        "SA_RESTORER": 0x4000000,
        "SA_ONSTACK": 0x8000000,
        "SA_RESTART": 0x10000000,
        "SA_NODEFER": 0x40000000,
        "SA_RESETHAND": 0x80000000,
    },
    # sigaltstack(2); include/uapi/linux/signal.h
    "sigaltstack": {"SS_ONSTACK": 0x1, "SS_DISABLE": 0x2, "SS_AUTODISARM": 0x80000000},
    # epoll_ctl(2), proc_pid_fdinfo(5) events; include/uapi/linux/eventpoll.h
    "epoll": {
        "EPOLLIN": 0x1,
        "EPOLLPRI": 0x2,
        "EPOLLOUT": 0x4,
        "EPOLLERR": 0x8,
        "EPOLLHUP": 0x10,
        "EPOLLNVAL": 0x20,
        "EPOLLRDNORM": 0x40,
        "EPOLLRDBAND": 0x80,
        "EPOLLWRNORM": 0x100,
        "EPOLLWRBAND": 0x200,
        "EPOLLMSG": 0x400,
        "EPOLLRDHUP": 0x2000,
        "EPOLL_URING_WAKE": 0x8000000,
        "EPOLLEXCLUSIVE": 0x10000000,
        "EPOLLWAKEUP": 0x20000000,
        "EPOLLONESHOT": 0x40000000,
        "EPOLLET": 0x80000000,
    },
    # capabilities(7) "The securebits flags"; include/uapi/linux/securebits.h
    "securebits": {
        "SECBIT_NOROOT": 0x1,
        "SECBIT_NOROOT_LOCKED": 0x2,
        "SECBIT_NO_SETUID_FIXUP": 0x4,
        "SECBIT_NO_SETUID_FIXUP_LOCKED": 0x8,
        "SECBIT_KEEP_CAPS": 0x10,
        "SECBIT_KEEP_CAPS_LOCKED": 0x20,
        "SECBIT_NO_CAP_AMBIENT_RAISE": 0x40,
        "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED": 0x80,
        "SECBIT_EXEC_RESTRICT_FILE": 0x100,
        "SECBIT_EXEC_RESTRICT_FILE_LOCKED": 0x200,
        "SECBIT_EXEC_DENY_INTERACTIVE": 0x400,
        "SECBIT_EXEC_DENY_INTERACTIVE_LOCKED": 0x800,
    },
    # personality(2); include/uapi/linux/personality.h; the low byte is a field, below
    "personality": {
        "UNAME26": 0x20000,
        "ADDR_NO_RANDOMIZE": 0x40000,
        "FDPIC_FUNCPTRS": 0x80000,
        "MMAP_PAGE_ZERO": 0x100000,
        "ADDR_COMPAT_LAYOUT": 0x200000,
        "READ_IMPLIES_EXEC": 0x400000,
        "ADDR_LIMIT_32BIT": 0x800000,
        "SHORT_INODE": 0x1000000,
        "WHOLE_SECONDS": 0x2000000,
        "STICKY_TIMEOUTS": 0x4000000,
        "ADDR_LIMIT_3GB": 0x8000000,
    },
    # fcntl(2) F_ADD_SEALS; include/uapi/linux/fcntl.h
    "seal": {
        "F_SEAL_SEAL": 0x1,
        "F_SEAL_SHRINK": 0x2,
        "F_SEAL_GROW": 0x4,
        "F_SEAL_WRITE": 0x8,
        "F_SEAL_FUTURE_WRITE": 0x10,
        "F_SEAL_EXEC": 0x20,
    },
    # FS_IOC_FSGETXATTR, of those that every filesystem means alike and any owner may set; include/uapi/linux/fs.h
    "inode": {"FS_XFLAG_SYNC": 0x20, "FS_XFLAG_NOATIME": 0x40, "FS_XFLAG_NODUMP": 0x80},
    # sched_setattr(2); include/uapi/linux/sched.h
    "sched": {"SCHED_FLAG_RESET_ON_FORK": 0x1, "SCHED_FLAG_RECLAIM": 0x2, "SCHED_FLAG_DL_OVERRUN": 0x4},
    # set_mempolicy(2); include/uapi/linux/mempolicy.h: what a mode is joined with
    "mempolicy": {"MPOL_F_NUMA_BALANCING": 0x2000, "MPOL_F_RELATIVE_NODES": 0x4000, "MPOL_F_STATIC_NODES": 0x8000},
    # prctl(2) PR_SET_MDWE; include/uapi/linux/prctl.h
    "mdwe": {"PR_MDWE_REFUSE_EXEC_GAIN": 0x1, "PR_MDWE_NO_INHERIT": 0x2},
    # membarrier(2) MEMBARRIER_CMD_GET_REGISTRATIONS; include/uapi/linux/membarrier.h
    "membarrier": {
        "MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED": 0x4,
        "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED": 0x10,
        "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE": 0x40,
        "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ": 0x100,
    },
    # core(5), proc_pid_coredump_filter(5); include/linux/mm_types.h names the bits, the file shows them from bit 0 on
    "coredump_filter": {
        "MMF_DUMP_ANON_PRIVATE": 0x1,
        "MMF_DUMP_ANON_SHARED": 0x2,
        "MMF_DUMP_MAPPED_PRIVATE": 0x4,
        "MMF_DUMP_MAPPED_SHARED": 0x8,
        "MMF_DUMP_ELF_HEADERS": 0x10,
        "MMF_DUMP_HUGETLB_PRIVATE": 0x20,
        "MMF_DUMP_HUGETLB_SHARED": 0x40,
        "MMF_DUMP_DAX_PRIVATE": 0x80,
        "MMF_DUMP_DAX_SHARED": 0x100,
    },
    # capabilities(7), proc_pid_status(5) CapEff; include/uapi/linux/capability.h: capability number N is bit N
    "capability": {
        name: 1 << n
        for n, name in enumerate(
            """CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP
            CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE
            CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE
            CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE
            CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF
            CAP_CHECKPOINT_RESTORE""".split()
        )
    },
    # signal(7), proc_pid_status(5) SigBlk; arch/x86/include/uapi/asm/signal.h: signal number N is bit N - 1. Real-time signals
    # go by their number, for a C library's SIGRTMIN is not the kernel's.
    "signal": {
        name: 1 << n
        for n, name in enumerate(
            """SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGSTKFLT
            SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
            SIG32 SIG33 SIG34 SIG35 SIG36 SIG37 SIG38 SIG39 SIG40 SIG41 SIG42 SIG43 SIG44 SIG45 SIG46 SIG47 SIG48 SIG49 SIG50 SIG51 SIG52
            SIG53 SIG54 SIG55 SIG56 SIG57 SIG58 SIG59 SIG60 SIG61 SIG62 SIG63 SIG64""".split()
        )
    },
}

# Parts of a set that hold a number and not bits: mask to the names of its numbers; 0 has no name and needs none.
FIELDS: dict[str, dict[int, dict[str, int]]] = {
    "map": {0xF: {"MAP_SHARED": 1, "MAP_PRIVATE": 2, "MAP_SHARED_VALIDATE": 3, "MAP_DROPPABLE": 8}},
    # the bug emulation flags that a header adds to some of these are bits of their own; PER_LINUX is 0
    "personality": {
        0xFF: {
            "PER_SVR4": 1,
            "PER_SVR3": 2,
            "PER_SCOSVR3": 3,
            "PER_WYSEV386": 4,
            "PER_ISCR4": 5,
            "PER_BSD": 6,
            "PER_XENIX": 7,
            "PER_LINUX32": 8,
            "PER_IRIX32": 9,
            "PER_IRIXN32": 10,
            "PER_IRIX64": 11,
            "PER_RISCOS": 12,
            "PER_SOLARIS": 13,
            "PER_UW7": 14,
            "PER_OSF4": 15,
            "PER_HPUX": 16,
        }
    },
}

# Sets of letters, by table: what is shown by two letters in a line of text. The bits behind them move between kernels (that of `ui` did
# in 6.6) and are never used.
LETTERS: dict[str, dict[str, str]] = {
    # proc_pid_smaps(5) VmFlags; fs/proc/task_mmu.c show_smap_vma_flags, all kernels from 3.8 to 7.2
    "vma": {
        "read": "rd",  # VM_READ
        "write": "wr",  # VM_WRITE
        "exec": "ex",  # VM_EXEC
        "shared": "sh",  # VM_SHARED
        "may_read": "mr",  # VM_MAYREAD
        "may_write": "mw",  # VM_MAYWRITE
        "may_exec": "me",  # VM_MAYEXEC
        "may_share": "ms",  # VM_MAYSHARE
        "grows_down": "gd",  # VM_GROWSDOWN
        "page_frames": "pf",  # VM_PFNMAP
        "deny_write": "dw",  # VM_DENYWRITE; gone since 5.15
        "maybe_guard": "gu",  # VM_MAYBE_GUARD; since 6.19, and in stable kernels before
        "locked": "lo",  # VM_LOCKED
        "io": "io",  # VM_IO
        "sequential_read": "sr",  # VM_SEQ_READ
        "random_read": "rr",  # VM_RAND_READ
        "dont_fork": "dc",  # VM_DONTCOPY
        "dont_expand": "de",  # VM_DONTEXPAND
        "lock_on_fault": "lf",  # VM_LOCKONFAULT; since 6.2, though the flag is from 4.4
        "accounted": "ac",  # VM_ACCOUNT
        "no_reserve": "nr",  # VM_NORESERVE
        "huge_tlb": "ht",  # VM_HUGETLB
        "synchronous": "sf",  # VM_SYNC
        "nonlinear": "nl",  # VM_NONLINEAR; gone since 4.0
        "arch_1": "ar",  # VM_ARCH_1: VM_PAT on x86, VM_SAO on powerpc
        "bounds_tables": "mp",  # VM_MPX; 3.19 to 5.5
        "branch_target": "bt",  # VM_ARM64_BTI
        "memory_tags": "mt",  # VM_MTE
        "wipe_on_fork": "wf",  # VM_WIPEONFORK
        "dont_dump": "dd",  # VM_DONTDUMP
        "soft_dirty": "sd",  # VM_SOFTDIRTY
        "mixed_map": "mm",  # VM_MIXEDMAP
        "huge_page": "hg",  # VM_HUGEPAGE
        "no_huge_page": "nh",  # VM_NOHUGEPAGE
        "mergeable": "mg",  # VM_MERGEABLE
        "uffd_missing": "um",  # VM_UFFD_MISSING
        "uffd_write_protect": "uw",  # VM_UFFD_WP
        "uffd_minor": "ui",  # VM_UFFD_MINOR
        "shadow_stack": "ss",  # VM_SHADOW_STACK
        "sealed": "sl",  # VM_SEALED
        "droppable": "dp",  # VM_DROPPABLE
    },
}
