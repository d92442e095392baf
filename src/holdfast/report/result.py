"""What a report is made of: results under verdict words, cases with their evidence, and the whole as one value."""

from __future__ import annotations

import hashlib

from holdfast.model.finding import SEVERITIES
from holdfast.model.record import Record, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.model.finding import Finding

OUTCOMES: tuple[str, ...] = ("pass", "fail", "known", "skip")
"""What a verdict is to a test runner. known: a limit that is named and does no harm; skip: says nothing about what was tested."""


class Word(Record):
    """A verdict word of a tool, and what it is to a test runner.

    Shape:   `outcome` is one of OUTCOMES
    """

    word: str
    outcome: str
    about: str


class Result(Record):
    """One thing that was tried on one engine.

    Shape:   `case` is the id of the case that it shows, or empty
    Unit:    took in ns
    """

    group: str  # the interface
    name: str
    engine: str
    verdict: str  # a word of the report
    note: str = ""  # the engine's own words, or why it says nothing
    case: str = ""
    took_ns: int = 0


class Evidence(Record):
    """One thing that was seen to change: where, what it was, what it is, and what was decided about it."""

    oracle: str
    path: str
    before: str
    after: str
    decision: str = ""
    source: str = ""
    signature: str = ""  # the place without what is only of this run: eventfd_ctx.flags


class Case(Record):
    """A finding, what proves it, and what shows it as well.

    Shape:   `shown_by` names results, the least first
    """

    finding: Finding
    evidence: tuple[Evidence, ...] = ()
    shown_by: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """A short name that stays the same as long as the finding is about the same thing."""
        f = self.finding
        body = f"{f.code}\0{f.subject}\0{f.engine}"
        return "F" + hashlib.sha256(body.encode(errors="surrogatepass")).hexdigest()[:10]


class Report(Record):
    """Everything that one run has to say.

    Shape:   `words` worst first; `cases` worst first; `results` sorted by group, name, engine; `gaps` is what was not looked at
    """

    tool: str
    title: str
    words: tuple[Word, ...]
    results: tuple[Result, ...]
    cases: tuple[Case, ...] = ()
    kernel: str = ""
    facts: tuple[tuple[str, str], ...] = field(default=())
    gaps: tuple[str, ...] = ()

    @property
    def engines(self) -> tuple[str, ...]:
        """Every engine that something was tried on, sorted."""
        return tuple(sorted({r.engine for r in self.results}))

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group, sorted."""
        return tuple(sorted({r.group for r in self.results}))

    def outcome(self, verdict: str) -> str:
        """What a verdict is to a test runner; a word that is not known fails."""
        return next((w.outcome for w in self.words if w.word == verdict), "fail")

    def counts(self, engine: str = "", group: str | None = None) -> dict[str, int]:
        """How many results of each word, worst first; words that nothing has are left out."""
        out = {w.word: 0 for w in self.words}
        for r in self.results:
            if (not engine or r.engine == engine) and (group is None or r.group == group):
                out[r.verdict] = out.get(r.verdict, 0) + 1
        return {word: n for word, n in out.items() if n}

    @property
    def verdict(self) -> str:
        """FOUND where a result or a case fails, UNKNOWN where nothing was tried, else OK."""
        if any(self.outcome(r.verdict) == "fail" for r in self.results) or self.cases:
            return "FOUND"
        return "OK" if any(self.outcome(r.verdict) != "skip" for r in self.results) else "UNKNOWN"


def worst_first(cases: list[Case]) -> tuple[Case, ...]:
    """Cases by severity, then subject and engine."""
    return tuple(sorted(cases, key=lambda c: (-SEVERITIES.index(c.finding.severity), c.finding.subject, c.finding.engine, c.finding.code)))
