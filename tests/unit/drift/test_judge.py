"""drift/judge.py: what a change means, given the decision about it."""

from __future__ import annotations

from holdfast.drift import judge
from holdfast.drift.carriers import Known
from holdfast.drift.diff import Change
from holdfast.drift.ledger import UNDECIDED, Ledger, Row
from holdfast.drift.snapshot import Snapshot
from holdfast.kernel.btf.layout import Layout, Leaf

CARRIED = Row(("a",), "carried", "why", "source", "fd.x.a")
IGNORED = Row(("a",), "ignored", "why", "source")
NOBODY = Known({}, {("Struct", "s"): ("fd.x", "fd.y")}, {})


def leaf(path: str, text: str = "int", holds: str = "") -> Leaf:
    return Leaf(path, text, 0, 0, 4, holds)


def snapshot(version: tuple[int, ...], *leaves: Leaf, embedded: tuple[Layout, ...] = (), name: str = "s") -> Snapshot:
    return Snapshot("k" + ".".join(map(str, version)), "", version, "", {name: Layout(name, 8, leaves)}, {e.name: e for e in embedded}, {})


def ledger(*rows: dict[str, object], rules: list[dict[str, object]] | None = None, rest: dict[str, object] | None = None) -> Ledger:
    topic: dict[str, object] = {
        "struct": "s",
        "area": "files",
        "file": "fs/s.c",
        "about": "x",
        "origin": "structs/s.toml",
        "field": list(rows),
    }
    if rest:
        topic["rest"] = rest
    return Ledger({"structs": [topic], "enums": [], "flags": [], "facts": [], "rules": rules or [], "swept": {}}, "")


def row(name: str, decision: str, **more: object) -> dict[str, object]:
    return {"names": [name], "decision": decision, "why": "why", "source": "source", **more}


def test_every_verdict() -> None:
    def change(what: str, hint: str = "") -> Change:
        return Change(what, "struct", "s", "a", "int, 4 B", "long, 8 B", hint=hint)

    cases = [
        ("added", UNDECIDED, "silent"),
        ("added", Row(("a",), "undecided", "looked, and could not tell", ""), "silent"),
        ("added", CARRIED, "decided"),
        ("added", IGNORED.replace(by="rest"), "covered"),
        ("removed", CARRIED, "breaks"),
        ("removed", IGNORED, "gone"),
        ("removed", UNDECIDED, "undecided"),
        ("retyped", CARRIED, "check"),
        ("retyped", IGNORED, "changed"),
        ("renumbered", CARRIED, "breaks"),
        ("renumbered", IGNORED, "changed"),
        ("moved", CARRIED, "moved"),
    ]
    assert [judge.verdict(change(what), row) for what, row, _ in cases] == [verdict for _, _, verdict in cases]
    assert judge.verdict(change("removed", "b"), CARRIED) == "check"


def test_a_row_that_ends_between_the_kernels_says_that_the_change_was_seen() -> None:
    old, new = snapshot((6, 1), leaf("a"), leaf("b")), snapshot((6, 12), leaf("b"))
    seen = ledger(row("a", "carried", carried="fd.x.a", until="6.5"), row("b", "ignored"))
    assert [j.verdict for j in judge.judge(old, new, seen, NOBODY).all()] == ["decided"]
    unseen = ledger(row("a", "carried", carried="fd.x.a"), row("b", "ignored"))
    assert [j.verdict for j in judge.judge(old, new, unseen, NOBODY).all()] == ["breaks"]


def test_a_successor_that_carries_the_same_is_no_break() -> None:
    old, new = snapshot((6, 1), leaf("a")), snapshot((6, 12), leaf("b", "long"))
    rows = (row("a", "carried", carried="fd.x.a"), row("b", "carried", carried="fd.x.a"))
    found = judge.judge(old, new, ledger(*rows), NOBODY).all()
    assert [(j.change.part, j.verdict, j.change.hint) for j in found] == [("a", "decided", "s.b"), ("b", "decided", "")]
    rows = (row("a", "carried", carried="fd.x.a fd.x.c"), row("b", "carried", carried="fd.x.a"))
    assert judge.judge(old, new, ledger(*rows), NOBODY).counts()["breaks"] == 1


