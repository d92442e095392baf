"""The kernel's own troubles, from a file of taint flags and a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.hunt.trouble import Trouble

if TYPE_CHECKING:
    from pathlib import Path


def test_only_what_is_new_is_told(tmp_path: Path) -> None:
    tainted, log = tmp_path / "tainted", tmp_path / "kmsg"
    tainted.write_text("512\n")
    log.write_text("4,1,2,-;WARNING: old\n")
    trouble = Trouble(str(tainted), str(log))
    assert trouble.new() == ""
    tainted.write_text(f"{512 | 128}\n")
    with log.open("a") as f:
        f.write("4,2,3,-;BUG: unable to handle page fault\n")
    assert trouble.new() == "the kernel died: oops or BUG; BUG: unable to handle page fault"
    assert trouble.new() == ""
    trouble.close()


def test_without_a_log_the_flags_remain(tmp_path: Path) -> None:
    tainted = tmp_path / "tainted"
    tainted.write_text("0\n")
    trouble = Trouble(str(tainted), str(tmp_path / "missing"))
    tainted.write_text("512\n")
    assert trouble.new() == "the kernel warned"
