"""Rows x kernel config, boot parameters, sysctls and runtime keys: findings, one for each row that has something to say.

A row speaks when one of its names is on (or, for what an engine needs, off). Where several verdicts hold, the worst counts. Whatever no
row speaks about, and whatever cannot be read, is UNKNOWN, and UNKNOWN is never OK.
"""

from __future__ import annotations

from holdfast.kernel.release import within
from holdfast.model.finding import Finding
from holdfast.model.record import Record
from holdfast.tags.row import READ_AT, On

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.kernel.kconfig import Config
    from holdfast.tags.row import Tag
    from holdfast.tags.table import Table

ORDER: tuple[str, ...] = ("OK", "PARTIAL", "UNTESTED", "UNKNOWN", "UNSAFE")
WORDS = {"safe": "OK", "partial": "PARTIAL", "unsafe": "UNSAFE", "untested": "UNTESTED"}
# A silent loss is worse than any refusal; a refusal is only a limit.
_SEVERITY = {
    "none": "none",
    "carried": "none",
    "refused": "low",
    "unknown": "low",
    "told": "low",
    "failed": "medium",
    "unseen": "high",
    "missing": "high",
    "lost": "high",
}
# What to do where a row does not say it better.
_DO = {
    "refused": "end the use before a dump",
    "failed": "end the use before a dump",
    "unseen": "give the kernel-state reader its privilege (root, BPF), or do not use it in what is to be dumped",
    "missing": "build the kernel with it",
    "lost": "set it again after a restore, or compare it before trusting the restore",
    "told": "see the kind's Loses in docs/kinds.md; set it again after a restore where it matters",
    "unknown": "try it on a copy and compare; add what you find with holdfast tags add",
}
_SHOWN = 6  # names in one sentence


class Judged(Record):
    """What was judged and how.

    Shape:   `findings` sorted from the worst verdict; `options` maps each option of a config to its verdict; `counts` counts options, or
             rows where there is no config
    """

    engine: str
    kernel: str
    verdict: str
    findings: tuple[Finding, ...]
    options: dict[str, str]
    counts: dict[str, int]
    gaps: tuple[str, ...] = ()


def judge(findings: Iterable[Finding], engine: str, kernel: str, options: dict[str, str], gaps: Sequence[str] = ()) -> Judged:
    """Findings joined to one answer; its verdict is the worst."""
    ordered = sorted(findings, key=lambda f: (-ORDER.index(f.verdict), -_rank(f), f.code, f.subject))
    words = list(options.values()) or [f.verdict for f in ordered]
    counts = {word: words.count(word) for word in ORDER}
    worst = max((f.verdict for f in ordered), key=ORDER.index, default="UNKNOWN")
    if gaps and ORDER.index(worst) < ORDER.index("UNKNOWN"):
        worst = "UNKNOWN"
    return Judged(engine, kernel, worst, tuple(ordered), options, counts, tuple(gaps))


def _rank(finding: Finding) -> int:
    return ("none", "low", "medium", "high", "critical").index(finding.severity)


