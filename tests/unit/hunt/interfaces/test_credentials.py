"""hunt.interfaces.credentials: capabilities bit by bit, ids, keys, namespaces."""

from __future__ import annotations

import struct

from holdfast.hunt.interfaces import credentials
from tests.unit.hunt.interfaces.soundness import faults, made, today, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(credentials) == []


def test_each_capability_is_tried_in_each_of_five_sets() -> None:
    found = [r.name.partition("/")[2] for r in made(credentials, with_constant("CAP_TOMORROW", 40, "linux/capability.h"))]
    sets = {n.partition(".")[0] for n in found if n.endswith(".CAP_TOMORROW")}
    assert sets == {"effective", "permitted", "inheritable", "ambient", "bounding"}


def test_only_capabilities_that_a_subject_has_are_dropped() -> None:
    data = struct.pack("<6I", 0, 1 << 7, 0, 0, 0, 0)
    found = [r.name for r in credentials.recipes(today(), lambda lines, getter: data if getter.call == "capget" else None)]
    assert {n for n in found if n.startswith("capset/effective.")} == {"capset/effective.CAP_SETUID"}


def test_a_bit_of_personality_without_a_name_is_tried_too() -> None:
    found = {r.name for r in made(credentials, with_constant("TOMORROW", 1 << 13, "linux/personality.h"))}
    assert {"personality/self.TOMORROW", "personality/self.ADDR_NO_RANDOMIZE", "personality/self.bit=12"} <= found
    assert "personality/self.bit=13" not in found


def test_no_key_is_put_where_it_outlives_the_process() -> None:
    lasting = ("KEY_SPEC_USER_KEYRING", "KEY_SPEC_USER_SESSION_KEYRING", "KEYCTL_GET_PERSISTENT")
    assert [line for r in made(credentials) for line in (*r.lines, *r.get, *r.after) if any(f"{n}=" in str(line) for n in lasting)] == []


def test_a_namespace_of_tomorrow_is_left_and_entered() -> None:
    found = {r.name for r in made(credentials, with_constant("CLONE_NEWTOMORROW", 1 << 40, "linux/sched.h"))}
    assert {"unshare/self.CLONE_NEWTOMORROW", "setns/self.CLONE_NEWTOMORROW", "unshare/clone.CLONE_NEWTOMORROW"} <= found
