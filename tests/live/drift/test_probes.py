"""drift/probes.py on this kernel: every table answers, and every name that it gives is in the ledger."""

from __future__ import annotations

import os

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


def test_every_answer_has_a_decision() -> None:
    book = ledger.Ledger(ledger.read(LEDGER), LEDGER)
    answers = probes.probe()
    assert sorted(answers) == sorted(book.facts)
    undecided = [f"{table}.{name}" for table, rows in answers.items() for name in rows if book.facts[table].own(name, ()) is None]
    assert undecided == []