def config(config: Config, table: Table, scopes: Mapping[str, str], engine: str, kernel: str = "", version: str = "") -> Judged:
    """Every option of a kernel config.

    Shape:   `scopes` maps an option to the Kconfig files that declare it; `kernel` defaults to the config's release and the engine's
             `version` to READ_AT
    """
    kernel = kernel or config.release
    values = config.values
    doubtful = config.clashing | config.broken
    spaces: dict[str, tuple[int, ...]] = {}
    own = table.names["kconfig"]
    on: dict[int, list[str]] = {}
    rows_of: dict[str, Sequence[int]] = {}
    number = {id(row): i for i, row in enumerate(table.rows)}
    options: dict[str, str] = {}
    unknown: list[str] = []
    for name, value in values.items():
        if name in own:
            rows: Sequence[int] = [number[id(r)] for r in table.of_option(name, scopes.get(name, ""))]
        else:
            path = scopes.get(name)
            if path is None:
                unknown.append(name)
                options[name] = "UNKNOWN"
                continue
            cached = spaces.get(path)
            if cached is None:
                cached = spaces[path] = tuple(number[id(r)] for r in table.under(path))
            rows = cached
        if not rows:
            unknown.append(name)
            options[name] = "UNKNOWN"
            continue
        rows_of[name] = rows
        if value != "n" and name not in doubtful:
            for i in rows:
                on.setdefault(i, []).append(name)
    judged: list[tuple[str, str]] = []  # verdict when on, when off
    findings: list[Finding] = []
    for i, row in enumerate(table.rows):
        if row.kind not in {"kconfig", "space"}:
            judged.append(("OK", "OK"))
            continue
        words, found = _of_row(row, engine, kernel, version, on.get(i, []), config)
        judged.append(words)
        if found is not None:
            findings.append(found)
    for name, rows in rows_of.items():
        if name in doubtful:
            options[name] = "UNKNOWN"
        elif len(rows) == 1:
            options[name] = judged[rows[0]][values[name] == "n"]
        else:
            options[name] = max((judged[i][values[name] == "n"] for i in rows), key=ORDER.index)
    if unknown:
        what = f"{len(unknown)} options are declared by no known kernel: {_names(unknown)}"
        do = "give the kernel's own tree with --tree, or add rows"
        findings.append(
            _unknown("tags.kconfig.unknown", "unknown options", what, "neither the snapshot nor a row names them", do, engine, kernel)
        )
    if doubtful:
        what = f"{len(doubtful)} options have two values, or one that no type allows: {_names(sorted(doubtful))}"
        do = "make the config anew with make olddefconfig"
        findings.append(
            _unknown(
                "tags.kconfig.doubtful", "doubtful options", what, "which value the builder meant is not ours to guess", do, engine, kernel
            )
        )
    return judge(findings, engine, kernel, options, config.gaps)


# The verdicts of one row's options when on and when off, and its finding if it speaks.
def _of_row(row: Tag, engine: str, kernel: str, version: str, on: list[str], config: Config) -> tuple[tuple[str, str], Finding | None]:
    verdicts = [(o, _holds(o, engine, kernel, version)) for o in row.of(engine)]
    if _is_silent(row, verdicts):
        return ("OK", "OK"), None
    if not verdicts:
        word = "UNTESTED"
        if not on:
            return (word, "OK"), None
        return (word, "OK"), _finding(row, On("untested", "unknown", "no row about this engine"), on, engine, kernel)
    if_on = [(o, h) for o, h in verdicts if o.when == "set"]
    if_off = [(o, h) for o, h in verdicts if o.when == "unset"]
    best_on = _worst(if_on, "UNKNOWN")
    best_off = _worst(if_off, "OK")
    off = [n for n in row.scope if config.state(n) == "n"] if if_off and row.kind == "kconfig" else []
    dark = [n for n in row.scope if config.state(n) is None] if row.kind == "kconfig" else []
    speaking: list[tuple[On, str, list[str]]] = []
    if on and best_on[1] is not None:
        speaking.append((best_on[1], best_on[0], on))
    if off and best_off[1] is not None:
        speaking.append((best_off[1], best_off[0], off))
    found = None
    if dark and (if_off or best_on[0] != "OK"):
        word = "UNKNOWN"
        if not any(ORDER.index(w) > ORDER.index(word) for _, w, _ in speaking):
            what = f"cannot be read from this config: {_names(dark)}"
            found = Finding(
                f"tags.{row.kind}.unknown",
                row.name,
                word,
                "medium",
                what,
                "",
                row.why,
                row.source,
                row.do,
                "",
                engine,
                kernel,
                row.evidence,
            )
    if found is None and speaking:
        chosen = max(speaking, key=lambda s: (ORDER.index(s[1]), _SEVERITY[s[0].effect]))
        found = _finding(row, chosen[0], chosen[2], engine, kernel, chosen[1])
    return (best_on[0], best_off[0]), found