def test_a_new_field_names_the_rule_that_would_sweep_it_and_the_kinds_it_touches() -> None:
    rules: list[dict[str, object]] = [{"name": "link", "types": ["struct list_head"], "decision": "rebuilt", "why": "w", "source": "s"}]
    old, new = snapshot((6, 1), leaf("a")), snapshot((6, 12), leaf("a"), leaf("n", "struct list_head"))
    judgement = judge.judge(old, new, ledger(row("a", "ignored"), rules=rules), NOBODY)
    (finding,) = judge.findings(judgement, tests=lambda kind: [f"tests/{kind}.py"])
    assert (finding.verdict, finding.code, finding.severity, finding.where) == ("silent", "drift.struct.added", "high", "fs/s.c")
    assert finding.fact("would_be_swept_by") == "rule link"
    assert finding.fact("kinds") == "fd.x fd.y"
    assert finding.fact("tests") == "tests/fd.x.py tests/fd.y.py"
    assert "holdfast ledger sweep" in finding.do


def test_a_change_inside_an_embedded_struct_is_as_its_holders_are() -> None:
    was, now = Layout("inner", 4, (leaf("x"),)), Layout("inner", 8, (leaf("x"), leaf("y")))
    old, new = (snapshot(v, leaf("e", "struct inner", "inner"), embedded=(i,)) for v, i in (((6, 1), was), ((6, 12), now)))
    assert judge.judge(old, new, ledger(row("e", "rebuilt")), NOBODY).counts()["covered"] == 1
    assert judge.judge(old, new, ledger(row("e", "carried", carried="fd.x.e")), NOBODY).counts()["silent"] == 1
    assert judge.judge(old, new, ledger(), NOBODY).counts()["silent"] == 1


def test_many_changes_of_one_struct_are_one_massacre_and_none_is_lost() -> None:
    old = snapshot((6, 1), *(leaf(f"f{i}") for i in range(9)))
    new = snapshot((6, 12), *(leaf(f"g{i}", "char*") for i in range(9)))
    judgement = judge.judge(old, new, ledger(), NOBODY)
    (massacre,) = judgement.massacres
    assert (len(massacre.parts), judgement.singles, massacre.verdict) == (18, (), "silent")
    assert judgement.counts() == {**dict.fromkeys(judge.VERDICTS, 0), "silent": 9, "undecided": 9}


def test_a_type_replaced_everywhere_is_one_massacre() -> None:
    names = [f"f{i}" for i in range(judge.MASSACRE)]
    old, new = (snapshot(v, *(leaf(n, t) for n in names)) for v, t in (((6, 1), "struct page*"), ((6, 12), "struct folio*")))
    (massacre,) = judge.judge(old, new, ledger(*(row(n, "ignored") for n in names)), NOBODY).massacres
    assert massacre.title == "struct page*, 4 B -> struct folio*, 4 B: the type changed in many structs"


def test_changes_of_several_structs_of_one_file_are_one_massacre() -> None:
    def kernel(version: tuple[int, ...], *names: str) -> Snapshot:
        structs = {n: Layout(n, 8, tuple(leaf(f"{n}{i}{version[1]}") for i in range(2))) for n in names}
        return Snapshot("k" + ".".join(map(str, version)), "", version, "", structs, {}, {})

    topics = [{"struct": n, "area": "files", "file": "fs/s.c", "about": "x", "origin": "x"} for n in "abc"]
    book = Ledger({"structs": topics, "enums": [], "flags": [], "facts": [], "rules": [], "swept": {}}, "")
    (massacre,) = judge.judge(kernel((6, 1), "a", "b", "c"), kernel((6, 12), "a", "b", "c"), book, NOBODY).massacres
    assert (massacre.title, len(massacre.parts)) == ("fs/s.c: many fields of its structs changed", 12)
