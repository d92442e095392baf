"""hunt.interfaces.sockets, sockends, sockqueues: sockets as such, their ends, and what is on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.hunt.interfaces import sockends, sockets, sockqueues
from tests.unit.hunt.interfaces.soundness import faults, knows_nothing, made, using, with_constant

if TYPE_CHECKING:
    from types import ModuleType


@pytest.mark.parametrize("table", [sockets, sockends, sockqueues])
def test_every_recipe_is_sound(table: ModuleType) -> None:
    assert faults(table) == []


@pytest.mark.parametrize(
    ("name", "value", "header", "recipe"),
    [
        ("AF_OF_TOMORROW", 46, "bits/socket.h", "socket/AF_OF_TOMORROW.SOCK_SEQPACKET"),
        ("IPPROTO_OF_TOMORROW", 250, "linux/in.h", "socket/AF_INET.SOCK_DGRAM.IPPROTO_OF_TOMORROW"),
    ],
)
def test_a_family_or_protocol_of_tomorrow_is_tried(name: str, value: int, header: str, recipe: str) -> None:
    assert recipe in using(made(sockets, with_constant(name, value, header)), name)


def test_a_family_that_this_kernel_lacks_is_one_recipe() -> None:
    found = [r.name for r in sockets.recipes(with_constant("AF_OF_TOMORROW", 46, "bits/socket.h"), knows_nothing)]
    assert [n for n in found if "AF_OF_TOMORROW" in n] == ["socket/AF_OF_TOMORROW.SOCK_STREAM"]


def test_who_waits_in_a_call_is_checkpointed_there() -> None:
    waiting = [r for r in made(sockets) if r.interface == "recv"]
    assert len(waiting) == 20
    assert {(r.inside, r.at == len(r.lines), r.lines[-1].blocks) for r in waiting} == {(True, True, True)}


def test_every_queue_is_looked_at_or_gone_on_with() -> None:
    assert [r.name for r in made(sockqueues) if not (r.get or r.after)] == []
    assert [r.name for r in made(sockends) if not (r.get or r.after)] == []