# What was discovered speaks only about the engine and the kernels that it was seen on.
def _is_silent(row: Tag, verdicts: Sequence[tuple[On, bool | None]]) -> bool:
    return row.evidence == "discovered" and all(holds is False for _, holds in verdicts)


# A range of kernels needs a release; without one the answer is not known.
def _holds(on: On, engine: str, kernel: str, version: str) -> bool | None:
    if on.kernel:
        if not kernel:
            return None
        if not within(kernel, on.kernel):
            return False
    if on.version:
        version = version or READ_AT.get(engine, "")
        return within(version, on.version) if version else None
    return True


# The worst verdict that holds. One that may hold (its range cannot be checked) counts as UNKNOWN unless it would be OK anyway.
def _worst(verdicts: list[tuple[On, bool | None]], empty: str) -> tuple[str, On | None]:
    best: tuple[str, On | None] = (empty, None)
    for on, holds in verdicts:
        if holds is False:
            continue
        word = WORDS[on.verdict] if holds or len(verdicts) == 1 or on.verdict == "safe" else "UNKNOWN"
        if best[1] is None or ORDER.index(word) > ORDER.index(best[0]):
            best = (word, on)
    return best


def _finding(row: Tag, on: On, names: Sequence[str], engine: str, kernel: str, word: str = "", value: str = "") -> Finding:
    word = word or WORDS[on.verdict]
    severity = (
        "medium" if word == "UNKNOWN" else on.severity or ("low" if word == "PARTIAL" and on.effect == "missing" else _SEVERITY[on.effect])
    )
    what = on.why or row.why
    facts: tuple[tuple[str, str], ...] = (("effect", on.effect), ("names", " ".join(names)), ("proof", row.proof))
    if value:
        facts = (*facts, ("value", value))
    why = row.why if on.why else ""
    return Finding(
        f"tags.{row.kind}.{word.lower()}",
        row.name,
        word,
        severity,
        what,
        _names(names) + (f" = {value}" if value else ""),
        why,
        row.source,
        "" if word == "OK" else row.do or _DO.get(on.effect, ""),
        row.reproducer,
        engine,
        kernel,
        row.evidence,
        facts,
    )


def _unknown(code: str, subject: str, what: str, why: str, do: str, engine: str, kernel: str) -> Finding:
    return Finding(code, subject, "UNKNOWN", "medium", what, "", why, "", do, "", engine, kernel, "known")


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def matches(when: str, values: Sequence[str]) -> bool:
    """Whether any of some values meets a condition: set, =0,off, !=1, >=2, <=3; a comparison of what is no number holds never."""
    if when == "set":
        return bool(values)
    if when[:2] in {">=", "<="}:
        limit = int(when[2:])
        return any(
            v.lstrip("-").isdigit() and (int(v) >= limit if when[0] == ">" else int(v) <= limit) for v in (v.split(" ")[0] for v in values)
        )
    negative = when.startswith("!=")
    wanted = set(when.lstrip("!=").split(","))
    parts = {p for v in values for p in (v, *v.split(","))}
    return bool(values) and (not parts & wanted if negative else bool(parts & wanted))


def cmdline(params: Mapping[str, tuple[str, ...]], table: Table, engine: str, kernel: str = "", version: str = "") -> Judged:
    """Every parameter of a boot command line."""
    findings = []
    unknown = []
    for name, values in params.items():
        rows = table.names["cmdline"].get(name) or table.names["cmdline"].get(name.replace("_", "-"))
        if rows is None:
            unknown.append(name)
            continue
        findings += [f for row in rows if (f := _setting(row, name, values or ("",), engine, kernel, version)) is not None]
    if unknown:
        what = f"{len(unknown)} boot parameters have no row: {_names(unknown)}"
        why = "what the kernel does not know it hands to init; a module's parameter has its dot"
        findings.append(_unknown("tags.cmdline.unknown", "unknown parameters", what, why, "add a row, or leave it out", engine, kernel))
    return judge(findings, engine, kernel, {}) if findings else Judged(engine, kernel, "OK", (), {}, dict.fromkeys(ORDER, 0))


