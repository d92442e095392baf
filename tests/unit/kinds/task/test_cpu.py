"""task.cpu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.kinds.contract import Loss, Refusal
from holdfast.kinds.task.cpu import KIND, PRSTATUS, REGISTERS
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from holdfast.kinds.evidence import ThreadEvidence

RESTART_BLOCK = (1 << 64) - 516
NANOSLEEP, POLL, FUTEX, GETPID = 35, 7, 202, 39


def thread(*, io_ports: bool = False, **values: int) -> ThreadEvidence:
    """A stopped thread with these registers, in 64-bit code unless they say otherwise."""
    words = dict.fromkeys(REGISTERS, 0) | {"cs": 0x33} | values
    stopped = captured.NOTHING.replace(registers=PRSTATUS.pack(*words.values()), io_ports=io_ports)
    return captured.process(stopped=stopped).leader


def said(ev: ThreadEvidence) -> list[str]:
    """Codes of refusals, and what is lost."""
    refuse = KIND.verb("refuse")
    assert refuse is not None
    return [v.code if isinstance(v, Refusal) else v.what for v in refuse(ev, None) if isinstance(v, Refusal | Loss)]


def test_every_register_and_the_extended_state_is_kept() -> None:
    values = {name: i + 1 for i, name in enumerate(REGISTERS)} | {"cs": 0x33}
    raw = PRSTATUS.pack(*values.values())
    rec = captured.dumped(KIND, captured.process(stopped=captured.NOTHING.replace(registers=raw)).leader)
    assert {name: getattr(rec, name) for name in REGISTERS} == values
    assert rec.xstate == captured.NOTHING.xstate


def test_a_running_thread_is_not_judged() -> None:
    assert said(captured.process(stopped=None).leader) == []


def test_32_bit_code_is_refused() -> None:
    assert said(thread(cs=0x23)) == ["task.cpu.mode"]


def test_a_thread_with_io_ports_is_refused() -> None:
    assert said(thread(io_ports=True)) == ["task.cpu.io_ports"]


def test_a_timed_wait_whose_rest_nobody_knows_is_a_loss() -> None:
    lost = said(thread(rax=RESTART_BLOCK, orig_rax=POLL))
    assert lost == ["poll was waiting with a timeout: restored, it waits for its whole time again"]


def test_a_wait_that_told_its_rest_is_none() -> None:
    assert said(thread(rax=RESTART_BLOCK, orig_rax=NANOSLEEP, rdi=4096, rsi=4096)) == []


def test_a_wait_until_a_moment_is_none() -> None:
    wait_bitset = 9
    assert said(thread(rax=RESTART_BLOCK, orig_rax=FUTEX, rsi=wait_bitset)) == []


def test_a_call_that_was_not_interrupted_is_none() -> None:
    assert said(thread(rax=412, orig_rax=GETPID)) == []


def test_a_changed_register_is_seen() -> None:
    before = captured.dumped(KIND, thread(rbx=1))
    assert captured.differences(KIND, before, before) == []
    assert captured.differences(KIND, before, before.replace(rbx=2)) == ["rbx"]
    assert captured.differences(KIND, before, before.replace(fs_base=2)) == ["fs_base"]
