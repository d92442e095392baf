"""drift/probes.py on this kernel: every table answers, and every name that it gives is in the ledger."""

from __future__ import annotations

import os

import pytest

from holdfast.drift import ledger, probes

LEDGER = os.path.join(os.path.dirname(__file__), "..", "..", "..", "ledger")


def test_every_table_answers_and_the_same_twice() -> None:
    one, two = probes.probe(), probes.probe()
    assert {name: bool(rows) for name, rows in one.items()} == dict.fromkeys(one, True)
    assert one == two
    assert one["vma-names"]["[vdso]"].endswith(" pages")
    assert one["link-names"]["eventfd"] == "anon_inode:[eventfd]"
    assert one["fdinfo-keys"]["pos"] == "every"
    assert one["fdinfo-keys"]["tfd"] == "epoll"
    assert one["calls"]["futex_waitv"] == "there"


def test_no_probe_leaves_a_descriptor_behind() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    probes.objects()
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.root  # perf_event_open tells its size only to who may use it
def test_sizes_and_requests_are_those_of_the_headers() -> None:
    answers = probes.probe()
    # include/uapi/linux/sched.h CLONE_ARGS_SIZE_VER2, openat2.h OPEN_HOW_SIZE_VER0, sched/types.h SCHED_ATTR_SIZE_VER1: the least today
    least = {"clone_args": 88, "open_how": 24, "mount_attr": 32, "sched_attr": 56, "landlock_ruleset_attr": 8, "perf_event_attr": 128}
    assert {name: int(answers["sizes"][name]) >= size for name, size in least.items()} == dict.fromkeys(least, True)
    assert answers["ioctls"]["TIOCGEXCL"] == "there"


def test_no_probe_makes_a_process() -> None:
    before = os.listdir(f"/proc/self/task/{os.getpid()}")
    probes.sizes()
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as file:
        assert file.read().split() == []
    assert os.listdir(f"/proc/self/task/{os.getpid()}") == before


def test_every_answer_has_a_decision() -> None:
    book = ledger.Ledger(ledger.read(LEDGER), LEDGER)
    answers = probes.probe()
    assert sorted(book.facts.keys() - answers.keys()) == ["anon-inode-names"]  # from the source: most need a device
    assert sorted(answers.keys() - book.facts.keys()) == []
    undecided = [f"{table}.{name}" for table, rows in answers.items() for name in rows if book.facts[table].own(name, ()) is None]
    assert undecided == []
