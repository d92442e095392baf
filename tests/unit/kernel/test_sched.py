"""How this process and a child of it are scheduled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.sched import EVERY, Beside, keep_near, let_run, mask_of, own_slice_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

SEVERAL = (os.cpu_count() or 1) > 1 and len(os.sched_getaffinity(0)) == os.cpu_count()
several = pytest.mark.skipif(not SEVERAL, reason="machine cannot: it has one CPU, or this process may not run on each")


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process.pid


def test_the_slice_is_that_of_a_fair_policy_or_unknown() -> None:
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        pytest.skip("machine cannot: this process does not run under the normal policy")
    found = own_slice_ns()
    assert found == 0 or 100_000 <= found <= 100_000_000


def test_cpus_are_bits_of_words_and_none_is_every_one() -> None:
    assert mask_of((0, 2, 64)) == b"\x05" + bytes(7) + b"\x01" + bytes(7)
    assert mask_of(()) == EVERY


def test_a_task_is_kept_near_and_let_go_again(child: int) -> None:
    before = os.sched_getaffinity(child)
    keep_near(child)
    assert len(os.sched_getaffinity(child)) == 1
    let_run(child, ())
    assert os.sched_getaffinity(child) == before
    let_run(child, (min(before),))
    assert os.sched_getaffinity(child) == {min(before)}


def test_what_is_gone_cannot_be_kept_near_and_may_run_nowhere() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    keep_near(child.pid)
    with pytest.raises(ProcessLookupError):
        let_run(child.pid, ())


ALONE = """
import os, signal
from holdfast.kernel.sched import Beside
cpus, heard = os.sched_getaffinity(0), []
signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
with Beside():
    print(len(os.sched_getaffinity(0)))
    os.kill(os.getpid(), signal.SIGUSR1)
    print(heard)
print(heard == [signal.SIGUSR1], os.sched_getaffinity(0) == cpus, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


@several
def test_beside_us_no_signal_is_handled_and_all_is_as_it_was_afterwards() -> None:
    said = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["1", "[]", "True True set()"]


SEVERAL_THREADS = """
import os, threading
from holdfast.kernel.sched import Beside
def show():
    with Beside():
        print(len(os.sched_getaffinity(0)) == 1)
    print(len(os.sched_getaffinity(0)) == os.cpu_count())
thread = threading.Thread(target=show)
thread.start()
thread.join()
stay = threading.Event()
other = threading.Thread(target=stay.wait)
other.start()
show()
stay.set()
"""


@several
def test_a_first_thread_with_others_stays_free_and_another_thread_does_not() -> None:
    said = subprocess.run([sys.executable, "-c", SEVERAL_THREADS], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "True", "False", "True"]


@several
def test_who_is_bound_already_stays_so() -> None:
    cpus, mask = os.sched_getaffinity(0), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    os.sched_setaffinity(0, sorted(cpus)[:1])
    try:
        with Beside():
            assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
        assert os.sched_getaffinity(0) == set(sorted(cpus)[:1])
    finally:
        let_run(0, ())
