"""What of the machine a campaign could harm, as plain values: two looks, and what is between them."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from typing import Any

from holdfast.hunt import cgroup
from holdfast.kernel.uapi.syscalls import X86_64

# what the machine changes by itself, all the time
RESTLESS = {
    "fs/aio-nr", "fs/dentry-state", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "kernel/ns_last_pid", "kernel/pty/nr",
    "kernel/random/entropy_avail", "kernel/random/uuid", "net/netfilter/nf_conntrack_count",
}  # fmt: skip
SPEC_USER, SPEC_USER_SESSION, KEYCTL_READ = -4, -5, 11
BPF_LINK_GET_NEXT_ID = 31
CLOCK_STEP_S = 0.5

_libc = ctypes.CDLL(None, use_errno=True)


def sysctls() -> dict[str, str]:
    """Every sysctl that can be read."""
    found = {}
    for folder, _, names in os.walk("/proc/sys"):
        for name in names:
            path = f"{folder}/{name}"
            key = path.removeprefix("/proc/sys/")
            if key in RESTLESS or key.startswith("fs/binfmt_misc"):
                continue
            try:
                with open(path, "rb") as f:
                    found[key] = f.read(1 << 16).decode(errors="replace")
            except OSError:
                continue  # write-only, or one that this user cannot read
    return found


def text(path: str) -> str:
    """A file, or nothing where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def keyring(number: int) -> list[int] | None:
    """The serial numbers of the keys in a keyring; None where there is none."""
    buffer = ctypes.create_string_buffer(4096)
    got = _libc.syscall(ctypes.c_long(X86_64["keyctl"]), KEYCTL_READ, ctypes.c_long(number), buffer, ctypes.c_long(4096), 0)
    return None if got < 0 else sorted(int.from_bytes(buffer.raw[i : i + 4], "little") for i in range(0, min(got, 4096), 4))


def links() -> list[int]:
    """The ids of BPF programs that are attached by links."""
    found: list[int] = []
    at = 0
    while True:
        attr = ctypes.create_string_buffer(at.to_bytes(4, "little") + bytes(8), 12)
        if _libc.syscall(ctypes.c_long(X86_64["bpf"]), BPF_LINK_GET_NEXT_ID, attr, 12) < 0:
            return found
        at = int.from_bytes(attr.raw[4:8], "little")
        found.append(at)


def groups() -> list[str]:
    """Every control group below our own that can limit memory or tasks, but those of sandboxes that live."""
    found = []
    for controller in ("memory", "pids"):
        for home, _ in cgroup._homes(controller):
            for folder, names, _ in os.walk(home):
                for name in names:
                    pid = name.removeprefix(cgroup.PREFIX)
                    if name == pid or not os.path.exists(f"/proc/{pid}"):
                        found.append(f"{folder}/{name}")
    return sorted(f for f in found if f"/{cgroup.PREFIX}" not in os.path.dirname(f))


def clock_settings() -> bytes:
    """What adjtimex(2) tells of how the clock is kept: offset aside, frequency, status, constant, tick."""
    raw = ctypes.create_string_buffer(208)
    _libc.adjtimex(raw)
    return raw.raw[16:24] + raw.raw[40:44] + raw.raw[48:56] + raw.raw[88:96]


def look() -> dict[str, Any]:
    """Everything, by name."""
    return {
        "sysctls": sysctls(),
        "mounts": text("/proc/self/mountinfo"),
        "keyrings": [keyring(SPEC_USER), keyring(SPEC_USER_SESSION)],
        "sysv": {kind: text(f"/proc/sysvipc/{kind}") for kind in ("shm", "sem", "msg")},
        "/dev/shm": sorted(os.listdir("/dev/shm")),
        "/dev": sorted(n for n in os.listdir("/dev") if n != "pts"),
        "/": sorted(os.listdir("/")),
        "/etc": {n: os.lstat(f"/etc/{n}").st_mtime_ns for n in os.listdir("/etc")},
        "names": list(os.uname()) + [socket.getfqdn("localhost")],
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "routes": [text("/proc/net/route"), text("/proc/net/if_inet6")],
        "swaps": text("/proc/swaps"),
        "modules": sorted(line.split()[0] for line in text("/proc/modules").splitlines()),
        "links": links(),
        "groups": groups(),
        "clock": clock_settings(),
        "blocks": sorted(os.listdir("/sys/block")) if os.path.isdir("/sys/block") else [],
    }


def wall() -> float:
    """How far the wall clock is from one that nobody can set."""
    return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What differs, by name: the entries that do where there are entries."""
    out: dict[str, Any] = {}
    for name, was in before.items():
        now = after[name]
        if was == now:
            continue
        if isinstance(was, dict):
            out[name] = {k: (was.get(k), now.get(k)) for k in was.keys() | now.keys() if was.get(k) != now.get(k)}
        elif isinstance(was, list):
            out[name] = ([w for w in was if w not in now], [n for n in now if n not in was])
        else:
            out[name] = (was, now)
    return out
