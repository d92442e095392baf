"""Who may restore a job: the maps of its namespace against the restorer's own ids and rights."""

from __future__ import annotations

import os

import pytest

from holdfast.kinds.contract import Host
from holdfast.kinds.ns import run
from holdfast.kinds.ns.run import Range, Run

ALL = (Range(0, 0, 4294967295),)


def one(number: int) -> tuple[Range, ...]:
    """The map of an ordinary user."""
    return (Range(number, number, 1),)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user, 1000 in group 100."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 100)
    monkeypatch.setattr(run, "_maps_any", lambda: False)


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root with all capabilities."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    monkeypatch.setattr(run, "_maps_any", lambda: True)


OWN = Run(one(1000), one(100), False)
OF_ROOT = Run(ALL, ALL, True)


def codes(rec: Run) -> list[str]:
    """What stands against a restore."""
    return [r.code for r in run.ready(rec, Host())]


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("rec", "wanted"),
    [
        (OWN, []),
        (OWN.replace(name=b"web"), []),
        (OWN.replace(users=one(1001)), ["ns.run_ids"]),
        (OWN.replace(groups=one(1000)), ["ns.run_ids"]),
        (OWN.replace(users=(Range(0, 1000, 1),)), ["ns.run_ids"]),
        (OWN.replace(setgroups=True), ["ns.run_ids"]),
        (OF_ROOT, ["ns.run_ids"]),
    ],
)
def test_an_ordinary_user_restores_only_its_own_jobs(rec: Run, wanted: list[str]) -> None:
    assert codes(rec) == wanted


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("rec", "wanted"), [(OF_ROOT, []), (OWN, ["ns.run_ids"]), (OF_ROOT.replace(groups=one(5)), ["ns.run_ids"])])
def test_root_restores_jobs_that_it_is_in_itself(rec: Run, wanted: list[str]) -> None:
    assert codes(rec) == wanted


@pytest.mark.usefixtures("root")
def test_a_refusal_names_both_sides() -> None:
    (refusal,) = run.ready(OWN, Host())
    assert refusal.what == "the job is one of user 1000, group 100; it cannot be restored as user 0, group 0"
