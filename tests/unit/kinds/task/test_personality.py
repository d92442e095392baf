"""task.personality. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.personality import KIND, Personality
from tests.unit.kinds import captured


@pytest.mark.parametrize(
    ("text", "record", "value"),
    [
        (b"00000000\n", Personality(()), 0),
        (b"00440008\n", Personality(("ADDR_NO_RANDOMIZE", "PER_LINUX32", "READ_IMPLIES_EXEC")), 0x440008),
    ],
)
def test_the_kernels_text_gives_the_record_and_back(text: bytes, record: Personality, value: int) -> None:
    assert captured.dumped(KIND, captured.process({"personality": text}).leader) == record
    assert captured.calls(KIND, record, captured.THREAD) == [("personality", value)]


def test_what_has_no_name_is_refused_and_what_cannot_be_read_is_unchecked() -> None:
    assert captured.verdicts(KIND, captured.process({"personality": b"10000000\n"}).leader) == ["task.personality"]
    assert captured.verdicts(KIND, captured.process({"personality": b"00000100\n"}).leader) == ["task.personality"]
    assert captured.verdicts(KIND, captured.process({"personality": PermissionError(1, "")}).leader) == ["Unchecked"]


def test_it_is_set_after_all_mappings_are_made() -> None:
    [part] = captured.written(KIND, Personality(()), captured.THREAD)
    assert "mm" in part.needs
