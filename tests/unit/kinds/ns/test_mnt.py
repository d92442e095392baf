"""ns.mnt. Text as Linux 6.18 prints it."""

from __future__ import annotations

from holdfast.kernel.source import Link
from holdfast.kinds.ns.mnt import KIND
from tests.unit.kinds import captured

ELSEWHERE: dict[str, bytes | OSError] = {"ns/mnt": Link(b"mnt:[4026532177]")}
ROOT = b"20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
PROC = b"21 20 0:5 / /proc rw - proc proc rw\n"
EXTRA = b"30 20 0:40 / /mnt rw - tmpfs none rw\n"


def test_our_own_passes_and_another_is_refused() -> None:
    assert captured.verdicts(KIND, captured.process().tree) == []
    assert captured.verdicts(KIND, captured.process(ELSEWHERE).tree) == ["ns.mnt"]


def job(ours: bytes, theirs: bytes) -> list[str]:
    host = {"9/ns/mnt": Link(b"mnt:[4026532177]"), "self/mountinfo": ours, "9/mountinfo": theirs}
    tree = captured.process(ELSEWHERE, host=host).tree
    tree.in_run, tree.init = True, 9
    return captured.verdicts(KIND, tree)


def test_a_job_has_our_mounts_under_other_numbers_and_a_proc_of_its_own() -> None:
    assert job(ROOT + PROC, ROOT.replace(b"20 1 ", b"70 60 ").replace(b"shared:1 ", b"") + PROC.replace(b"0:5", b"0:44")) == []


def test_a_job_that_mounted_or_unmounted_something_is_refused() -> None:
    assert job(ROOT, ROOT + EXTRA) == ["ns.mounts"]
    assert job(ROOT + EXTRA, ROOT) == ["ns.mounts"]
