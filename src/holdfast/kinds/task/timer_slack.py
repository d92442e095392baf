"""task.timer_slack: how late a thread's timers may fire.

Carries:  the present slack, and the default that PR_SET_TIMERSLACK 0 goes back to.
Loses:    nothing: a default of 0, which only a real-time maker of a task gives it and nothing else, fails the restore.
Sources:  prctl(2) PR_SET_TIMERSLACK, Linux kernel/sys.c;
          ed4fb6d7ef68 ("hrtimer: Use and report correct timerslack values for realtime tasks") (v6.12).
"""

from __future__ import annotations

from holdfast.kinds.contract import Claim, Kind, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 29, 30
WORD = 2**64 - 1
REAL_TIME = (1, 2, 6)  # fifo, rr, deadline: newer kernels give them no slack, and ignore a change


class TimerSlack(Record):
    """A thread's timer slack; the default is None for a real-time thread, where it cannot be seen."""

    slack_ns: int
    default_ns: int | None


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, TimerSlack]:
    program = Program()
    # the slack is what the call returns, so one of nearly 2**64 ns looks like an error
    now = program.call("prctl", PR_GET_TIMERSLACK, 0, 0, 0, 0, check=ANY)
    default = None
    if ev.stat.policy not in REAL_TIME:
        # zero goes to the default; then back to what it was
        program.call("prctl", PR_SET_TIMERSLACK, 0, 0, 0, 0)
        default = program.call("prctl", PR_GET_TIMERSLACK, 0, 0, 0, 0, check=ANY)
        program.call("prctl", PR_SET_TIMERSLACK, now, 0, 0, 0)
    answers = yield program
    return TimerSlack(answers.value(now) & WORD, None if default is None else answers.value(default) & WORD)


def restore(rec: TimerSlack, steps: Steps) -> None:
    if rec.slack_ns:
        steps.part().call("prctl", PR_SET_TIMERSLACK, rec.slack_ns, 0, 0, 0)


KIND = Kind("task.timer_slack", record=TimerSlack, subject="thread", verbs=verbs(__name__))
