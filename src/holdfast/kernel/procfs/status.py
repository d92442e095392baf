"""One task's /proc/PID/status, read key by key."""

from __future__ import annotations

from holdfast.kernel.procfs.malformed import malformed, missing
from holdfast.model.record import Record

_SOURCE = "proc_pid_status(5), Linux fs/proc/array.c proc_pid_status"

# Every key that kernels up to 6.18 print on x86-64; what else is there is for `unknown` to say.
KNOWN = frozenset(
    (
        "Name Umask State Tgid Ngid Pid PPid TracerPid Uid Gid FDSize Groups NStgid NSpid NSpgid NSsid Kthread VmPeak VmSize VmLck VmPin "
        "VmHWM VmRSS RssAnon RssFile RssShmem VmData VmStk VmExe VmLib VmPTE VmPMD VmSwap HugetlbPages CoreDumping THP_enabled untag_mask "
        "Threads SigQ SigPnd ShdPnd SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters "
        "Speculation_Store_Bypass SpeculationIndirectBranch Cpus_allowed Cpus_allowed_list Mems_allowed Mems_allowed_list "
        "voluntary_ctxt_switches nonvoluntary_ctxt_switches x86_Thread_features x86_Thread_features_locked"
    ).split()
)


class Status(Record):
    """The keys of /proc/PID/status as printed; properties read those that a checkpoint needs."""

    keys: dict[str, bytes]

    def text(self, key: str) -> bytes:
        """The value of a key as printed.

        Raises:  kernel_lacks.proc_key: this kernel does not print it
        """
        try:
            return self.keys[key]
        except KeyError:
            raise missing("status", key, _SOURCE) from None

    def _numbers(self, key: str, base: int = 10) -> tuple[int, ...]:
        value = self.text(key)
        try:
            return tuple(int(word, base) for word in value.split())
        except ValueError as cause:
            raise malformed("status", value, _SOURCE) from cause

    def _number(self, key: str, base: int = 10) -> int:
        value = self.text(key)
        try:
            return int(value, base)
        except ValueError as cause:
            raise malformed("status", value, _SOURCE) from cause

    @property
    def unknown(self) -> tuple[str, ...]:
        """The keys that nobody has looked at."""
        return tuple(key for key in self.keys if key not in KNOWN)

    @property
    def name(self) -> bytes:
        """The thread's name, with the kernel's escapes undone: only newline and backslash are escaped.

        Source:  Linux fs/proc/array.c proc_task_name
        """
        return self.text("Name").replace(b"\\\\", b"\\\0").replace(b"\\n", b"\n").replace(b"\\\0", b"\\")

    @property
    def state(self) -> str:
        """One letter: R S D T t X Z P I."""
        return self.text("State")[:1].decode("ascii")

    @property
    def umask(self) -> int:
        """The file creation mask; a zombie has none.

        Raises:  kernel_lacks.proc_key: it is a zombie, or the kernel is older than 4.7
        """
        return self._number("Umask", 8)

    @property
    def pid(self) -> int:
        """The thread's id, as this /proc counts."""
        return self._number("Pid")

    @property
    def tgid(self) -> int:
        """The process's id, as this /proc counts."""
        return self._number("Tgid")

    @property
    def ppid(self) -> int:
        """The parent's id, as this /proc counts; 0 when it is not to be seen."""
        return self._number("PPid")

    @property
    def tracer_pid(self) -> int:
        """Who traces it, 0 when nobody does."""
        return self._number("TracerPid")

    @property
    def uids(self) -> tuple[int, ...]:
        """Real, effective, saved, filesystem; as the reader's user namespace counts."""
        return self._numbers("Uid")

    @property
    def gids(self) -> tuple[int, ...]:
        """Real, effective, saved, filesystem; as the reader's user namespace counts."""
        return self._numbers("Gid")

    @property
    def groups(self) -> tuple[int, ...]:
        """Supplementary groups, sorted by the kernel."""
        return self._numbers("Groups")

    @property
    def ns_tgids(self) -> tuple[int, ...]:
        """The process's id in each pid namespace from this /proc's inwards."""
        return self._numbers("NStgid")

    @property
    def ns_pids(self) -> tuple[int, ...]:
        """The thread's id in each pid namespace from this /proc's inwards."""
        return self._numbers("NSpid")

    @property
    def ns_pgids(self) -> tuple[int, ...]:
        """The process group's id in each pid namespace from this /proc's inwards."""
        return self._numbers("NSpgid")

    @property
    def ns_sids(self) -> tuple[int, ...]:
        """The session's id in each pid namespace from this /proc's inwards."""
        return self._numbers("NSsid")

    @property
    def is_kernel_thread(self) -> bool:
        """A task without user space. Kernels that do not print Kthread (before 6.8) print no Vm line for one, nor for a zombie.

        Source:  Linux fs/proc/array.c task_mem, and proc_pid_status
        """
        kthread = self.keys.get("Kthread")
        return kthread == b"1" if kthread is not None else "VmSize" not in self.keys and self.state != "Z"

    @property
    def threads(self) -> int:
        """How many threads the process has."""
        return self._number("Threads")

    @property
    def pending(self) -> int:
        """Signals waiting for the thread; bit N-1 is signal N."""
        return self._number("SigPnd", 16)

    @property
    def shared_pending(self) -> int:
        """Signals waiting for the process; bit N-1 is signal N."""
        return self._number("ShdPnd", 16)

    @property
    def blocked(self) -> int:
        """Signals that the thread blocks; bit N-1 is signal N."""
        return self._number("SigBlk", 16)

    @property
    def ignored(self) -> int:
        """Signals that the process ignores by its own setting; bit N-1 is signal N."""
        return self._number("SigIgn", 16)

    @property
    def caught(self) -> int:
        """Signals that the process has a handler for; bit N-1 is signal N."""
        return self._number("SigCgt", 16)

    @property
    def queued_signals(self) -> tuple[int, int]:
        """Signals queued for this real uid, and the limit."""
        value = self.text("SigQ")
        used, _, limit = value.partition(b"/")
        try:
            return int(used), int(limit)
        except ValueError as cause:
            raise malformed("status", value, _SOURCE) from cause

    def capabilities(self, which: str) -> int:
        """One capability set: `Inh`, `Prm`, `Eff`, `Bnd` or `Amb`; bit N is capability N."""
        return self._number("Cap" + which, 16)

    @property
    def no_new_privs(self) -> bool:
        """PR_SET_NO_NEW_PRIVS was called."""
        return self._number("NoNewPrivs") == 1

    @property
    def seccomp_mode(self) -> int:
        """0 none, 1 strict, 2 filter; 0 on a kernel built without seccomp, which prints nothing."""
        return self._number("Seccomp") if "Seccomp" in self.keys else 0

    @property
    def seccomp_filters(self) -> int | None:
        """How many filters are attached; None on a kernel that does not say (before 5.9).

        Source:  c818c03b661c ("seccomp: Report number of loaded filters in /proc/$pid/status") (v5.9)
        """
        return self._number("Seccomp_filters") if "Seccomp_filters" in self.keys else None

    @property
    def thread_features(self) -> tuple[str, ...]:
        """x86 features switched on by arch_prctl: `shstk`, `wrss`; empty where the kernel prints no such line.

        Source:  Linux arch/x86/kernel/cpu/proc.c arch_proc_pid_thread_features
        """
        return tuple(self.keys.get("x86_Thread_features", b"").decode("ascii", "backslashreplace").split())

    @property
    def thread_features_locked(self) -> tuple[str, ...]:
        """x86 features that arch_prctl may not change any more."""
        return tuple(self.keys.get("x86_Thread_features_locked", b"").decode("ascii", "backslashreplace").split())

    @property
    def size_bytes(self) -> int:
        """The address space in bytes; 0 for a task without one."""
        value = self.keys.get("VmSize")
        if value is None:
            return 0
        words = value.split()
        if len(words) != 2 or words[1] != b"kB":
            raise malformed("status", value, _SOURCE)
        return int(words[0]) * 1024


def parse_status(data: bytes) -> Status:
    """The keys of /proc/PID/status or /proc/PID/task/TID/status.

    Raises:  kernel_lacks.proc_format: a line without a key
    Source:  proc_pid_status(5), Linux fs/proc/array.c proc_pid_status
    """
    keys: dict[str, bytes] = {}
    for line in data.split(b"\n"):
        if line:
            key, colon, value = line.partition(b":")
            if not colon:
                raise malformed("status", line, _SOURCE)
            # Only the tab is the kernel's: a name may begin or end with spaces.
            keys[key.decode("ascii", "backslashreplace")] = value[1:] if value[:1] == b"\t" else value
    return Status(keys)
