"""A small report, and one whose every text is hostile."""

from __future__ import annotations

from holdfast.model.finding import Finding
from holdfast.report.result import Case, Evidence, Report, Result, Word, worst_first

WORDS = (
    Word("lost", "fail", "gone without a word"),
    Word("failed", "fail", "failed loudly"),
    Word("refused", "known", "refused by name"),
    Word("kept", "pass", "as it was"),
    Word("blind", "skip", "nobody sees it"),
    Word("unsettable", "skip", "cannot be made"),
)

EVIL = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(1)> ]]> & # {{ 7*7 }} \x1b[31m\0\u202e\udcff\r\nnot ok 9"


def finding(subject: str, engine: str, severity: str = "high", verdict: str = "lost", text: str = "it is gone") -> Finding:
    return Finding(
        f"hunt.{verdict}",
        subject,
        verdict,
        severity,
        text,
        where="ledger/structs/eventfd.toml",
        why="the ledger says carried",
        source="eventfd(2)",
        do="carry it",
        reproducer="# hunt recipe 1\nname a\nmake fd = eventfd2(0, 1)\n",
        engine=engine,
        kernel="6.18",
        facts=(("file", "src/holdfast/kinds/fd/eventfd.py"), ("signature", subject)),
    )


def report() -> Report:
    """Two engines, three interfaces, two cases."""
    flags = Case(
        finding("eventfd_ctx.flags", "criu:4.2"),
        (Evidence("kernel", "leader.files.fd[3].private.flags", "1", "0", "carried", "eventfd_ctx.flags"),),
        ("eventfd/EFD_SEMAPHORE", "eventfd/EFD_SEMAPHORE@1"),
    )
    seal = Case(finding("prctl/PR_SET_NO_NEW_PRIVS", "criu:4.2", "critical", "failed"), (), ("prctl/PR_SET_NO_NEW_PRIVS=1",))
    results = (
        Result("eventfd", "eventfd/EFD_SEMAPHORE", "criu:4.2", "lost", "", flags.id, 1_500_000_000),
        Result("eventfd", "eventfd/EFD_SEMAPHORE", "native", "kept", "", "", 10_000_000),
        Result("eventfd", "eventfd/EFD_SEMAPHORE@1", "criu:4.2", "lost", "", flags.id),
        Result("io_uring", "io_uring/setup", "criu:4.2", "kept"),
        Result("io_uring", "io_uring/setup", "native", "refused", "refused.fd.io_uring: fd 3"),
        Result("prctl", "prctl/PR_SET_NO_NEW_PRIVS=1", "criu:4.2", "failed", "restore died", seal.id),
        Result("prctl", "prctl/PR_SET_TSC=2", "native", "blind", "no oracle sees it"),
        Result("prctl", "prctl/PR_X=1", "native", "unsettable", "EINVAL"),
    )
    return Report("hunt", "A hunt", WORDS, results, worst_first([flags, seal]), "6.18", (("rounds", "8"),), ("kernel structs",))


def hostile() -> Report:
    """Every text that a subject, an engine or a recipe can choose is hostile."""
    evil = Finding("hunt.lost", EVIL, EVIL, "critical", EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, ((EVIL, EVIL),))
    case = Case(evil, (Evidence(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL),), (EVIL, EVIL + "2"))
    results = (Result(EVIL, EVIL, EVIL, "lost", EVIL, case.id), Result(EVIL, EVIL, EVIL + "2", EVIL, EVIL))
    return Report("hunt", EVIL, WORDS, results, (case,), EVIL, ((EVIL, EVIL),), (EVIL,))
