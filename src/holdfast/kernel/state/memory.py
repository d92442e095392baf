"""The kernel's memory as bytes at an address: through BPF, or through /proc/kcore where there is no BPF. Nothing can be written."""

from __future__ import annotations

from holdfast.errors import KernelLacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Memory(Protocol):
        """Where kernel memory is read from."""

        def read(self, address: int, size: int) -> bytes:
            """The bytes at a kernel address.

            Raises:  OSError: no such memory
            """

        def current(self) -> int:
            """The address of the task_struct of the thread that asks.

            Raises:  OSError: it cannot be found
            """

        def close(self) -> None:
            """Give back what was taken to read."""


def open_memory() -> Memory:
    """A way to read this kernel's memory: BPF first, then /proc/kcore.

    Needs:   CAP_BPF and CAP_PERFMON, or CAP_SYS_RAWIO
    Raises:  kernel_lacks.kernel_memory: neither works; it says why for each
    """
    # the second way is for kernels without BPF: what it imports is not loaded where the first works
    from holdfast.kernel.state.bpf import BpfMemory

    try:
        return BpfMemory()
    except OSError as by_bpf:
        from holdfast.kernel.state.kcore import KcoreMemory  # see above

        try:
            return KcoreMemory()
        except OSError as by_kcore:
            raise KernelLacks(
                "kernel_memory",
                "live kernel structs cannot be read here",
                where="bpf(2), /proc/kcore",
                why=f"BPF: {by_bpf.strerror or by_bpf}; /proc/kcore: {by_kcore.strerror or by_kcore}",
                do="run as root in the initial user namespace; the kernel needs CONFIG_BPF_SYSCALL or CONFIG_PROC_KCORE, and no lockdown",
            ) from by_bpf
