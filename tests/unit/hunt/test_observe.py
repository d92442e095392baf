"""What is seen of a subject from outside."""

from __future__ import annotations

import os
import select
import threading
import time

from holdfast.hunt import observe
from tests.harness import PATIENCE_S


def test_where_a_wait_writes_what_remains_is_known_while_it_waits() -> None:
    own = {"leader": os.getpid()}
    reading, writing = os.pipe()
    waiter = threading.Thread(target=select.select, args=([reading], [], [], PATIENCE_S))
    assert observe.limits(own) == []
    waiter.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := observe.limits(own)):
            assert time.monotonic() < deadline
        assert [(hole.label, hole.end - hole.start) for hole in found] == [("leader", 16)]
    finally:
        os.write(writing, b"x")
        waiter.join()
        os.close(reading)
        os.close(writing)
    assert observe.limits(own) == []
