"""A strict reader of KTAP, written from Documentation/dev-tools/ktap.rst, so that what we write is read by somebody else's rules."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

RESULT = re.compile(r"(ok|not ok) (\d+)(?: ([^#]*?))?(?: # ?(?:(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b ?)?(.*))?$")


@dataclass
class Read:
    """One test as it was read."""

    ok: bool
    name: str
    directive: str
    note: str
    diagnostics: list[str]
    inside: list[Read] = field(default_factory=list)


def read(text: str) -> list[Read]:
    """The tests of a document; an assertion fails where a line is not what the rules want."""
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    tests, at = _level(lines, 0, "")
    assert at == len(lines), f"left over: {lines[at]}"
    return tests


def _level(lines: list[str], at: int, indent: str) -> tuple[list[Read], int]:
    assert lines[at] == f"{indent}KTAP version 1"
    plan = re.fullmatch(rf"{indent}1\.\.(\d+)", lines[at + 1])
    assert plan is not None, lines[at + 1]
    at += 2
    tests: list[Read] = []
    inside: list[Read] = []
    said: list[str] = []
    while len(tests) < int(plan[1]):
        line = lines[at]
        if line == f"{indent}  KTAP version 1":
            assert not inside
            inside, at = _level(lines, at, indent + "  ")
            continue
        assert line.startswith(indent), line
        line = line[len(indent) :]
        at += 1
        if line.startswith("# "):
            said.append(line[2:])
            continue
        found = RESULT.match(line)
        assert found is not None, line
        ok, number, name, directive, note = found.groups()
        assert int(number) == len(tests) + 1
        test = Read(ok == "ok", name or "", directive or "", note or "", said, inside)
        # a test fails if any of its subtests fail
        assert not inside or test.ok == all(t.ok for t in inside)
        tests.append(test)
        inside, said = [], []
    return tests, at
