"""What task.keyrings promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("ring", "code"), [(-1, "task.thread_keyring"), (-2, "task.process_keyring")])
def test_a_keyring_is_refused(tmp_path: Path, ring: int, code: str) -> None:
    assert harness.refused(tmp_path, with_calls(f"call(250, 0, {ring}, 1)\npause()")) == [code]


def test_a_choice_for_keys_that_are_asked_for_is_refused(tmp_path: Path) -> None:
    # KEYCTL_SET_REQKEY_KEYRING 14, the session keyring 3
    assert harness.refused(tmp_path, with_calls("call(250, 14, 3)\npause()")) == ["task.request_keyring"]
