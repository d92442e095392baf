"""What is seen of a subject from outside."""

from __future__ import annotations

import os
import select
import socket
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


def test_objects_are_counted_by_their_sort() -> None:
    own = {"leader": os.getpid()}

    def links(*fds: int) -> list[str]:
        found = observe.proc_sights(own)
        return [found[f"leader.fd[{fd}].link"].value.partition("[")[2] for fd in fds]

    first, second = os.pipe()
    try:
        alone = links(first, second)
        with socket.socket() as low, socket.socket() as lower:
            os.dup2(low.fileno(), 3000)  # above both pipes; and one below them, in the place of the first end
            os.dup2(first, 3001)
            os.dup2(lower.fileno(), first)
            try:
                assert links(second, 3001) == alone
            finally:
                os.dup2(3001, first)
                os.close(3000)
                os.close(3001)
    finally:
        os.close(first)
        os.close(second)
