"""task.coredump_filter. Text captured on Linux 6.18."""

from __future__ import annotations

from holdfast.kinds.task.coredump_filter import KIND, CoredumpFilter
from tests.unit.kinds import captured

USUAL = CoredumpFilter(("MMF_DUMP_ANON_PRIVATE", "MMF_DUMP_ANON_SHARED", "MMF_DUMP_ELF_HEADERS", "MMF_DUMP_HUGETLB_PRIVATE"))


def test_the_kernels_text_gives_the_record_and_back() -> None:
    assert captured.dumped(KIND, captured.process({"coredump_filter": b"00000033\n"})) == USUAL
    [part] = captured.written(KIND, USUAL)
    assert part.proc == {"coredump_filter": b"0x33\n"}


def test_a_bit_without_a_name_is_refused() -> None:
    assert captured.verdicts(KIND, captured.process({"coredump_filter": b"00000233\n"})) == ["task.coredump_filter"]
