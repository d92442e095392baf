"""Signals that wait while a tree is held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from holdfast.engine.interrupts import Held, Interrupted


def send(number: int) -> None:
    """Send ourselves a signal; its handler has run when this returns."""
    signal.raise_signal(number)


def test_what_comes_meanwhile_comes_at_a_safe_point() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        with Held() as signals:
            send(signal.SIGTERM)
            assert got == []
            signals.safe()
            assert got == [signal.SIGTERM]
            send(signal.SIGTERM)
            assert got == [signal.SIGTERM]
        assert got == [signal.SIGTERM, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_a_handler_raises_is_raised_there_and_a_second_one_still_waits() -> None:
    signals = Held().__enter__()
    send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signals.safe()
    send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signals.__exit__()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_would_end_us_is_an_exception_first_and_ends_us_then() -> None:
    source = """
import signal, sys
from holdfast.engine.interrupts import Held, Interrupted
with Held() as signals:
    signal.raise_signal(signal.SIGTERM)
    try:
        signals.safe()
    except Interrupted:
        print("undone", flush=True)
print("not here")
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", source], env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "undone\n")


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Held() as signals:
            send(signal.SIGHUP)
            signals.safe()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_nothing() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def run() -> None:
        with Held() as signals:
            found.append(signal.getsignal(signal.SIGINT))
            signals.safe()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before]


def test_interrupted_is_no_error_that_somebody_catches_by_mistake() -> None:
    assert not issubclass(Interrupted, Exception)
