"""task.status, and that every key of /proc/PID/status has somebody who looks at it."""

from __future__ import annotations

from holdfast.kernel.procfs.status import KNOWN, parse_status
from holdfast.kinds import registry
from holdfast.kinds.contract import StatusKey
from holdfast.kinds.task.status import IGNORED, KIND
from tests.unit.kinds import captured


def watched() -> set[str]:
    return {w.name for kind in registry.kinds().values() for w in kind.watches if isinstance(w, StatusKey)}


def test_every_known_key_is_watched_or_ignored_for_a_reason() -> None:
    assert KNOWN - watched() - IGNORED.keys() == set()
    assert [key for key, reason in IGNORED.items() if not reason] == []


def test_no_key_is_both_watched_and_ignored_or_unknown() -> None:
    assert watched() & IGNORED.keys() == set()
    assert (watched() | IGNORED.keys()) - KNOWN == set()


def test_this_kernel_prints_no_other() -> None:
    with open("/proc/self/status", "rb") as f:
        assert parse_status(f.read()).unknown == ()


def test_another_is_unchecked() -> None:
    assert captured.verdicts(KIND, captured.process()) == []
    assert captured.verdicts(KIND, captured.process({"status": captured.line(captured.STATUS, "Mystery", "1")})) == ["Unchecked"]
