"""Whole rounds in a sandbox: what is kept, lost, refused, blind; with an engine that loses on purpose, no pass is possible."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.hunt import sandbox
from holdfast.hunt.recipe import Recipe, parse
from holdfast.prog.text import parse_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.hunt.engines.contract import Said

pytestmark = pytest.mark.root


def recipe(make: Sequence[str], state: Sequence[str] = (), get: Sequence[str] = (), after: Sequence[str] = (), **more: Any) -> str:
    sections = (tuple(parse_line(t) for t in texts) for texts in (make, state, get, after))
    first, second, third, fourth = sections
    return Recipe("r", "i", first, second, third, fourth, **more).text()


EVENTFD = recipe(
    ["fd = eventfd2(3, 0)"], ["write($fd, b'\\x05\\0\\0\\0\\0\\0\\0\\0', 8)"], ["fcntl($fd, F_GETFL=3)"], ["read($fd, [8], 8)"]
)
SLACK = recipe(["getpid()"], ["prctl(PR_SET_TIMERSLACK=29, 77777)"], ["prctl(PR_GET_TIMERSLACK=30)"])
BLOCKED = recipe(
    ["pipe2(both:[8], 0)", "child = clone(SIGCHLD=17, 0, 0, 0, 0)"],
    ["child: read($both@0:4, [16], 16) blocks"],
    (),
    ["write($both@4:4, b'abc', 3)"],
    point=3,
    inside=True,
)
MIDDLE = recipe(
    ["pipe2(both:[8], 0)"], ["write($both@4:4, b'abc', 3)", "write($both@4:4, b'def', 3)"], (), ["read($both@0:4, [16], 16)"], point=2
)
REFUSED = recipe(["getpid()"], ["io_uring_setup(4, [120])"])
UNSETTABLE = recipe(["getpid()"], ["prctl(99999)"])
BLIND = recipe(["getpid()"], ["getuid()"])


class Forgets:
    """An engine that sets the timer slack of what came back, and the rest as native does; it warns of it always, or where it is due."""

    name, version = "forgets", "1"

    def __init__(self, how: str) -> None:
        from holdfast.hunt.engines.native import Native

        self.native = Native()
        self.how = how
        self.pid = 0

    def dump(self, pid: int, folder: str) -> Said:
        self.pid = pid
        with open(f"/proc/{pid}/timerslack_ns") as f:
            due = self.how == "always warns" or (self.how == "warns" and f.read() != "50000\n")
        said = self.native.dump(pid, folder)
        return said.replace(warned=(f"task.timer_slack: thread:{pid}: it is lost",)) if due else said

    def restore(self, folder: str) -> Said:
        said = self.native.restore(folder)
        with open(f"/proc/{self.pid}/timerslack_ns", "w") as f:
            f.write("50000")
        return said


def played(engine: str, texts: list[str]) -> list[list[Any]]:
    from holdfast.hunt.engines.native import Native
    from holdfast.hunt.rounds import Rounds

    os.mkdir("/tmp/rounds")
    rounds = Rounds(Native() if engine == "native" else Forgets(engine), "/tmp/rounds")
    try:
        done = [rounds.run(parse(text)) for text in texts]
        return [[d.verdict, sorted({p.signature for p in d.proofs}), list(d.seen), d.said] for d in done]
    finally:
        rounds.close()


def test_what_native_keeps_refuses_and_nobody_sees() -> None:
    texts = [EVENTFD, SLACK, BLOCKED, MIDDLE, REFUSED, UNSETTABLE, BLIND]
    found = sandbox.run(played, "native", texts)
    assert [f[:2] for f in found] == [[v, []] for v in ("kept", "kept", "kept", "kept", "refused", "unsettable", "blind")]
    assert "eventfd_ctx.count" in found[0][2]
    assert "task_struct.timer_slack_ns" in found[1][2]
    assert "io_uring" in found[4][3]
    assert "Invalid argument" in found[5][3]


def test_what_an_engine_forgets_is_lost_by_every_oracle_that_sees_it() -> None:
    [[verdict, signatures, _, _], other] = sandbox.run(played, "forgets", [SLACK, EVENTFD])
    assert verdict == "lost"
    assert signatures == ["prctl PR_GET_TIMERSLACK", "proc.timerslack_ns", "task_struct.timer_slack_ns"]
    assert other[:2] == ["kept", []]


@pytest.mark.parametrize(("engine", "verdict"), [("warns", "told"), ("always warns", "lost")])
def test_a_loss_that_an_engine_names_is_told_unless_it_says_the_same_of_everything(engine: str, verdict: str) -> None:
    [[found, signatures, _, _]] = sandbox.run(played, engine, [SLACK])
    assert found == verdict
    assert "task_struct.timer_slack_ns" in signatures
