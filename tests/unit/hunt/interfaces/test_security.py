"""hunt.interfaces.security: sandboxes by prefix, and what they forbid."""

from __future__ import annotations

from holdfast.hunt.interfaces import security
from holdfast.prog.text import Parts, Pointer
from tests.unit.hunt.interfaces.soundness import faults, made, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(security) == []


def test_an_action_and_a_flag_of_seccomp_of_tomorrow_are_tried() -> None:
    action = {r.name for r in made(security, with_constant("SECCOMP_RET_TOMORROW", 0x7FF80000, "linux/seccomp.h"))}
    assert {"seccomp/self.SECCOMP_RET_TOMORROW", "seccomp/thread.SECCOMP_RET_TOMORROW"} <= action
    flag = {r.name for r in made(security, with_constant("SECCOMP_FILTER_FLAG_TOMORROW", 64, "linux/seccomp.h"))}
    assert "seccomp/self.SECCOMP_FILTER_FLAG_TOMORROW" in flag


def test_a_filter_says_how_long_it_is_and_allows_all_but_one_call() -> None:
    (found,) = [r for r in made(security) if r.name == "seccomp/self.SECCOMP_RET_ERRNO|13"]
    program = found.state[0].args[2]
    assert isinstance(program, Parts)
    head, code = program.parts
    assert isinstance(head, bytes)
    assert isinstance(code, Pointer)
    assert isinstance(code.to, bytes)
    assert int.from_bytes(head[:2], "little") * 8 == len(code.to)
    returned = [int.from_bytes(code.to[at + 4 : at + 8], "little") for at in range(0, len(code.to), 8) if code.to[at] == 6]
    assert returned == [0x0005000D, 0x7FFF0000]


def test_rights_and_scopes_of_landlock_of_tomorrow_are_tried() -> None:
    for name in ("LANDLOCK_ACCESS_FS_TOMORROW", "LANDLOCK_ACCESS_NET_TOMORROW", "LANDLOCK_SCOPE_TOMORROW"):
        found = {r.name for r in made(security, with_constant(name, 1 << 40, "linux/landlock.h"))}
        assert {f"landlock/ruleset.{name}", f"landlock/self.{name}"} <= found


def test_whoever_is_killed_by_a_call_is_not_asked_to_make_it() -> None:
    deadly = [r for r in made(security) if "SECCOMP_RET_KILL" in r.name]
    assert len(deadly) > 3
    assert [r.name for r in deadly if r.after] == []


def test_waiters_are_looked_at_while_they_wait() -> None:
    waiting = [r for r in made(security) if any(line.blocks for line in r.state) and r.interface == "futex"]
    assert len(waiting) > 20
    assert [r.name for r in waiting if not r.inside] == []
