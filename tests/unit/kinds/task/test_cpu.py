"""task.cpu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.kernel.state.restarts import Restart
from holdfast.kinds.contract import Loss, Refusal
from holdfast.kinds.task.cpu import KIND, PRSTATUS, REGISTERS, Wait
from holdfast.kinds.waits import FORGOTTEN
from tests.unit.kinds import captured

if TYPE_CHECKING:
    from holdfast.kinds.evidence import ThreadEvidence

EINTR, RESTART_BLOCK = (1 << 64) - 4, (1 << 64) - 516
NANOSLEEP, POLL, FUTEX, GETPID, EPOLL_WAIT, RESTART_SYSCALL = 35, 7, 202, 39, 232, 219


def thread(*, io_ports: bool = False, debug_control: int = 0, **values: int) -> ThreadEvidence:
    """A stopped thread with these registers, in 64-bit code unless they say otherwise."""
    words = dict.fromkeys(REGISTERS, 0) | {"cs": 0x33} | values
    stopped = captured.NOTHING.replace(registers=PRSTATUS.pack(*words.values()), io_ports=io_ports, debug_control=debug_control)
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


def test_32_bit_code_is_refused() -> None:
    assert said(thread(cs=0x23)) == ["task.cpu.mode"]


def test_a_thread_with_io_ports_is_refused() -> None:
    assert said(thread(io_ports=True)) == ["task.cpu.io_ports"]


def test_breakpoints_that_a_debugger_left_are_refused() -> None:
    assert said(thread(debug_control=0x401)) == ["task.cpu.debug_registers"]


def test_a_timed_wait_whose_rest_nobody_knows_is_a_loss() -> None:
    lost = said(thread(rax=RESTART_BLOCK, orig_rax=POLL, rdx=1000))
    assert lost == ["poll was waiting with a timeout: restored, it waits for its whole time again"]


def waiting(restart: Restart, **values: int) -> ThreadEvidence:
    ev = thread(**values | {"rax": RESTART_BLOCK})  # type: ignore[arg-type]
    assert ev.stopped is not None
    ev.stopped = ev.stopped.replace(restart=restart)
    return ev


def test_what_remains_of_a_wait_is_kept_where_it_is_seen() -> None:
    ev = waiting(Restart("nanosleep", "boottime", 5, 4096), orig_rax=RESTART_SYSCALL)
    rec = captured.dumped(KIND, ev)
    assert (rec.wait, rec.orig_rax, said(ev)) == (Wait("nanosleep", "boottime", 5, 4096), 230, [])


def test_a_futex_wait_until_a_moment_is_made_again_as_it_was() -> None:
    until, for_long = 9, 128
    ends = Restart("futex", "monotonic", 5)
    absolute = captured.dumped(KIND, waiting(ends, orig_rax=RESTART_SYSCALL, rsi=until))
    relative = captured.dumped(KIND, waiting(ends, orig_rax=RESTART_SYSCALL, rsi=for_long))
    assert (absolute.wait, absolute.orig_rax) == (None, FUTEX)
    assert (relative.wait, relative.orig_rax) == (Wait("futex", "monotonic", 5), FUTEX)


def test_a_wait_that_was_stopped_before_is_a_loss_where_it_is_not_seen() -> None:
    assert said(thread(rax=RESTART_BLOCK, orig_rax=RESTART_SYSCALL)) == [f"restart_syscall {FORGOTTEN}"]


def test_a_restored_wait_may_be_over() -> None:
    before = captured.dumped(KIND, waiting(Restart("futex", "monotonic", 5), orig_rax=FUTEX, rip=4096))
    over = before.replace(rax=(1 << 64) - 11, orig_rax=(1 << 64) - 1, wait=None)
    assert captured.differences(KIND, before, over) == []
    assert captured.differences(KIND, before.replace(wait=None), over) == ["rax", "rip"]


def test_a_wait_without_limit_is_none() -> None:
    assert said(thread(rax=RESTART_BLOCK, orig_rax=POLL, rdx=0xFFFFFFFF)) == []


ENDED = "epoll_wait was waiting with a time limit: it ends with EINTR, as at any stop"


def test_a_wait_that_any_stop_ends_is_a_loss() -> None:
    assert said(thread(rax=EINTR, orig_rax=EPOLL_WAIT, r10=1000)) == [ENDED]


def test_one_that_a_handler_of_its_own_ends_is_none() -> None:
    status = captured.line(captured.line(captured.STATUS, "SigPnd", "0000000000000200"), "SigCgt", "0000000000000200")
    words = dict.fromkeys(REGISTERS, 0) | {"cs": 0x33, "rax": EINTR, "orig_rax": EPOLL_WAIT, "r10": 1000}
    stopped = captured.NOTHING.replace(registers=PRSTATUS.pack(*words.values()))
    assert said(captured.process({"status": status}, stopped=stopped).leader) == []


def running(text: bytes) -> list[str]:
    return said(captured.process({"syscall": text}, stopped=None).leader)


def test_a_running_thread_is_judged_by_the_call_that_it_waits_in() -> None:
    assert running(b"running\n") == []
    assert running(b"-1 0x7ffd1000 0x7f001000\n") == []
    assert running(b"232 0x4 0x7f001000 0x1 0x3e8 0x0 0x0 0x7ffd1000 0x7f001000\n") == [ENDED]
    assert running(b"232 0x4 0x7f001000 0x1 0xffffffff 0x0 0x0 0x7ffd1000 0x7f001000\n") == []


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