def sysctl(known: Mapping[str, str], missing: Mapping[str, str], table: Table, engine: str, kernel: str = "", version: str = "") -> Judged:
    """Every sysctl that a row names, as this kernel has it."""
    findings = []
    for name, rows in table.names["sysctl"].items():
        for row in rows:
            if name in known:
                found = _setting(row, name, (known[name],), engine, kernel, version)
                findings += [] if found is None else [found]
            else:
                absent = [o for o in row.of(engine) if o.when == "absent"]
                why = missing.get(name, "not asked")
                if why == "absent" and absent:
                    findings.append(_finding(row, absent[0], (name,), engine, kernel, "", why))
                else:
                    what = f"{name} cannot be read: {why}"
                    findings.append(_unknown("tags.sysctl.unknown", row.name, what, row.why, "read it as root", engine, kernel))
    return judge(findings, engine, kernel, {})


# One parameter or sysctl: the worst verdict whose condition its value meets, or OK.
def _setting(row: Tag, name: str, values: Sequence[str], engine: str, kernel: str, version: str) -> Finding | None:
    mine = row.of(engine)
    if _is_silent(row, [(o, _holds(o, engine, kernel, version)) for o in mine]):
        return None
    holding = [(o, _holds(o, engine, kernel, version)) for o in mine if o.when not in {"absent", "unset"} and matches(o.when, values)]
    word, on = _worst(holding, "OK" if mine else "UNTESTED")
    shown = ",".join(values)
    if on is None:
        why = "this value does no harm" if mine else "no row about this engine"
        on = On("safe" if mine else "untested", "none" if mine else "unknown", why)
    return _finding(row, on, (name,), engine, kernel, word, shown)


def process(keys: Iterable[str], table: Table, engine: str, kernel: str = "", version: str = "") -> Judged:
    """Every runtime key that a process uses; a key that no row names is UNKNOWN.

    Shape:   keys as facts/descriptors.py explains them; fd:chr:MAJOR:MINOR also matches fd:chr:MAJOR, sock:FAMILY/TYPE... also sock:FAMILY
    """
    rows_of = table.names["runtime"]
    used: dict[int, list[str]] = {}
    unknown = []
    number = {id(row): i for i, row in enumerate(table.rows)}
    for key in dict.fromkeys(keys):
        rows = next((rows_of[k] for k in _wider(key) if k in rows_of), None)
        if rows is None:
            unknown.append(key)
        else:
            for row in rows:
                used.setdefault(number[id(row)], []).append(key)
    findings = []
    for i, names in used.items():
        row = table.rows[i]
        mine = [(o, _holds(o, engine, kernel, version)) for o in row.of(engine)]
        if _is_silent(row, mine):
            continue
        word, on = _worst(mine, "UNTESTED")
        findings.append(_finding(row, on or On("untested", "unknown", "no row about this engine"), names, engine, kernel, word))
    for key in unknown:
        what = f"{key} is in use and no row names it"
        findings.append(
            _unknown("tags.runtime.unknown", key, what, "what nobody knows is not safe", "report it; a row is one line", engine, kernel)
        )
    return judge(findings, engine, kernel, {}) if findings else Judged(engine, kernel, "OK", (), {}, dict.fromkeys(ORDER, 0))


# From the key itself to the families it belongs to.
def _wider(key: str) -> list[str]:
    out = [key]
    kind, _, rest = key.partition(":")
    if kind == "sock":
        base = rest.split(":")[0]
        while "/" in base:
            out.append(f"sock:{base}")
            base = base.rpartition("/")[0]
        out.append(f"sock:{base}")
    elif key.startswith("fd:chr:"):
        parts = key.split(":")
        out += [":".join(parts[:n]) for n in range(len(parts) - 1, 2, -1)]
    elif key.startswith("fd:on:"):
        out.append("fd:on")
    elif kind == "vma" and rest.startswith(("[anon:", "[anon_shmem:", "/SYSV")):
        out.append("vma:/SYSV" if rest[0] == "/" else f"vma:{rest.split(':')[0]}:]")
    return out
