"""task.lsm. Text of proc_pid_attr(5)."""

from __future__ import annotations

from holdfast.kinds.task.lsm import KIND, Lsm
from tests.unit.kinds import captured

OURS: dict[str, bytes | OSError] = {"self/attr/current": b"unconfined\n"}


def test_a_system_without_labels_has_no_record() -> None:
    none = OSError(22, "Invalid argument")
    assert captured.verdicts(KIND, captured.process({"attr/current": none}, host={"self/attr/current": none})) == []


def test_our_own_label_is_kept_to_be_compared() -> None:
    assert captured.dumped(KIND, captured.process({"attr/current": b"unconfined\n"}, host=OURS)) == Lsm(b"unconfined")


def test_another_label_is_refused() -> None:
    assert captured.verdicts(KIND, captured.process({"attr/current": b"redis (enforce)\n"}, host=OURS)) == ["task.lsm_label"]


def test_a_label_for_later_is_refused() -> None:
    files: dict[str, bytes | OSError] = {"attr/current": b"unconfined\n", "attr/exec": b"system_u:object_r:x\0"}
    assert captured.verdicts(KIND, captured.process(files, host=OURS)) == ["task.lsm_attribute"]
