"""Markers, the force mode, and the guard that no live test leaves a process behind."""

from __future__ import annotations

import os
import shutil
import signal
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# HOLDFAST_FORCE=1: a skip fails, unless its reason says that no set-up of this machine could make the test run
FORCED = os.environ.get("HOLDFAST_FORCE") == "1"
EXCUSE = "machine cannot:"
# every process that a live test starts inherits this; its own value in each test
TAG = "HOLDFAST_TEST_TAG"
# where Debian keeps tools for administrators; an ordinary user's PATH lacks them
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
LIVE_ROOMS = ("live", "faults")

_numbers = count()

settings.register_profile("holdfast", deadline=None, derandomize=True)
settings.load_profile("holdfast")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; --strict-markers refuses any other."""
    for line in (
        "live: starts real processes; every test under tests/live and tests/faults has it",
        "root: needs root",
        "tool(name, package): needs a program; package is its Debian package, where the name differs",
    ):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the live rooms."""
    tests = os.path.dirname(__file__)
    for item in items:
        if os.path.relpath(item.path, tests).split(os.sep)[0] in LIVE_ROOMS:
            item.add_marker(pytest.mark.live)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where tests that must not run beside each other would."""
    if not getattr(session.config.option, "loadgroup", False):
        return
    for item in session.items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid.rpartition("]")[2]:
            raise pytest.UsageError(f"{item.nodeid} has a group that pytest-xdist does not see: make, for the versions in requirements.txt")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this user or this machine cannot run, with the command that can."""
    again = f"make test ARGS='{item.nodeid}'"
    for mark in item.iter_markers("tool"):
        name, package = mark.args[0], mark.args[-1]
        if shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}") is None:
            pytest.skip(f"{name} is not installed: apt-get install {package} && {again}")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip(f"needs root: sudo {again}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In the force mode turn a skip into a failure that quotes the skip's reason."""
    report = yield
    if FORCED and report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(EXCUSE):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, and HOLDFAST_FORCE=1 wants it run: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In the force mode turn the skip of a whole module into a failure."""
    report = yield
    if FORCED and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(EXCUSE):
            report.outcome = "failed"
            report.longrepr = f"{collector.nodeid} was skipped, and HOLDFAST_FORCE=1 wants it run: {reason}"
    return report


def tagged(tag: bytes) -> Iterator[tuple[int, str]]:
    """Pid and command line of every living process that carries the tag in its environment, and of every child of ours."""
    me = os.getpid()
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == me:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                state, parent = f.read().rpartition(b")")[2].split()[:2]
            with open(f"/proc/{name}/environ", "rb") as f:
                ours = tag in f.read().split(b"\0")
            with open(f"/proc/{name}/cmdline", "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or belongs to another user
        if state not in b"ZX" and (ours or int(parent) == me):
            yield int(name), command


@pytest.fixture(autouse=True)
def _no_process_left(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # An environment tag and not a child subreaper: as subreaper we would keep the zombies of a killed tree, and with
    # them its pids, which a restore needs. A tag also finds what was restored: the environment is part of the image.
    if request.node.get_closest_marker("live") is None:
        yield
        return
    value = f"{os.getpid()}.{next(_numbers)}"
    monkeypatch.setenv(TAG, value)
    tag = f"{TAG}={value}".encode()
    before = {pid for pid, _ in tagged(tag)}
    yield
    left: dict[int, str] = {}
    # a tree may still be forking while it is killed: until a look finds nothing new
    while new := {pid: command for pid, command in tagged(tag) if pid not in before and pid not in left}:
        for pid in new:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        left |= new
    if left:
        pytest.fail("left running: " + "; ".join(f"{pid} ({command})" for pid, command in left.items()), pytrace=False)
