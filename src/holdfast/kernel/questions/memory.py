"""Can this kernel handle memory as a checkpoint needs it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os

from holdfast.kernel import trial
from holdfast.kernel.answer import NO, QUESTIONS, YES, Answer, judged, opened, question, shared
from holdfast.kernel.uapi import constants as c
from holdfast.kernel.uapi.structs import PM_SCAN_ARG, UFFDIO_API


@question
def pagemap_scan() -> Answer:
    """PAGEMAP_SCAN, which finds the pages of an address space in one call.

    Source:  52526ca7fdb9 ("fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs") (v6.7)
    """
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        start = ctypes.addressof(ctypes.c_char.from_buffer(page))
        return _scan(start, start + mmap.PAGESIZE)


def _scan(start: int, end: int) -> Answer:
    request = bytearray(PM_SCAN_ARG.pack(size=PM_SCAN_ARG.size, start=start, end=end, category_mask=c.PAGE_IS_PRESENT))
    fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, c.PAGEMAP_SCAN, request)
    except OSError as cause:
        return judged(-(cause.errno or 0), "PAGEMAP_SCAN", lacks=(errno.ENOTTY, errno.EINVAL))
    finally:
        os.close(fd)
    return Answer(YES, "PAGEMAP_SCAN works")


# The features that a userfaultfd of ours offers, asked for once; an errno as a negative number.
def _uffd(flags: int) -> int:
    key = f"userfaultfd {flags}"
    known = shared.get(key)
    if not isinstance(known, int):
        known = trial.syscall("userfaultfd", os.O_CLOEXEC | os.O_NONBLOCK | flags)
        if known >= 0:
            fd = known
            request = bytearray(UFFDIO_API.pack(api=c.UFFD_API))
            try:
                fcntl.ioctl(fd, c.UFFDIO_API, request)
                known = UFFDIO_API.unpack(request)["features"]
            except OSError as cause:
                known = -(cause.errno or 0)
            finally:
                os.close(fd)
        shared[key] = known
    return known


@question
def userfaultfd() -> Answer:
    """A userfaultfd that also sees faults of the kernel; its value is the features."""
    features = _uffd(0)
    return judged(features, "userfaultfd(2)", value=features)


@question
def userfaultfd_user_mode() -> Answer:
    """A userfaultfd for faults of user space, which is enough to fill memory; its value is the features.

    Source:  37cd0575b855 ("userfaultfd: add UFFD_USER_MODE_ONLY") (v5.11)
    """
    features = _uffd(c.UFFD_USER_MODE_ONLY)
    return judged(features, "userfaultfd(2) with UFFD_USER_MODE_ONLY", value=features)


@question
def userfaultfd_device() -> Answer:
    """/dev/userfaultfd, whose permissions give what the sysctl keeps from ordinary users."""
    return opened("/dev/userfaultfd", os.O_RDWR)


def _feature(name: str, bit: int) -> None:
    def asked() -> Answer:
        features = _uffd(c.UFFD_USER_MODE_ONLY)
        if features == -errno.EINVAL:
            features = _uffd(0)  # before 5.11 there was no such flag
        if features < 0:
            return judged(features, "userfaultfd(2)")
        return Answer(YES if features & bit else NO, f"userfaultfd's features are {features:#x}")

    QUESTIONS[name] = asked


_feature("userfaultfd_wp_async", c.UFFD_FEATURE_WP_ASYNC)
_feature("userfaultfd_wp_unpopulated", c.UFFD_FEATURE_WP_UNPOPULATED)
_feature("userfaultfd_missing_shmem", c.UFFD_FEATURE_MISSING_SHMEM)
_feature("userfaultfd_move", c.UFFD_FEATURE_MOVE)


def _advice(name: str, advice: int) -> None:
    # A length of 0 is checked for its advice, and then nothing is left to do: madvise(2).
    QUESTIONS[name] = lambda: judged(trial.syscall("madvise", 0, 0, advice), f"madvise(2) with {name.upper()}", lacks=(errno.EINVAL,))


for _name in (
    "MADV_POPULATE_READ", "MADV_POPULATE_WRITE", "MADV_COLLAPSE", "MADV_GUARD_INSTALL", "MADV_DONTNEED_LOCKED", "MADV_PAGEOUT", "MADV_COLD",
    "MADV_WIPEONFORK", "MADV_MERGEABLE", "MADV_HUGEPAGE",
):  # fmt: skip
    _advice(_name.lower(), getattr(c, _name))


@question
def process_vm_readv() -> Answer:
    """process_vm_readv(2), tried on ourselves without a byte to read."""
    return judged(trial.syscall("process_vm_readv", os.getpid(), None, 0, None, 0, 0), "process_vm_readv(2)")


@question
def set_mm_map() -> Answer:
    """PR_SET_MM_MAP, which gives a process its heap, stack and argument bounds back; its value is the size of the struct.

    Source:  f606b77f1a9e ("prctl: PR_SET_MM -- introduce PR_SET_MM_MAP operation") (v3.18)
    """
    size = ctypes.create_string_buffer(4)
    failed = trial.syscall("prctl", c.PR_SET_MM, c.PR_SET_MM_MAP_SIZE, size, 0, 0)
    return judged(failed, "PR_SET_MM_MAP", value=int.from_bytes(size.raw, "little"))


@question
def anon_vma_name() -> Answer:
    """PR_SET_VMA_ANON_NAME, tried on a page of ours. It says EINVAL where it was not built in.

    Source:  PR_SET_VMA(2const)
    """
    with mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        start = ctypes.addressof(ctypes.c_char.from_buffer(page))
        result = trial.syscall("prctl", c.PR_SET_VMA, c.PR_SET_VMA_ANON_NAME, start, mmap.PAGESIZE, b"holdfast\0")
    return judged(result, "PR_SET_VMA_ANON_NAME")


@question
def soft_dirty() -> Answer:
    """Soft-dirty bits: a kernel that keeps them marks new memory, and shows `sd` among our VmFlags.

    Source:  proc_pid_smaps(5)
    """
    with open("/proc/self/smaps", "rb") as file:
        shown = any(b" sd" in line for line in file.read().split(b"\n") if line.startswith(b"VmFlags:"))
    return Answer(YES if shown else NO, f"VmFlags of our own memory {'have' if shown else 'have no'} sd")


@question
def map_files() -> Answer:
    """/proc/PID/map_files, which opens what is mapped though its name is gone.

    Source:  proc_pid_map_files(5)
    """
    return opened(f"/proc/self/map_files/{os.listdir('/proc/self/map_files')[0]}")


@question
def memfd() -> Answer:
    """memfd_create(2)."""
    fd = trial.syscall("memfd_create", b"holdfast\0", c.MFD_CLOEXEC | c.MFD_ALLOW_SEALING)
    if fd >= 0:
        os.close(fd)
    return judged(fd, "memfd_create(2)")


@question
def memory_sealing() -> Answer:
    """mseal(2), tried on no memory.

    Source:  8be7258aad44 ("mseal: add mseal syscall") (v6.10)
    """
    return judged(trial.syscall("mseal", 0, 0, 0), "mseal(2)")
