"""task.autogroup. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.autogroup import KIND, Autogroup
from tests.unit.kinds import captured


@pytest.mark.parametrize(("text", "nice"), [(b"/autogroup-21 nice 5\n", 5), (b"/autogroup-21 nice -7\n", -7)])
def test_the_kernels_text_gives_the_record_and_back(text: bytes, nice: int) -> None:
    assert captured.dumped(KIND, captured.process({"autogroup": text})) == Autogroup(nice)
    [part] = captured.written(KIND, Autogroup(nice))
    assert part.proc == {"autogroup": b"%d\n" % nice}


@pytest.mark.parametrize("files", [{}, {"autogroup": b""}, {"autogroup": b"/autogroup-21 nice 0\n"}])
def test_none_and_zero_are_no_record(files: dict[str, bytes | OSError]) -> None:
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(captured.process(files)) is None
