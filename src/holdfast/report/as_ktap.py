"""Results as KTAP version 1, what kselftest, KUnit's parser and KernelCI read: nested tests with their diagnostics.

Source:  Documentation/dev-tools/ktap.rst
"""

from __future__ import annotations

from holdfast.model.record import Record
from holdfast.report.plain import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.report.result import Case, Report, Result


class Test(Record):
    """One test: its name, how it ended, what else to say, and the tests inside it.

    Shape:   `directive` is empty, SKIP, XFAIL, TODO, TIMEOUT or ERROR; a test that holds others fails when one of them does and is
             skipped when all of them are, whatever is given
    """

    __test__ = False  # no test of ours
    name: str
    ok: bool = True
    directive: str = ""
    note: str = ""
    diagnostics: tuple[str, ...] = ()
    inside: tuple[Test, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it, and everything inside it, is ok."""
        return all(t.passed for t in self.inside) if self.inside else self.ok

    @property
    def word(self) -> str:
        """Its directive; SKIP where everything inside it is skipped."""
        if self.inside:
            return "SKIP" if all(t.word == "SKIP" for t in self.inside) else ""
        return self.directive


def render(tests: Iterable[Test]) -> str:
    """The tests as a KTAP document."""
    return "\n".join(_level(tuple(tests), "")) + "\n"


def of(report: Report) -> str:
    """A report: a test for each group, in it one for each result; engines around them where there are several."""
    engines = report.engines
    if len(engines) == 1:
        return render(_groups(report, engines[0]))
    return render(Test(engine, inside=tuple(_groups(report, engine))) for engine in engines)


def _groups(report: Report, engine: str) -> Iterator[Test]:
    cases = {c.id: c for c in report.cases}
    groups: dict[str, list[Result]] = {}
    for r in report.results:
        if r.engine == engine:
            groups.setdefault(r.group, []).append(r)
    for group, results in groups.items():
        yield Test(group, inside=tuple(_test(report, r, cases.get(r.case)) for r in results))


def _test(report: Report, r: Result, case: Case | None) -> Test:
    outcome = report.outcome(r.verdict)
    directive = {"skip": "SKIP", "known": "XFAIL"}.get(outcome, "")
    note = f"{r.verdict}: {r.note}" if r.note else "" if outcome == "pass" else r.verdict
    said: list[str] = []
    if outcome == "fail" and case is not None:
        f = case.finding
        said = [f"{case.id} {f.severity}: {f.what}"]
        # a result that another one stands for says so; what was seen, and how to see it again, belong to the least
        if case.shown_by[:1] in ((r.name,), ()):
            said += [f"{e.oracle} {e.path}: {e.before} before, {e.after} after" for e in case.evidence]
            said += [f"again: {part}" for part in f.reproducer.splitlines()]
        else:
            said += [f"as {case.shown_by[0]}"]
    return Test(r.name, outcome != "fail", directive, note, tuple(said))


def _level(tests: tuple[Test, ...], indent: str) -> Iterator[str]:
    yield f"{indent}KTAP version 1"
    yield f"{indent}1..{len(tests)}"
    for number, test in enumerate(tests, 1):
        if test.inside:
            yield from _level(test.inside, indent + "  ")
        yield from (f"{indent}# {line(text, 500)}" for text in test.diagnostics)
        yield _result(number, test, indent)


def _result(number: int, test: Test, indent: str) -> str:
    rest = " ".join(part for part in (test.word, line(test.note, 300)) if part)
    # a description cannot hold the sign that ends it
    name = " ".join(line(test.name).replace("#", "_").split())
    return f"{indent}{'ok' if test.passed else 'not ok'} {number} {name}" + (f" # {rest}" if rest else "")
