"""task.oom. Text captured on Linux 6.18."""

from __future__ import annotations

import pytest

from holdfast.kinds.task.oom import KIND, Oom
from holdfast.prog.call import Answers
from tests.unit.kinds import captured

INCAPABLE = captured.line(captured.STATUS, "CapEff", "0000000000000000")
EACCES = -13


@pytest.mark.parametrize(("text", "value"), [(b"0\n", 0), (b"-998\n", -998), (b"1000\n", 1000)])
def test_the_kernels_text_gives_the_record_and_back(text: bytes, value: int) -> None:
    assert captured.dumped(KIND, captured.process({"oom_score_adj": text})) == Oom(value)
    [part] = captured.written(KIND, Oom(value))
    assert part.proc == {"oom_score_adj": text}


class Process:
    """One that may not set less than `lowest`; `tried` is what it was made to write."""

    def __init__(self, score: int, lowest: int) -> None:
        self.score, self.lowest, self.tried = score, lowest, list[int]()

    def dumped(self) -> Oom:
        detect, dump = KIND.verb("detect"), KIND.verb("dump")
        assert dump is not None
        assert detect is not None
        dialogue = dump(captured.process({"oom_score_adj": b"%d\n" % self.score, "status": INCAPABLE}))
        try:
            program = next(dialogue)
            while True:
                values = {}
                for call in program.calls:
                    values[id(call)] = 3
                    if call.name == "write":
                        value = int(call.args[1])
                        self.tried.append(value)
                        values[id(call)] = len(call.args[1]) if value >= self.lowest else EACCES
                program = dialogue.send(Answers(values, {}))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("score", "lowest", "known"),
    [(0, 0, None), (500, 0, 0), (500, 499, 499), (0, -1000, -1000), (0, -500, -500), (1000, -999, -999), (-1000, -1000, None)],
)
def test_the_lowest_value_is_found_by_trying(score: int, lowest: int, known: int | None) -> None:
    process = Process(score, lowest)
    assert process.dumped() == Oom(score, known)
    # each try is undone, and the usual case takes one
    assert process.tried[1::2] == [score] * (len(process.tried) // 2)
    assert len(process.tried) == (0 if score == -1000 else 2) or known is not None


def test_whoever_has_the_capability_is_not_made_to_try() -> None:
    assert captured.dumped(KIND, captured.process({"oom_score_adj": b"7\n"})) == Oom(7)


@pytest.mark.parametrize("reply", [{("openat",): -2, ("write",): -9}, {("write",): -5}])
def test_a_process_that_cannot_try_has_no_lowest_value(reply: dict[tuple[str | int, ...], int | tuple[int, bytes]]) -> None:
    assert captured.dumped(KIND, captured.process({"oom_score_adj": b"7\n", "status": INCAPABLE}), reply) == Oom(7)


def test_the_lowest_value_goes_first_and_may_be_refused() -> None:
    [part] = captured.written(KIND, Oom(7, -3))
    assert part.proc_written == [b"-3\n", b"7\n"]
    assert part.proc_ways == [(None, False), (24, True)]
