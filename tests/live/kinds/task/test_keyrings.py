"""What task.keyrings promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.engine import unseen
from holdfast.kernel.source import Live
from holdfast.kinds.evidence import Options, TreeEvidence
from holdfast.model.ids import ObjectId
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


@pytest.mark.parametrize("name", ["0", 'b"of a name"'])
def test_a_session_keyring_of_its_own_is_refused_where_it_can_be_seen(tmp_path: Path, name: str) -> None:
    if unseen.look(TreeEvidence(ObjectId("tree"), Options(), Live())).unread is not None:
        pytest.skip("machine cannot: live kernel structs cannot be read")
    # KEYCTL_JOIN_SESSION_KEYRING 1
    assert harness.refused(tmp_path, with_calls(f"call(250, 1, {name})\npause()")) == ["state.cred.session_keyring"]
