"""kcmp(2) on this process and children of its own."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from holdfast.kernel import kcmp


def test_threads_share_what_processes_do_not() -> None:
    hold = threading.Event()
    thread = threading.Thread(target=hold.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        with kcmp.Newborn() as child:
            for what in (kcmp.VM, kcmp.FILES, kcmp.FS, kcmp.SIGHAND):
                assert kcmp.same(os.getpid(), thread.native_id, what)
                assert not kcmp.same(os.getpid(), child.pid, what)
    finally:
        hold.set()
        thread.join()


def test_the_order_is_an_order() -> None:
    with kcmp.Newborn() as a, kcmp.Newborn() as b:
        assert {kcmp.order(a.pid, b.pid, kcmp.VM), kcmp.order(b.pid, a.pid, kcmp.VM)} == {1, 2}
        assert kcmp.order(a.pid, a.pid, kcmp.VM) == 0


def test_a_newborn_has_no_semaphore_adjustments_as_another_has_none() -> None:
    with kcmp.Newborn() as a, kcmp.Newborn() as b:
        assert kcmp.same(a.pid, b.pid, kcmp.SYSVSEM)


def test_a_newborn_ends_with_its_context() -> None:
    with kcmp.Newborn() as child:
        pid = child.pid
    with pytest.raises(OSError) as caught:
        kcmp.order(os.getpid(), pid, kcmp.VM)
    assert caught.value.errno == errno.ESRCH
