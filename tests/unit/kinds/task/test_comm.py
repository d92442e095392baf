"""task.comm. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.comm import KIND, Comm
from tests.unit.kinds import captured


@pytest.mark.parametrize(("text", "name"), [("subject", b"subject"), ("a\\\\b\\nc (d) ", b"a\\b\nc (d) "), ("", b"")])
def test_the_kernels_text_gives_the_record(text: str, name: bytes) -> None:
    ev = captured.process({"status": captured.line(captured.STATUS, "Name", text)})
    assert captured.dumped(KIND, ev.leader) == Comm(name)


def test_the_name_is_set_in_the_thread_itself() -> None:
    [part] = captured.written(KIND, Comm(b"x" * 15), captured.THREAD)
    assert (part.task, part.calls) == ("thread:412", [("prctl", 15, b"x" * 15 + b"\0", 0, 0, 0)])
