"""task.rseq."""

from __future__ import annotations

from holdfast.kinds.task.rseq import KIND, Rseq
from holdfast.model.ids import RemoteAddr
from tests.unit.kinds import captured


def test_a_registration_is_kept() -> None:
    registered = captured.NOTHING.replace(rseq=(0x7F0000001000, 32, 0x53053053))
    ev = captured.process(stopped=registered).leader
    assert captured.dumped(KIND, ev, {("prctl", 79): -22}) == Rseq(RemoteAddr(0x7F0000001000), 32, 0x53053053)
    assert captured.dumped(KIND, ev, {("prctl", 79): 1}).slice_extension is True


def test_a_kernel_that_cannot_say_is_unchecked_and_no_record() -> None:
    ev = captured.process(stopped=captured.NOTHING.replace(rseq=None)).leader
    assert captured.verdicts(KIND, ev) == ["Unchecked"]
    dump = KIND.verb("dump")
    assert dump is not None
    assert captured.converse(dump(ev)) is None


def test_the_registration_is_made_again() -> None:
    rec = Rseq(RemoteAddr(4096), 32, 7, True)
    assert captured.calls(KIND, rec, captured.THREAD) == [("rseq", 4096, 32, 0, 7), ("prctl", 79, 2, 1, 0, 0)]
