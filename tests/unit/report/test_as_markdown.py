"""A report as Markdown."""

from __future__ import annotations

from holdfast.report import as_markdown
from holdfast.report.result import Evidence
from tests.unit.report import sample


def test_what_only_kernel_structs_show_stands_apart_from_what_programs_see() -> None:
    report = sample.report()
    lines = as_markdown.render(report).splitlines()
    hidden = lines[lines.index("## Silent changes that only kernel structs show") :]
    assert "| 1 | high | `eventfd_ctx.flags` | `criu:4.2` | `1` | `0` | `eventfd/EFD_SEMAPHORE` and 1 more |" in hidden
    [_, flags] = report.cases
    seen = flags.replace(evidence=(*flags.evidence, Evidence("behaviour", "after[0] read($fd, [8], 8)", "8 01", "8 03")))
    text = as_markdown.render(report.replace(cases=(seen,)))
    assert "| [1](#1) | high | `eventfd_ctx.flags` | `criu:4.2` | `eventfd/EFD_SEMAPHORE` and 1 more |" in text
    table = text[text.index("| oracle |") :].splitlines()
    assert table[2].startswith("| `behaviour` | `after[0] read($fd, [8], 8)` | `8 01` | `8 03` |")
    assert table[3].startswith("| `kernel` |")
    assert "make fd = eventfd2(0, 1)" in text


def test_one_subject_on_two_engines_is_one_case() -> None:
    report = sample.report()
    [_, flags] = report.cases
    seen = flags.replace(evidence=(Evidence("getter", "get[0]", "1", "0"),))
    other = seen.replace(finding=seen.finding.replace(engine="criu:4.1"))
    text = as_markdown.render(report.replace(cases=(seen, other)))
    assert text.count("### ") == 1
    assert "`criu:4.2, criu:4.1`" in text


def test_loud_failures_are_listed_last() -> None:
    text = as_markdown.render(sample.report())
    assert "`failed: it is gone`" not in text
    assert "| 2 | `failed`: `it is gone` | `criu:4.2` | `prctl/PR_SET_NO_NEW_PRIVS=1` |" in text[text.index("## Loud failures") :]


def test_hostile_text_makes_no_line_no_cell_and_no_tag() -> None:
    text = as_markdown.render(sample.hostile())
    assert not [c for c in text if c != "\n" and (ord(c) < 32 or c in "\x7f\u202e\udcff")]
    assert not [line for line in text.splitlines() if line.startswith("not ok")]
    fences = text.split("\n```\n")
    assert len(fences) % 2 == 1
    for line in "\n".join(fences[::2]).splitlines():
        bare = "".join(line.split("`")[::2])  # what is not in code
        assert "<script" not in bare
        assert "<img" not in bare
