"""Rounds become cases: the same bug once, the least recipe first, the worst on top."""

from __future__ import annotations

import json

import pytest

from holdfast.drift import ledger
from holdfast.hunt import draw, triage
from holdfast.hunt.recipe import Recipe
from holdfast.hunt.verdict import Proof, Round
from holdfast.prog.text import parse_line
from holdfast.report import as_json, as_ktap
from tests.unit.report import ktap


def recipe(name: str, *lines: str, security: bool = False) -> Recipe:
    return Recipe(name, name.partition("/")[0], tuple(map(parse_line, lines)) or (parse_line("getpid()"),), security=security)


def proof(signature: str, oracle: str = "kernel", decision: str = "", source: str = "") -> Proof:
    return Proof(oracle, f"leader.{signature}", "1", "0", signature, decision, source)


def lost(name: str, *proofs: Proof, verdict: str = "lost", engine: str = "native", said: str = "", made: Recipe | None = None) -> Round:
    made = made or recipe(name)
    return Round(made.name, made.key + name, made.interface, engine, "1", "6.18", verdict, proofs, (), said, made.text(), 1000)


FLAGS = proof("sock.sk_flags", decision="carried", source="sock.tcp.options")


def test_one_loss_seen_by_several_recipes_is_one_case_with_the_least_first() -> None:
    long = recipe("setsockopt/b", "fd = socket(AF_INET=2, SOCK_STREAM=1, 0)", "getpid()")
    rounds = [
        lost("", FLAGS, proof("getsockopt SO_KEEPALIVE", "getter"), made=long),
        lost("setsockopt/a", FLAGS),
        lost("setsockopt/c", FLAGS, engine="criu:4.2"),
    ]
    first, second, third = triage.cases(rounds)
    assert [(c.finding.engine, c.shown_by) for c in (first, second, third)] == [
        ("native", ("setsockopt/b",)),
        ("criu:4.2", ("setsockopt/c",)),
        ("native", ("setsockopt/a",)),
    ]
    assert first.finding.subject == "sock.sk_flags (getsockopt SO_KEEPALIVE)"
    assert third.finding.subject == "sock.sk_flags"


def test_the_same_signatures_are_one_case_whatever_the_values() -> None:
    both = (FLAGS, proof("getsockopt SO_KEEPALIVE", "getter"))
    (case,) = triage.cases([lost("setsockopt/long", *both), lost("setsockopt/a", *(p.replace(before="9") for p in both))])
    assert case.shown_by == ("setsockopt/a", "setsockopt/long")
    assert case.finding.fact("recipes") == "2"


def test_two_losses_in_one_field_are_told_apart_by_their_getters() -> None:
    rounds = [lost(f"setsockopt/{o}", FLAGS, proof(f"getsockopt {o}", "getter")) for o in ("SO_BROADCAST", "SO_KEEPALIVE")]
    assert [c.finding.subject for c in triage.cases(rounds)] == [
        "sock.sk_flags (getsockopt SO_BROADCAST)",
        "sock.sk_flags (getsockopt SO_KEEPALIVE)",
    ]


def test_a_combination_that_loses_what_is_known_is_counted_to_both_and_makes_no_case() -> None:
    a, b = proof("a.x"), proof("b.y")
    cases = triage.cases([lost("p/pair", a, b), lost("i/a", a), lost("i/b", b)])
    assert {c.finding.subject: c.shown_by for c in cases} == {"a.x": ("i/a", "p/pair"), "b.y": ("i/b", "p/pair")}


def test_a_combination_that_loses_more_makes_a_case_of_what_is_left() -> None:
    a, c = proof("a.x"), proof("c.z")
    assert sorted(x.finding.subject for x in triage.cases([lost("p/pair", a, c), lost("i/a", a)])) == ["a.x", "c.z"]


def test_every_signature_of_every_round_is_in_exactly_one_case() -> None:
    names = ["a.x", "b.y", "c.z", "d.w"]
    rounds = [lost(f"i/{n}", *(proof(s) for k, s in enumerate(names) if n >> k & 1)) for n in range(1, 16)]
    owned = [s for c in triage.cases(rounds) for s in c.finding.fact("signature").split("; ")]
    assert sorted(owned) == names


def test_what_behaviour_says_counts_only_together_with_its_interface() -> None:
    read = proof("read returns", "behaviour")
    assert len(triage.cases([lost("eventfd/a", read), lost("pipe/b", read), lost("pipe/c", read)])) == 2


def test_a_failure_is_known_by_its_words_without_numbers_and_paths() -> None:
    words = "Error (criu/files.c:1234): can't open file /tmp/x1 at 0xffff"
    other = "Error (criu/files.c:77): can't open file /tmp/elsewhere/y at 0x1"
    rounds = [lost(f"i/{n}", verdict="failed", said=said, engine="criu:4.2") for n, said in enumerate((words, other, "timed out"))]
    assert [c.shown_by for c in triage.cases(rounds)] == [("i/0", "i/1"), ("i/2",)]


