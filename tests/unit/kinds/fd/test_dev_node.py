"""fd.dev_node, on this machine's devices."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holdfast.kinds.fd.dev_node import KIND, DevNode, compare, ready
from holdfast.model.ids import ObjectId
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made: list[int] = []
    yield made
    for fd in made:
        os.close(fd)


@pytest.mark.parametrize("device", ["null", "zero", "full", "random", "urandom"])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_NONBLOCK | os.O_APPEND])
def test_what_is_made_again_is_what_was_dumped(fds: list[int], device: str, flags: int) -> None:
    fds.append(os.open(f"/dev/{device}", flags))
    fds += native.again(KIND, fds[0])
    assert native.records(KIND, fds[-1])[0].device == device


@pytest.mark.parametrize("path", ["/dev/tty", "/dev/kmsg", "/etc/hostname", "/"])
def test_other_files_are_not_claimed(fds: list[int], path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"machine cannot: there is no {path}")
    try:
        fds.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        pytest.skip(f"machine cannot: {path} cannot be opened here")
    evidence = native.tree(fds[0])
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(evidence.files[0]) is None
    native.close(evidence)


def test_a_device_that_is_another_now_refuses_a_restore() -> None:
    rec = DevNode(b"/dev/null", "null", ())
    assert list(ready(rec, native.NativeHost())) == []
    for other in (rec.replace(device="zero"), rec.replace(path=b"/etc/hostname"), rec.replace(path=b"/no/such")):
        assert [v.code for v in ready(other, native.NativeHost())] == ["fd.dev_node.missing"]


def test_every_field_is_compared() -> None:
    same = DevNode(b"/dev/null", "null", ())
    others = [same.replace(path=b"/y"), same.replace(device="zero"), same.replace(flags=("O_RDWR",))]
    assert [len(list(compare(same, o, ObjectId("file:0")))) for o in [same, *others]] == [0, 1, 1, 1]
