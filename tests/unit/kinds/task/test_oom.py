"""task.oom. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.oom import KIND, Oom
from tests.unit.kinds import captured


@pytest.mark.parametrize(("text", "value"), [(b"0\n", 0), (b"-998\n", -998), (b"1000\n", 1000)])
def test_the_kernels_text_gives_the_record_and_back(text: bytes, value: int) -> None:
    assert captured.dumped(KIND, captured.process({"oom_score_adj": text})) == Oom(value)
    [part] = captured.written(KIND, Oom(value))
    assert part.proc == {"oom_score_adj": text}
