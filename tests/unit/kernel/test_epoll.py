"""What an epoll instance watches, asked of this process's own."""

from __future__ import annotations

import errno
import os
import select

import pytest

from holdfast.kernel.epoll import watches


def test_a_number_that_means_another_file_now_is_told() -> None:
    me = os.getpid()
    one, two = os.eventfd(0), os.eventfd(0)
    kept = os.dup(one)
    with select.epoll() as ep:
        ep.register(one, select.EPOLLIN)
        assert watches(me, one, me, ep.fileno(), one, 0)
        assert watches(me, kept, me, ep.fileno(), one, 0)
        assert not watches(me, two, me, ep.fileno(), one, 0)
        os.dup2(two, one)
        assert not watches(me, one, me, ep.fileno(), one, 0)
        # the same number once more, for another file
        ep.register(one, select.EPOLLOUT)
        which = [watches(me, two, me, ep.fileno(), one, n) for n in (0, 1)]
        assert sorted(which) == [False, True]
        with pytest.raises(OSError) as e:
            watches(me, one, me, ep.fileno(), one, 2)
    assert e.value.errno == errno.ENOENT
    for fd in (one, two, kept):
        os.close(fd)
