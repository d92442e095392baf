"""Is it the same bug? Rounds that lost, failed or were flaky become cases: one for each signature, verdict and engine.

A round's proofs name what was lost: kernel fields, keys of /proc, getters, behaviour. One loss shows in several of them, and two losses
may share one (a flags word). So rounds are taken the least first (fewest signatures, then the shortest recipe), and each signature
belongs to the first case that had it. A round whose signatures all belong to cases is counted to them; what is left over makes a
new case. Every signature of every round is thus in one case, none is in two, and the first round of a case is its least recipe.

A failure has no proofs: its signature is what the engine said, without numbers, addresses and paths.
"""

from __future__ import annotations

import re

from holdfast.errors import HoldfastError
from holdfast.hunt import touched
from holdfast.hunt.recipe import parse
from holdfast.hunt.verdict import ORACLES, VERDICTS
from holdfast.model.finding import Finding
from holdfast.report.plain import line
from holdfast.report.result import Case, Evidence, Report, Result, Word, worst_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from holdfast.drift.ledger import Ledger
    from holdfast.hunt.recipe import Recipe
    from holdfast.hunt.verdict import Proof, Round

FOUND = ("lost", "failed", "flaky")
JOIN = " + "  # between the interfaces of a combination, as hunt/draw.py joins them
WORDS: tuple[Word, ...] = (
    Word("lost", "fail", "gone after the restore without a word"),
    Word("failed", "fail", "the engine said no in the middle, or what came back died"),
    Word("flaky", "fail", "lost, and not when tried again: its own answer, never a pass"),
    Word("refused", "known", "refused by name, before anything was touched"),
    Word("told", "known", "gone, and the engine named the loss in its answer to the dump"),
    Word("kept", "pass", "every oracle says that it is as it was"),
    Word("blind", "skip", "no oracle sees the state, so nothing is said"),
    Word("unsettable", "skip", "this kernel or user cannot make the state"),
)
assert tuple(w.word for w in WORDS) == VERDICTS

SECURITY: tuple[tuple[str, str], ...] = (
    (r"seccomp(_filter)?\.|task_struct\.(atomic_flags|seccomp)|status-keys\.(Seccomp|NoNewPrivs)", "a sandbox"),
    (r"landlock_|.*\.security\b|proc\.attr/", "a sandbox"),
    (r"syscall_user_dispatch\.", "a sandbox"),
    (r"cred\.|cred_security|group_info\.|status-keys\.(Cap|Uid|Gid|Groups)|key\.|user_namespace\.", "a credential"),
    (r"rlimit\.|limits\.|signal_struct\.rlim", "a limit"),
    (r"(shmem|hugetlbfs)_inode_info\.seals|fcntl F_GET_SEALS", "a seal"),
    (r"task_struct\.thread\.features|thread_shstk\.|mm_struct\.context\.pkey", "a protection"),
    (r"status-keys\.(Speculation|x86_Thread_features)", "a protection"),
)
"""Signatures of what keeps a process in, and what it is: losing it is critical whatever the recipe was after.

Source: prctl(2), seccomp(2), landlock(7), capabilities(7), getrlimit(2), fcntl_locking(2), memfd_create(2)"""

_NOISE = re.compile(r"0x[0-9a-fA-F]+|\d+|/(?:[\w.+@:-]+/)*[\w.+@:-]+")


class _Grouped:
    # one case on its way: the rounds that show it, the least first, and the signatures that it owns
    def __init__(self, engine: str, verdict: str, keys: list[str]) -> None:
        self.engine, self.verdict, self.keys = engine, verdict, keys
        self.rounds: list[Round] = []


def report(
    rounds: Iterable[Round], ledger: Ledger | None = None, facts: Mapping[str, str] | None = None, gaps: Iterable[str] = ()
) -> Report:
    """Everything that rounds have to say, as a value that every format is written from.

    Shape:   `facts` is what else a reader should know: when, which options; `ledger` says what was decided about a field
    """
    listed = list(rounds)
    cases, owners = _cases(listed, ledger)
    results = [
        Result(
            group_of(r.interface),
            r.recipe,
            r.engine,
            r.verdict,
            _note(r),
            owners.get((r.engine, r.key), ""),
            r.took_ns,
        )
        for r in sorted(listed, key=lambda r: (group_of(r.interface), r.recipe, r.engine))
    ]
    versions = sorted({(r.engine, r.version) for r in listed})
    known = {**(facts or {}), **{engine: version for engine, version in versions if version and version not in engine}}
    kernels = ", ".join(sorted({r.kernel for r in listed}))
    return Report("hunt", "What checkpoint/restart loses", WORDS, tuple(results), cases, kernels, tuple(known.items()), tuple(gaps))


