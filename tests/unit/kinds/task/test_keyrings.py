"""task.keyrings."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kinds.task.keyrings import KIND
from tests.unit.kinds import captured


@pytest.mark.parametrize("none", [-126, -38])
def test_a_thread_without_keyrings_has_no_record(none: int) -> None:
    assert captured.dumped(KIND, captured.process().leader, {("keyctl",): none}) is None


def test_a_choice_for_keys_that_are_asked_for_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process().leader, {("keyctl",): -126, ("keyctl", 14): 3})
    assert caught.value.code == "refused.task.request_keyring"


@pytest.mark.parametrize(("ring", "code"), [(-1, "task.thread_keyring"), (-2, "task.process_keyring")])
def test_a_keyring_is_refused(ring: int, code: str) -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process().leader, {("keyctl",): -126, ("keyctl", 0, ring): 0x1234})
    assert caught.value.code == f"refused.{code}"
