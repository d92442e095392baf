"""The runtime keys of one live process, read from /proc without stopping it."""

from __future__ import annotations

import os
import socket

from holdfast.errors import KernelLacks, TargetChanged
from holdfast.kernel.borrowed import Borrowed
from holdfast.kernel.procfs.fdinfo import parse_fdinfo
from holdfast.kernel.procfs.listing import fds, tids
from holdfast.kernel.procfs.maps import parse_smaps
from holdfast.kernel.procfs.mountinfo import parse_mountinfo
from holdfast.kernel.procfs.stat import parse_stat
from holdfast.kernel.procfs.status import parse_status
from holdfast.kernel.source import Live
from holdfast.tags import in_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kernel.source import Source

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_FAMILIES = {int(v): v.name for v in socket.AddressFamily}
_FAMILIES.update({38: "AF_ALG", 40: "AF_VSOCK", 41: "AF_KCM", 42: "AF_QIPCRTR", 43: "AF_SMC", 44: "AF_XDP", 45: "AF_MCTP", 15: "AF_KEY"})
_TYPES = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 4: "SOCK_RDM", 5: "SOCK_SEQPACKET"}
_PROTOCOLS = {
    1: "IPPROTO_ICMP",
    6: "IPPROTO_TCP",
    17: "IPPROTO_UDP",
    58: "IPPROTO_ICMPV6",
    132: "IPPROTO_SCTP",
    136: "IPPROTO_UDPLITE",
    262: "IPPROTO_MPTCP",
}
# Linux include/net/tcp_states.h
_STATES = (
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
)
_NETLINK = {0: "NETLINK_ROUTE", 4: "NETLINK_SOCK_DIAG", 12: "NETLINK_NETFILTER", 15: "NETLINK_KOBJECT_UEVENT", 16: "NETLINK_GENERIC"}
_SO_PROTOCOL, _SO_DOMAIN, _TCP_INFO = 38, 39, 11


def keys(pid: int) -> tuple[set[str], list[str]]:
    """The runtime keys of a process, and what could not be looked at.

    Needs:   the right to trace the process (PTRACE_MODE_READ; for sockets PTRACE_MODE_ATTACH)
    Raises:  target_changed.gone: there is no such process
    Raises:  kernel_lacks.denied: its descriptors or mappings may not be read
    Source:  proc(5)
    """
    found: set[str] = set()
    dark: list[str] = []
    try:
        with Live(f"/proc/{pid}") as proc, Live("/proc/self") as own:
            text = {k: v.decode("ascii", "backslashreplace") for k, v in parse_status(proc.read("status")).keys.items()}
            found.update(in_use.status(text))
            if "VmSize" not in text:
                # no memory of its own: a zombie, or a thread of the kernel
                return found if text.get("State", "")[:1] in {"Z", "X"} else {"task:kthread"}, dark
            found.update(_threads(proc))
            found.update(_namespaces(proc, own))
            for smap in parse_smaps(proc.read("smaps")):
                key = next((int(line.split()[1]) for line in smap.lines if line.startswith(b"ProtectionKey:")), 0)
                found.update(in_use.mapping(smap.vma.name.decode("utf-8", "backslashreplace"), smap.flags, key))
            found.update(_descriptors(pid, proc, dark))
            found.update(_rest(proc, dark))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise TargetChanged("gone", f"there is no process {pid}", where=f"/proc/{pid}", do="look at the pid again") from error
    except PermissionError as error:
        raise KernelLacks(
            "denied", f"process {pid} may not be looked into", where=f"/proc/{pid}", why=str(error), do="run as root or as its user"
        ) from error
    return found, dark


def _threads(proc: Source) -> Iterator[str]:
    for tid in tids(proc):
        try:
            info = parse_stat(proc.read(f"task/{int(tid)}/stat"))
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield f"task:{info.state}"
        policy = info.policy
        yield f"policy:{in_use.POLICIES[policy] if policy < len(in_use.POLICIES) else policy}"


def _namespaces(proc: Source, own: Source) -> Iterator[str]:
    for name in NAMESPACES:
        try:
            if proc.readlink(f"ns/{name}") != own.readlink(f"ns/{name}"):
                yield f"ns:{name}"
        except FileNotFoundError:
            continue


def _descriptors(pid: int, proc: Source, dark: list[str]) -> Iterator[str]:
    kinds = {m.id: m.fstype for m in parse_mountinfo(proc.read("mountinfo"))}
    for fd in fds(proc):
        try:
            link = proc.readlink(f"fd/{int(fd)}").decode("utf-8", "backslashreplace")
            info = parse_fdinfo(proc.read(f"fdinfo/{int(fd)}"))
            seen = os.stat(f"/proc/{pid}/fd/{int(fd)}")
        except FileNotFoundError:
            continue
        yield from in_use.fdinfo(info.keys(), info.flags)
        if link.startswith("socket:"):
            try:
                yield _socket(pid, int(fd))
            except OSError as error:
                dark.append(f"fd {int(fd)} ({link}): {error.strerror}")
        else:
            yield in_use.descriptor(link, seen.st_mode, seen.st_rdev, info.flags, kinds.get(info.mnt_id, ""))


# What getsockopt says of a duplicate; the target is not touched.
def _socket(pid: int, fd: int) -> str:
    with Borrowed(pid, fd) as borrowed, socket.socket(fileno=os.dup(borrowed.fd)) as sock:
        family, protocol = sock.getsockopt(socket.SOL_SOCKET, _SO_DOMAIN), sock.getsockopt(socket.SOL_SOCKET, _SO_PROTOCOL)
        kind = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
        key = f"sock:{_FAMILIES.get(family, f'AF_{family}')}/{_TYPES.get(kind, f'SOCK_{kind}')}"
        if family in {socket.AF_INET, socket.AF_INET6} and kind != socket.SOCK_RAW:
            key += f"/{_PROTOCOLS.get(protocol, protocol)}"
            if protocol == socket.IPPROTO_TCP:
                state = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0]
                key += f":{_STATES[state] if state < len(_STATES) else state}"
        elif family == socket.AF_NETLINK:
            key += f"/{_NETLINK.get(protocol, protocol)}"
        return key


def _rest(proc: Source, dark: list[str]) -> Iterator[str]:
    try:
        label = proc.read("attr/current").strip(b"\0\n ").decode("ascii", "backslashreplace")
        if label and label not in {"unconfined", "kernel"}:
            yield "attr:lsm"
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != 22:  # EINVAL: no module answers
            dark.append(f"attr/current: {error.strerror}")
    try:
        if any(line.split()[1:2] not in ([], [b"default"]) for line in proc.read("numa_maps").splitlines()):
            yield "numa:policy"
    except FileNotFoundError:
        pass
    except OSError as error:
        dark.append(f"numa_maps: {error.strerror}")
