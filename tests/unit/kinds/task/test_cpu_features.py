"""task.cpu_features. Text of fs/proc/array.c, replies as Linux 6.18 gives them."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.cpu_features import KIND
from tests.unit.kinds import captured

PKRU = (1 << 9).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("x86_Thread_features", "shstk ", "task.shadow_stack"),
        ("x86_Thread_features_locked", "wrss ", "task.shadow_stack"),
        ("untag_mask", "0x81ffffffffffffff", "task.tagged_addresses"),
    ],
)
def test_features_in_the_status_are_refused(key: str, value: str, code: str) -> None:
    assert captured.verdicts(KIND, captured.process()) == []
    assert captured.verdicts(KIND, captured.process({"status": captured.line(captured.STATUS, key, value)})) == [code]


def test_a_plain_process_has_no_record() -> None:
    assert captured.dumped(KIND, captured.process(), {("arch_prctl", 0x1022): (0, (0x2E7).to_bytes(8, "little"))}) is None
    assert captured.dumped(KIND, captured.process(), {("modify_ldt",): -38, ("arch_prctl",): -22}) is None


@pytest.mark.parametrize(
    ("replies", "code"),
    [({("modify_ldt",): 8}, "task.ldt"), ({("arch_prctl", 0x1022): (0, (1 << 18).to_bytes(8, "little"))}, "task.amx")],
)
def test_features_that_only_the_task_knows_are_refused(replies: dict[tuple[str | int, ...], int | tuple[int, bytes]], code: str) -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process(), replies)
    assert caught.value.code == f"refused.{code}"


def test_a_protection_key_is_one_that_is_not_free() -> None:
    with_keys = captured.process(stopped=captured.NOTHING.replace(xstate=bytes(464) + PKRU + bytes(552)))
    free: dict[tuple[str | int, ...], int | tuple[int, bytes]] = {("pkey_mprotect",): -22}
    assert captured.dumped(KIND, with_keys, free) is None
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, with_keys, {**free, ("pkey_mprotect", 0xFFFF_8000_0000_0000, 4096, 0, 3): -12})
    assert caught.value.code == "refused.task.pkeys"
    assert "the protection keys 3" in caught.value.what


def test_all_that_stands_against_a_process_comes_at_once() -> None:
    many: dict[tuple[str | int, ...], int | tuple[int, bytes]] = {
        ("modify_ldt",): 8,
        ("arch_prctl", 0x1022): (0, (1 << 18).to_bytes(8, "little")),
    }
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process(), many)
    assert [r.code for r in caught.value.refusals] == ["task.ldt", "task.amx"]
