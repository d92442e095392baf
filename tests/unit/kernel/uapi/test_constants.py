"""Every constant compiled against the headers of this machine, or of the tree that HOLDFAST_UAPI_INCLUDE names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.uapi import constants, objects, sockets

if TYPE_CHECKING:
    from types import ModuleType

MODULES = (constants, sockets, objects)

# What a header needs before it, and what only the C library's headers define.
BEFORE = {
    "asm/ioctls.h": ("linux/ioctl.h", "asm/termbits.h"),
    "asm/signal.h": ("linux/types.h", "linux/time.h"),
    "asm/socket.h": ("linux/posix_types.h", "linux/socket.h"),
    "linux/eventpoll.h": ("linux/ioctl.h",),
    "linux/if_tun.h": ("linux/ioctl.h",),
    "linux/inotify.h": ("linux/ioctl.h",),
    "linux/mount.h": ("linux/fcntl.h",),
    "linux/prctl.h": ("linux/const.h",),
    "linux/signal.h": ("linux/types.h", "linux/time.h"),
    "linux/sockios.h": ("asm/ioctls.h",),
    "linux/tcp.h": ("linux/socket.h",),
    "linux/userfaultfd.h": ("linux/types.h", "linux/ioctl.h"),
}
LIBC = {"sys/eventfd.h", "sys/socket.h", "netinet/tcp.h"}

# Names that Debian 12's headers (linux-libc-dev 6.1) do not have; with HOLDFAST_UAPI_INCLUDE set to 7.2's, none may be missing.
NEWER = frozenset(
    """
    AT_HANDLE_MNT_ID_UNIQUE AT_RENAME_NOREPLACE AT_HANDLE_CONNECTABLE AT_RENAME_EXCHANGE AT_RENAME_WHITEOUT AT_HANDLE_FID
    AT_EXECVE_CHECK O_EMPTYPATH F_SEAL_EXEC F_DUPFD_QUERY F_CREATED_QUERY F_GETDELEG F_SETDELEG MADV_GUARD_INSTALL MADV_GUARD_REMOVE
    MAP_DROPPABLE MAP_ABOVE4G PKEY_UNRESTRICTED MFD_NOEXEC_SEAL MFD_EXEC MPOL_WEIGHTED_INTERLEAVE MPOL_USER_NODEMASK_FLAGS
    SCHED_GETATTR_FLAG_DL_DYNAMIC SCHED_EXT CLONE_AUTOREAP CLONE_NNP CLONE_PIDFD_AUTOKILL CLONE_EMPTY_MNTNS UNSHARE_EMPTY_MNTNS
    PR_CFI_BRANCH_LANDING_PADS PR_PPC_DEXCR_SBHE PR_RISCV_CTX_SW_FENCEI_ON PR_RISCV_SCOPE_PER_PROCESS PR_RISCV_V_VSTATE_CTRL_DEFAULT
    PR_TIMER_CREATE_RESTORE_IDS_OFF PR_CFI_ENABLE PR_FUTEX_HASH_SET_SLOTS PR_MDWE_REFUSE_EXEC_GAIN PR_PPC_DEXCR_CTRL_EDITABLE
    PR_PPC_DEXCR_IBRTPD PR_RISCV_CTX_SW_FENCEI_OFF PR_RISCV_SCOPE_PER_THREAD PR_RISCV_V_VSTATE_CTRL_OFF PR_RSEQ_SLICE_EXTENSION_GET
    PR_RSEQ_SLICE_EXT_ENABLE PR_SHADOW_STACK_ENABLE PR_SYS_DISPATCH_EXCLUSIVE_ON PR_TIMER_CREATE_RESTORE_IDS_ON PR_CFI_DISABLE
    PR_FUTEX_HASH_GET_SLOTS PR_MDWE_NO_INHERIT PR_PPC_DEXCR_CTRL_SET PR_PPC_DEXCR_SRAPD PR_RISCV_V_VSTATE_CTRL_ON
    PR_RSEQ_SLICE_EXTENSION_SET PR_SHADOW_STACK_WRITE PR_SYS_DISPATCH_INCLUSIVE_ON PR_THP_DISABLE_EXCEPT_ADVISED
    PR_TIMER_CREATE_RESTORE_IDS_GET PR_PPC_DEXCR_NPHIE PR_RISCV_V_VSTATE_CTRL_CUR_MASK PR_CFI_LOCK PR_PPC_DEXCR_CTRL_CLEAR
    PR_SHADOW_STACK_PUSH PR_PPC_DEXCR_CTRL_SET_ONEXEC PR_RISCV_V_VSTATE_CTRL_NEXT_MASK PR_PPC_DEXCR_CTRL_CLEAR_ONEXEC
    PR_RISCV_V_VSTATE_CTRL_INHERIT PR_PMLEN_SHIFT PR_PPC_DEXCR_CTRL_MASK PR_RISCV_V_VSTATE_CTRL_MASK PR_SET_MDWE PR_GET_MDWE
    PR_SET_MEMORY_MERGE PR_GET_MEMORY_MERGE PR_RISCV_V_SET_CONTROL PR_RISCV_V_GET_CONTROL PR_RISCV_SET_ICACHE_FLUSH_CTX PR_PPC_GET_DEXCR
    PR_PPC_SET_DEXCR PR_GET_SHADOW_STACK_STATUS PR_SET_SHADOW_STACK_STATUS PR_LOCK_SHADOW_STACK_STATUS PR_TIMER_CREATE_RESTORE_IDS
    PR_FUTEX_HASH PR_RSEQ_SLICE_EXTENSION PR_GET_CFI PR_SET_CFI PR_MTE_STORE_ONLY PR_GET_AUXV PR_PMLEN_MASK ARCH_SHSTK_SHSTK
    ARCH_SHSTK_WRSS ARCH_XCOMP_TILECFG ARCH_XCOMP_TILEDATA ARCH_GET_UNTAG_MASK ARCH_ENABLE_TAGGED_ADDR ARCH_GET_MAX_TAG_BITS
    ARCH_FORCE_TAGGED_SVA ARCH_SHSTK_ENABLE ARCH_SHSTK_DISABLE ARCH_SHSTK_LOCK ARCH_SHSTK_UNLOCK ARCH_SHSTK_STATUS
    PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG PTRACE_SET_SYSCALL_INFO NT_X86_SHSTK
    NT_X86_XSAVE_LAYOUT EPOLL_IOC_TYPE EPIOCSPARAMS EPIOCGPARAMS CLOCK_AUX CLOCK_AUX_LAST
    SECBIT_EXEC_RESTRICT_FILE SECBIT_EXEC_RESTRICT_FILE_LOCKED
    SECBIT_EXEC_DENY_INTERACTIVE SECBIT_EXEC_DENY_INTERACTIVE_LOCKED FUTEX_ROBUST_MOD_MASK FUTEX_ROBUST_MOD_PI FUTEX_ROBUST_UNLOCK
    FUTEX_UNLOCK_WAKE_LIST64 FUTEX_UNLOCK_PI_LIST64 FUTEX_UNLOCK_BITSET_LIST64 FUTEX_ROBUST_LIST32 FUTEX_UNLOCK_WAKE_LIST32
    FUTEX_UNLOCK_PI_LIST32 FUTEX_UNLOCK_BITSET_LIST32 UFFDIO_MOVE_MODE_DONTWAKE UFFDIO_POISON_MODE_DONTWAKE UFFDIO_CONTINUE_MODE_WP
    UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES UFFDIO_POISON UFFDIO_MOVE UFFD_FEATURE_WP_UNPOPULATED UFFD_FEATURE_POISON UFFD_FEATURE_WP_ASYNC
    UFFD_FEATURE_MOVE PAGE_IS_WPALLOWED PAGE_IS_WRITTEN PAGE_IS_FILE PAGE_IS_PRESENT PAGE_IS_SWAPPED PAGE_IS_PFNZERO PAGE_IS_HUGE
    PAGE_IS_SOFT_DIRTY PAGE_IS_GUARD PM_SCAN_WP_MATCHING PM_SCAN_CHECK_WPASYNC PAGEMAP_SCAN PROCMAP_QUERY PIDFD_COREDUMPED
    PIDFD_INFO_PID PIDFD_SIGNAL_THREAD PIDFD_COREDUMP_SKIP PIDFD_INFO_CREDS PIDFD_SIGNAL_THREAD_GROUP PIDFD_COREDUMP_USER
    PIDFD_INFO_CGROUPID PIDFD_SIGNAL_PROCESS_GROUP PIDFD_COREDUMP_ROOT PIDFD_INFO_EXIT PIDFD_INFO_COREDUMP PIDFD_INFO_SUPPORTED_MASK
    PIDFD_INFO_COREDUMP_SIGNAL PIDFD_INFO_COREDUMP_CODE PIDFD_THREAD PIDFD_GET_CGROUP_NAMESPACE PIDFD_GET_IPC_NAMESPACE
    PIDFD_GET_MNT_NAMESPACE PIDFD_GET_NET_NAMESPACE PIDFD_GET_PID_NAMESPACE PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE
    PIDFD_GET_TIME_NAMESPACE PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE PIDFD_GET_USER_NAMESPACE PIDFD_GET_UTS_NAMESPACE PIDFD_GET_INFO
    AT_RSEQ_FEATURE_SIZE AT_RSEQ_ALIGN AT_HWCAP3 AT_HWCAP4 MEMBARRIER_CMD_GET_REGISTRATIONS SO_PASSPIDFD SO_PEERPIDFD SO_DEVMEM_LINEAR
    SO_DEVMEM_DMABUF SO_DEVMEM_DONTNEED SO_RCVPRIORITY SO_PASSRIGHTS SO_INQ SCM_DEVMEM_LINEAR SCM_DEVMEM_DMABUF SCM_TS_OPT_ID SCM_INQ
    TCP_IS_MPTCP TCP_RTO_MAX_MS TCP_RTO_MIN_US TCP_DELACK_MAX_US IPPROTO_AGGFRAG IPPROTO_SMC FAN_MARK_MNTNS FAN_REPORT_FD_ERROR
    FAN_REPORT_MNT FAN_PRE_ACCESS FAN_MNT_ATTACH FAN_MNT_DETACH SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP OPEN_TREE_NAMESPACE
    MOVE_MOUNT_BENEATH FSMOUNT_NAMESPACE NS_ID_REQ_SIZE_VER0 NS_GET_PID_FROM_PIDNS NS_GET_TGID_FROM_PIDNS NS_GET_PID_IN_PIDNS
    NS_GET_TGID_IN_PIDNS NS_GET_MNTNS_ID NS_GET_ID NS_MNT_GET_INFO NS_MNT_GET_NEXT NS_MNT_GET_PREV GUEST_MEMFD_MAGIC PID_FS_MAGIC
    TUN_F_USO4 TUN_F_USO6 TUN_F_UDP_TUNNEL_GSO TUN_F_UDP_TUNNEL_GSO_CSUM
    """.split()
)


def groups() -> list[tuple[str, dict[str, int]]]:
    """Header to its constants, from the comments above the groups."""
    out: list[tuple[str, dict[str, int]]] = []
    for module in MODULES:
        for line in Path(str(module.__file__)).read_text(encoding="ascii").splitlines():
            if line.startswith("# <"):
                out.append((line[3 : line.index(">")], {}))
            elif " = " in line and out and line[0] not in " #":
                name = line.partition(" = ")[0]
                out[-1][1][name] = getattr(module, name)
    return out


def compiled(header: str, names: list[str], tmp_path: Path) -> dict[str, int]:
    """Name to value as the compiler sees it; names that it does not know are left out."""
    tree = os.environ.get("HOLDFAST_UAPI_INCLUDE")
    flags = ["-nostdinc", "-isystem", tree, "-isystem", f"{tree}/x86_64-linux-gnu"] if tree and header not in LIBC else []
    left = list(names)
    source, program = tmp_path / "c.c", tmp_path / "c"
    while True:
        text = (
            "#define _GNU_SOURCE\n"
            + "".join(f"#include <{name}>\n" for name in (*BEFORE.get(header, ()), header))
            + "int printf(const char *, ...);\nint main(void) {\n"
        )
        first = text.count("\n") + 1
        text += "".join(f'printf("%d %llu\\n", ({name}) < 0, (unsigned long long)({name}));\n' for name in left) + "return 0; }\n"
        source.write_text(text, encoding="ascii")
        run = subprocess.run(["gcc", "-w", *flags, "-o", program, source], capture_output=True, text=True)
        if run.returncode == 0:
            break
        bad = {int(line.split(":")[1]) - first for line in run.stderr.splitlines() if "undeclared" in line}
        assert bad, run.stderr
        left = [name for i, name in enumerate(left) if i not in bad]
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    values = [(negative == "1", int(value)) for negative, value in (line.split() for line in lines)]
    return {name: value - (1 << 64) if negative else value for name, (negative, value) in zip(left, values, strict=True)}


@pytest.mark.tool("gcc", "gcc libc6-dev linux-libc-dev")
@pytest.mark.parametrize(("header", "ours"), groups(), ids=[header for header, _ in groups()])
def test_values_equal_the_header(header: str, ours: dict[str, int], tmp_path: Path) -> None:
    theirs = compiled(header, list(ours), tmp_path)
    assert theirs, f"the compiler knows no name of {header}"
    assert {name: ours[name] for name in theirs} == theirs
    allowed = frozenset() if os.environ.get("HOLDFAST_UAPI_INCLUDE") else NEWER
    assert set(ours) - set(theirs) <= allowed


@pytest.mark.parametrize("module", MODULES)
def test_every_constant_is_in_a_group_and_is_a_number(module: ModuleType) -> None:
    grouped = {name for _, ours in groups() for name in ours}
    public = {
        name: value for name, value in vars(module).items() if (name.isupper() and not name.startswith("__")) or name.startswith("__W")
    }
    assert set(public) <= grouped
    assert {type(value) for value in public.values()} == {int}


def test_no_name_is_in_two_modules() -> None:
    names = [name for _, ours in groups() for name in ours]
    assert len(names) == len(set(names))
