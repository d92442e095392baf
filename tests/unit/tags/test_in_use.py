"""Primitive facts become runtime keys."""

from __future__ import annotations

import os
import stat

import pytest

from holdfast.tags import in_use

REG, CHR, BLK, FIFO, DIR = stat.S_IFREG, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFDIR


@pytest.mark.parametrize(
    ("link", "mode", "rdev", "flags", "filesystem", "key"),
    [
        ("/var/log/x", REG, 0, 0, "ext4", "fd:regular"),
        ("/var/log/x (deleted)", REG, 0, 0, "ext4", "fd:regular"),
        ("/mnt/x", REG, 0, 0, "fuse.sshfs", "fd:regular"),
        ("/mnt/x", REG, 0, 0, "ubifs", "fd:on:ubifs"),
        ("/mnt/x", REG, 0, 0, "", "fd:on:"),
        ("/proc/1/stat", REG, 0, 0, "proc", "fd:proc"),
        ("/sys/fs/cgroup/x", REG, 0, 0, "cgroup2", "fd:cgroup"),
        ("/queue", REG, 0, 0, "mqueue", "fd:mqueue"),
        ("/dev/null", CHR, os.makedev(1, 3), 0, "devtmpfs", "fd:chr:1:3"),
        ("/dev/dri/renderD128", CHR, os.makedev(226, 128), 0, "devtmpfs", "fd:chr:226:128"),
        ("/dev/x", CHR, os.makedev(511, 70000), 0, "devtmpfs", "fd:chr:511:70000"),
        ("/dev/sda", BLK, 0, 0, "devtmpfs", "fd:block"),
        ("pipe:[12]", FIFO, 0, 0, "", "fd:pipe"),
        ("/tmp/fifo", FIFO, 0, 0, "tmpfs", "fd:fifo"),
        ("/", DIR, 0, 0, "ext4", "fd:directory"),
        ("/", DIR, 0, 0o10000000, "ext4", "fd:o_path"),
        ("anon_inode:[eventfd]", 0o600, 0, 0, "", "fd:anon_inode:[eventfd]"),
        ("anon_inode:seccomp notify", 0o600, 0, 0, "", "fd:anon_inode:seccomp\\x20notify"),
        ("/memfd:x (deleted)", REG, 0, 0, "tmpfs", "fd:memfd"),
        ("/secretmem (deleted)", REG, 0, 0, "", "fd:secretmem"),
        ("/dmabuf:", REG, 0, 0, "", "fd:dmabuf"),
        ("net:[4026531840]", REG, 0, 0, "nsfs", "fd:ns:net"),
        ("pidfd:[77]", REG, 0, 0, "pidfs", "fd:pidfd"),
        ("odd", 0, 0, 0, "", "fd:mode:0"),
    ],
)
def test_descriptors(link: str, mode: int, rdev: int, flags: int, filesystem: str, key: str) -> None:
    assert in_use.descriptor(link, mode, rdev, flags, filesystem) == key


def test_mappings() -> None:
    assert list(in_use.mapping("[stack:12]", ["rd", "ss"], 3)) == ["vma:[stack]", "vmflag:rd", "vmflag:ss", "smaps:ProtectionKey"]
    assert list(in_use.mapping("[vvar]", ["rd", "io", "pf"])) == ["vma:[vvar]"]
    assert list(in_use.mapping("/usr/bin/x", ["rd"])) == ["vmflag:rd"]
    assert list(in_use.mapping("anon_inode:[perf_event]", [])) == ["vma:anon_inode"]


def test_fdinfo() -> None:
    assert list(in_use.fdinfo(["lock", "pos"], 0o20002)) == ["fdinfo:lock", "fdinfo:async"]
    assert list(in_use.fdinfo([], 2)) == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"Seccomp": "0", "NoNewPrivs": "0", "TracerPid": "0", "State": "S (sleeping)"}, ["task:S"]),
        ({"Seccomp": "2"}, ["status:Seccomp"]),
        ({"x86_Thread_features": "shstk wrss "}, ["feature:shstk", "feature:wrss"]),
        ({"Speculation_Store_Bypass": "thread vulnerable"}, []),
        ({"Speculation_Store_Bypass": "thread force mitigated"}, ["status:Speculation_Store_Bypass"]),
        ({"SpeculationIndirectBranch": "conditional force disabled"}, ["status:SpeculationIndirectBranch"]),
    ],
)
def test_status(keys: dict[str, str], expected: list[str]) -> None:
    assert list(in_use.status(keys)) == expected


def test_judged_anew_each_time_and_with_a_reason() -> None:
    before = in_use.judge(["fd:regular", "fd:anon_inode:[io_uring]"])
    after = in_use.judge(["fd:regular"])
    assert (before.verdict, after.verdict) == ("UNSAFE", "OK")
    assert before.findings[0].do == "close rings, or sysctl kernel.io_uring_disabled=2"