def group_of(interface: str) -> str:
    """Where a reader looks for a recipe: its interface; combinations of as many parts stand together."""
    parts = interface.count(JOIN) + 1
    return f"combinations of {parts}" if parts > 1 else interface


def cases(rounds: Iterable[Round], ledger: Ledger | None = None) -> tuple[Case, ...]:
    """The cases of rounds, worst first."""
    return _cases(list(rounds), ledger)[0]


def least_of(rounds: Iterable[Round]) -> Iterator[tuple[str, str, Round]]:
    """Of each loss: the engine, the name that a smaller recipe must lose as well, and its least round; in the order of finding."""
    for group in _group(r for r in rounds if r.verdict == "lost"):
        names = [key for key in by_looking(group.rounds[0]) if key in group.keys]
        yield group.engine, names[0], group.rounds[0]


def by_looking(r: Round) -> list[str]:
    """As keys_of, but first what is seen without a line of the recipe: a smaller recipe need not keep its getters for it."""
    order = ("kernel", "proc", "memory", "getter", "behaviour")
    ranked = sorted(r.proofs, key=lambda p: (order.index(p.oracle) if p.oracle in order else len(order), _rank(p)))
    return list(dict.fromkeys(_key(p, r.interface) for p in ranked)) or keys_of(r)


def _cases(rounds: list[Round], ledger: Ledger | None) -> tuple[tuple[Case, ...], dict[tuple[str, str], str]]:
    grouped = _group(r for r in rounds if r.verdict in FOUND)
    found: list[Case] = []
    owners: dict[tuple[str, str], str] = {}
    for group in grouped:
        case = _case(group, ledger)
        found.append(case)
        for r in group.rounds:
            owners.setdefault((r.engine, r.key), case.id)
    return worst_first(found), owners


def _note(r: Round) -> str:
    return line(r.said or next((value for key, value in r.facts if key == "warned"), ""), 500)


def _group(rounds: Iterable[Round]) -> list[_Grouped]:
    order = sorted(rounds, key=lambda r: (len(keys_of(r)), r.text.count("\n"), len(r.text), r.recipe, r.key, r.engine))
    owner: dict[tuple[str, str, str], _Grouped] = {}
    out: list[_Grouped] = []
    for r in order:
        ranked = keys_of(r)
        mine = {id(g): g for key in ranked if (g := owner.get((r.engine, r.verdict, key)))}
        rest = [key for key in ranked if (r.engine, r.verdict, key) not in owner]
        if rest:
            group = _Grouped(r.engine, r.verdict, rest)
            out.append(group)
            for key in rest:
                owner[r.engine, r.verdict, key] = group
            # what is new is what this round is about; that it shows what others are about as well needs no second counting
            mine = {id(group): group}
        for group in mine.values():
            group.rounds.append(r)
    return out


def keys_of(r: Round) -> list[str]:
    """What a round's loss is known by, the best name first: kernel fields, getters, keys of /proc, memory, behaviour."""
    if not r.proofs:
        return [f"said {_NOISE.sub('N', r.said) or r.interface}"]
    return list(dict.fromkeys(_key(p, r.interface) for p in sorted(r.proofs, key=_rank)))


def _key(proof: Proof, interface: str) -> str:
    # `read returns`, or a getter that no constant tells from another, says something only together with where it was seen
    vague = proof.oracle == "behaviour" or (proof.oracle == "getter" and " " not in proof.signature)
    return f"{interface}: {proof.signature}" if vague else proof.signature


def _rank(proof: Proof) -> tuple[int, int, str, str]:
    # by oracle; among fields those that the ledger says are carried first, then those that nobody has decided about
    decided = ("carried", "refused", "undecided", "").index(proof.decision) if proof.decision in ("carried", "refused", "undecided") else 3
    return ORACLES.index(proof.oracle) if proof.oracle in ORACLES else len(ORACLES), decided, proof.signature, proof.path