@pytest.mark.parametrize(
    ("signature", "oracle", "verdict", "severity"),
    [
        ("seccomp.mode", "kernel", "lost", "critical"),
        ("status-keys.CapEff", "proc", "lost", "critical"),
        ("limits.Max open files", "proc", "lost", "critical"),
        ("shmem_inode_info.seals", "kernel", "lost", "critical"),
        ("fcntl F_GET_SEALS", "getter", "lost", "critical"),
        ("seccomp.mode", "kernel", "flaky", "high"),
        ("getsockopt SO_KEEPALIVE", "getter", "lost", "high"),
        ("read returns", "behaviour", "lost", "high"),
        ("sock.sk_mark", "kernel", "lost", "medium"),
        ("sock.sk_mark", "kernel", "flaky", "low"),
        ("seccomp.mode", "kernel", "failed", "medium"),
    ],
)
def test_what_keeps_a_process_in_is_worst(signature: str, oracle: str, verdict: str, severity: str) -> None:
    (case,) = triage.cases([lost("i/a", proof(signature, oracle), verdict=verdict)])
    assert case.finding.severity == severity
    assert case.finding.code == f"hunt.{verdict}"


def test_a_recipe_that_says_so_is_critical_whatever_it_loses() -> None:
    (case,) = triage.cases([lost("", proof("sock.sk_mark"), made=recipe("i/a", security=True))])
    assert (case.finding.severity, case.finding.fact("gone")) == ("critical", "what protects or limits")


def test_a_case_names_its_decision_its_kind_and_its_tags() -> None:
    made = recipe("prctl/no_new_privs", "prctl(PR_SET_NO_NEW_PRIVS=38, 1, 0, 0, 0)", "eventfd2(0, 0)")
    proofs = (
        proof("eventfd_ctx.flags", decision="carried", source="fd.eventfd.semaphore"),
        proof("status-keys.NoNewPrivs", "proc"),
    )
    (case,) = triage.cases([lost("", *proofs, made=made)], ledger.load())
    f = case.finding
    assert f.fact("file") == "src/holdfast/kinds/fd/eventfd.py"
    assert "eventfd_ctx.flags carried" in f.fact("ledger")
    assert "structs/eventfd_ctx.toml" in f.fact("ledger")
    assert f.do == "carry it: fd.eventfd.semaphore promises to"
    assert f.why == "the ledger says that it is carried"
    # the descriptor has a tag, but many states that are not lost: only what names the state itself may become one
    assert "runtime.fd_eventfd" in f.fact("tags").split()
    assert f.fact("runtime") == "status:NoNewPrivs"
    assert f.reproducer == made.text()
    assert [e.path for e in case.evidence] == ["leader.eventfd_ctx.flags", "leader.status-keys.NoNewPrivs"]


def test_a_report_holds_every_round_and_leads_each_loss_to_its_case() -> None:
    rounds = [
        lost("i/a", proof("a.x")),
        lost("i/b", verdict="kept"),
        lost("i/c", verdict="refused", said="refused.fd.x: no"),
        lost("i/d", verdict="unsettable", said="EPERM"),
        lost("i/e", verdict="blind"),
    ]
    report = triage.report(rounds, facts={"jobs": "2"}, gaps=["no kernel structs"])
    assert [(r.name, r.verdict, r.case) for r in report.results] == [
        ("i/a", "lost", report.cases[0].id),
        ("i/b", "kept", ""),
        ("i/c", "refused", ""),
        ("i/d", "unsettable", ""),
        ("i/e", "blind", ""),
    ]
    assert (report.verdict, report.kernel, report.gaps) == ("FOUND", "6.18", ("no kernel structs",))
    assert dict(report.facts) == {"jobs": "2", "native": "1"}
    assert json.loads(as_json.render(report))["counts"]["native"] == {"lost": 1, "refused": 1, "kept": 1, "blind": 1, "unsettable": 1}
    (interface,) = ktap.read(as_ktap.of(report))
    assert [(t.ok, t.directive) for t in interface.inside] == [(False, ""), (True, ""), (True, "XFAIL"), (True, "SKIP"), (True, "SKIP")]


def test_a_smaller_recipe_must_lose_what_is_seen_without_its_lines() -> None:
    round_ = lost("i/a", proof("fcntl F_GETFL", "getter"), proof("read returns", "behaviour"), proof("proc.autogroup", "proc"))
    assert triage.keys_of(round_)[0] == "fcntl F_GETFL"
    assert triage.by_looking(round_) == ["proc.autogroup", "fcntl F_GETFL", "i: read returns"]
    assert [key for _, key, _ in triage.least_of([round_, lost("i/b", proof("x.y"))])] == ["x.y", "proc.autogroup"]


def test_the_order_of_rounds_does_not_matter() -> None:
    rounds = [lost(f"i/{n}", *(proof(f"s.f{k}") for k in range(n % 4 + 1))) for n in range(9)]
    assert triage.cases(rounds) == triage.cases(rounds[::-1])


def test_a_round_of_an_older_form_is_still_told() -> None:
    (case,) = triage.cases([lost("i/a", proof("a.x")).replace(text="???")])
    assert (case.finding.subject, case.finding.fact("tags")) == ("a.x", "")


def test_combinations_stand_together_and_are_joined_as_they_are_drawn() -> None:
    assert triage.JOIN == draw.JOIN
    groups = ["eventfd", "eventfd + umask", "fcntl + umask", "a + b + c"]
    assert [triage.group_of(g) for g in groups] == ["eventfd", "combinations of 2", "combinations of 2", "combinations of 3"]
