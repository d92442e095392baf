"""A report as JUnit XML, what Jenkins, GitLab and GitHub readers take: a suite for each engine and group.

Source:  https://github.com/testmoapp/junitxml
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from holdfast.report.plain import block, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.report.result import Case, Report, Result


def render(report: Report) -> str:
    """The report: what fails is a failure, what is a named limit or says nothing is skipped."""
    cases = {c.id: c for c in report.cases}
    root = ET.Element("testsuites", name=line(report.title))
    suites: dict[tuple[str, str], list[Result]] = {}
    for r in report.results:
        suites.setdefault((r.engine, r.group), []).append(r)
    for (engine, group), results in sorted(suites.items()):
        _suite(root, report, f"{line(engine)}/{line(group)}", results, cases)
    _sum(root, report, list(report.results))
    ET.indent(root)
    # characters beyond ASCII as references: no reader guesses an encoding wrong
    data: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return data.decode("ascii") + "\n"


def _sum(element: ET.Element, report: Report, results: list[Result]) -> None:
    outcomes = [report.outcome(r.verdict) for r in results]
    element.set("tests", str(len(results)))
    element.set("failures", str(outcomes.count("fail")))
    element.set("errors", "0")
    element.set("skipped", str(outcomes.count("skip") + outcomes.count("known")))
    element.set("time", _seconds(sum(r.took_ns for r in results)))


def _suite(root: ET.Element, report: Report, name: str, results: list[Result], cases: dict[str, Case]) -> None:
    suite = ET.SubElement(root, "testsuite", name=name)
    _sum(suite, report, results)
    kernel = (("kernel", report.kernel),) if report.kernel else ()
    if kernel or report.facts:
        properties = ET.SubElement(suite, "properties")
        for key, value in (*kernel, *report.facts):
            ET.SubElement(properties, "property", name=line(key), value=line(value))
    for r in results:
        test = ET.SubElement(suite, "testcase", classname=name.replace("/", "."), name=line(r.name), time=_seconds(r.took_ns))
        outcome = report.outcome(r.verdict)
        said = f"{r.verdict}: {r.note}" if r.note else r.verdict
        if outcome in ("skip", "known"):
            ET.SubElement(test, "skipped", message=line(said, 500))
        elif outcome == "fail":
            case = cases.get(r.case)
            message = case.finding.what if case is not None else said
            failure = ET.SubElement(test, "failure", type=line(r.verdict), message=line(message, 500))
            failure.text = block(_details(case)) if case is not None else line(said)


def _details(case: Case) -> str:
    f = case.finding
    lines = [f"{case.id} {f.severity} {f.subject}"]
    lines += [f"{name}: {value}" for name, value in (("where", f.where), ("why", f.why), ("source", f.source), ("do", f.do)) if value]
    lines += [f"{e.oracle} {e.path}: {e.before} before, {e.after} after" for e in case.evidence]
    return "\n".join([*lines, f.reproducer])


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.3f}"
