"""A report as lines."""

from __future__ import annotations

from holdfast.report import as_text
from tests.unit.report import sample


def test_the_verdict_comes_first_then_gaps_engines_and_cases() -> None:
    lines = as_text.render(sample.report()).splitlines()
    assert lines[:8] == [
        "FOUND A hunt on Linux 6.18",
        "  rounds: 8",
        "  not checked: kernel structs",
        "",
        "engine    lost  failed  refused  kept  blind  unsettable  all",
        "criu:4.2     2       1        0     1      0           0    4",
        "native       0       0        1     1      1           1    4",
        "",
    ]
    assert lines[8].startswith("critical failed criu:4.2 prctl/PR_SET_NO_NEW_PRIVS: it is gone  [F")
    text = "\n".join(lines)
    assert "  kernel    leader.files.fd[3].private.flags: 1 before, 0 after  [carried: eventfd_ctx.flags]" in text
    assert "    make fd = eventfd2(0, 1)" in text
    assert "  also    1 more: eventfd/EFD_SEMAPHORE@1" in text
    assert "refused.fd.io_uring" not in text


def test_everything_lists_the_results() -> None:
    text = as_text.render(sample.report(), everything=True)
    assert "refused     native  io_uring/setup: refused.fd.io_uring: fd 3" in text.splitlines()


def test_hostile_text_moves_no_cursor_and_makes_no_line() -> None:
    text = as_text.render(sample.hostile(), everything=True)
    assert not [c for c in text if c != "\n" and (ord(c) < 32 or c in "\x7f\u202e\udcff")]
    assert not [line for line in text.splitlines() if line.startswith("not ok")]