def _case(group: _Grouped, ledger: Ledger | None) -> Case:
    least = group.rounds[0]
    recipe = _recipe(least)
    proofs = sorted(least.proofs, key=_rank)
    own = [p for p in proofs if _key(p, least.interface) in group.keys]
    gone = what_is_gone(least, recipe)
    decided = [row for p in proofs if (row := touched.ledger_row(p, ledger))]
    tags = touched.tags(recipe, proofs) if recipe is not None else ()
    exact = touched.exact(recipe, proofs) if recipe is not None else ()
    carried = next((p.source for p in proofs if p.decision == "carried" and "." in p.source), "")
    facts = {
        "interface": least.interface,
        "recipe": least.recipe,
        "recipes": str(len(group.rounds)),
        "signature": "; ".join(group.keys),
        "ledger": "; ".join(dict.fromkeys(decided)),
        "tags": " ".join(tags),
        "runtime": " ".join(exact),
        "gone": gone,
        "file": touched.file_of(carried, group.engine),
        "engine_version": least.version,
    }
    return Case(
        Finding(
            f"hunt.{group.verdict}",
            subject(group.keys, proofs, least.interface),
            group.verdict,
            severity(group.verdict, gone, own or proofs),
            _what(least, own, gone),
            where=least.recipe,
            why=_why(own, group.verdict, least),
            source=next((p.source for p in own if p.source), ""),
            do=_do(group.verdict, group.engine, carried),
            reproducer=least.text,
            engine=group.engine,
            kernel=least.kernel,
            evidence="discovered",
            facts=tuple(sorted((k, v) for k, v in facts.items() if v)),
        ),
        tuple(
            Evidence(p.oracle, p.path, p.before, p.after, p.decision, p.source, p.signature)
            for p in [*own, *(p for p in proofs if p not in own)]
        ),
        tuple(dict.fromkeys(r.recipe for r in group.rounds)),
    )


def _recipe(r: Round) -> Recipe | None:
    try:
        return parse(r.text)
    except HoldfastError:
        # a store may hold rounds of an older form; the finding is told without what only the recipe says
        return None


def subject(keys: list[str], proofs: list[Proof], interface: str) -> str:
    """What a case is about, by name: the kernel field of its least round, and the getter that shows this loss of it and no other."""
    fields = [p.signature for p in proofs if p.oracle == "kernel"]
    field = next((f for f in fields if f in keys), fields[0] if fields else "")
    if not field:
        said = keys[0].startswith("said ")
        return f"{interface}: {line(keys[0].removeprefix('said '), 120)}" if said else keys[0]
    getter = next((key for p in proofs if p.oracle == "getter" and (key := _key(p, interface)) in keys), "")
    return f"{field} ({getter})" if getter else field


def what_is_gone(r: Round, recipe: Recipe | None) -> str:
    """A sandbox, a seal, a limit, a credential or a protection, where that is what was lost; else nothing."""
    if r.verdict not in ("lost", "flaky"):
        return ""
    for p in sorted(r.proofs, key=_rank):
        for pattern, word in SECURITY:
            if re.match(pattern, p.signature):
                return word
    return "what protects or limits" if recipe is not None and recipe.security else ""


def severity(verdict: str, gone: str, proofs: Iterable[Proof]) -> str:
    """How bad: what keeps a process in comes first; then what a program can see; a failure is loud."""
    if verdict == "failed":
        return "medium"
    seen = any(p.oracle in ("getter", "behaviour", "memory") for p in proofs)
    bad = "critical" if gone else "high" if seen else "medium"
    return {"critical": "high", "high": "medium", "medium": "low"}[bad] if verdict == "flaky" else bad


def _what(r: Round, own: list[Proof], gone: str) -> str:
    if not own:
        return f"{r.recipe}: {line(r.said, 300) or 'it did not come back'}"
    p = own[0]
    lost = f"{gone} is gone: " if gone else ""
    other = "" if r.verdict == "lost" else f" ({r.verdict})"
    return f"{lost}{r.recipe}: {p.signature} was {line(p.before, 60)} and is {line(p.after, 60)}{other}"


def _why(own: list[Proof], verdict: str, r: Round) -> str:
    if verdict == "failed":
        return "a dump says no before it touches anything, and a restore brings back what a dump took, or nothing was promised"
    words = {
        "carried": "the ledger says that it is carried",
        "refused": "the ledger says that it is refused when in use, and nothing refused",
        "undecided": "nobody has decided about it",
        "": "what a program could observe before, it must observe after",
    }
    text = next((words.get(p.decision, words[""]) for p in own), words[""])
    return text if verdict == "lost" else f"{text}; it was lost in one of {r.tries} tries"


def _do(verdict: str, engine: str, carried: str) -> str:
    if engine != "native":
        return "do not rely on this engine where a program uses it"
    if verdict == "flaky":
        return "find what it depends on; it counts as lost until then"
    return f"carry it: {carried} promises to" if carried else "carry it, or refuse it by name"
