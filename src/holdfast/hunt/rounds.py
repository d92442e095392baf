"""One round: a recipe is made, looked at, checkpointed by an engine, looked at again, and goes on beside a twin that never was.

    control   `make` alone, twice: what a subject without the state looks like, and what differs by itself
    twin      everything, without a checkpoint: what the lines return
    subject   make and state, get, look; dump and restore; look, get, what is left, after

kept: no oracle sees a difference that the ledger does not explain. Whether the state was seen at all comes from control against
subject, from the getters, and from what `after` returns without the state; where nothing tells the two apart the round is blind.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter

from holdfast.drift import ledger
from holdfast.errors import HoldfastError
from holdfast.hunt import observe, place
from holdfast.hunt.oracle import Judge, kernel_sights, without_address, without_inode
from holdfast.hunt.subject import NOT_BACK, Seen, Subject, descendants, end_tree, own_numbers, reap
from holdfast.hunt.verdict import Proof, Round
from holdfast.kernel import release
from holdfast.kernel.state.snapshot import Reader
from holdfast.prog.text import Ref, Taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from holdfast.hunt.engines.contract import Engine, Said
    from holdfast.hunt.observe import Sight
    from holdfast.hunt.recipe import Recipe
    from holdfast.prog.text import Line

    Look = dict[str, Sight]

_TWINS = 10  # what changes once and by itself, such as by that acknowledgement, may have done so before a twin is first looked at
_DELAYED_S = 0.05  # an acknowledgement that TCP may delay comes in this time: include/net/tcp.h TCP_ATO_MIN
_CONTROLS = 64
_TEXT = 200  # characters of what a line returned, in a proof
_AUTOGROUP = re.compile(rb"autogroup-\d+")  # every session has one of its own, with a number
_NUMBER = re.compile(r"\d+")
_LOWEST, _HIGHEST = 1 << 32, 1 << 47  # a result between these is an address that the kernel chose, for a process of its own layout
# What a parent and its tools can learn of a process that has ended; the rest is nobody's (docs/kinds.md, task.process).
_OF_ZOMBIES = frozenset(
    "task_struct.comm task_struct.exit_code task_struct.exit_signal status-keys.Name status-keys.State stat.state stat.ppid stat.pgrp "
    "stat.session stat.exit_signal stat.exit_code".split()
)
NOTHING = "nothing"
"""The interface of the recipe that makes no state: what an engine does to a bare subject is told by it alone."""


class Unsettable(Exception):
    """A line that must succeed did not."""


class _Control:
    def __init__(self, look: Look, noise: frozenset[str]) -> None:
        self.look, self.noise = look, noise


class _Bare:
    # What an engine changes of a subject without the state: by place and value before the value after, None where it is not always the
    # same. And what it warns of, with how often.
    def __init__(self, changes: dict[tuple[str, str], str | None], warned: Counter[str]) -> None:
        self.changes, self.warned = changes, warned


class Rounds:
    """Runs rounds with one engine.

    Shape:   `folder` is the caller's own and empty; what it holds afterwards does not matter
    Needs:   root in the namespaces of the caller; the caller adopts orphans (init of its pid namespace, or subreaper)
    """

    def __init__(self, engine: Engine, folder: str, kernel_state: bool = True) -> None:
        self.engine, self.folder = engine, folder
        self.reader = Reader.open() if kernel_state else None
        self.kernel = os.uname().release
        self.judge = Judge(ledger.load(), release.numbers(self.kernel))
        self.program = os.path.join(folder, "subject")
        self._controls: dict[str, _Control] = {}
        self._bares: dict[str, _Bare] = {}

    def close(self) -> None:
        """Give back what reading the kernel took."""
        if self.reader is not None:
            self.reader.close()

    # --- looking

    def look(self, subject: Subject, like: Look | None = None) -> Look:
        """Everything that can be seen of a subject from outside; with `like`, the pages of an earlier look are read, present or not."""
        tasks = subject.tasks()
        found: Look = kernel_sights(self.reader.snapshot(tasks)) if self.reader is not None else {}
        found.update(observe.proc_sights(tasks))
        found.update(observe.memory_sights(tasks, [*_rseq_areas(found), *observe.limits(tasks)], like))
        ended = tuple(f"{label}." for label in tasks if (s := found.get(f"{label}.stat.state")) is not None and s.value == "Z")
        return {p: s for p, s in found.items() if not p.startswith(ended) or s.signature in _OF_ZOMBIES} if ended else found

    def _control(self, make: Sequence[Line]) -> _Control:
        key = "\n".join(map(str, make))
        found = self._controls.get(key)
        if found is None:
            looks = []
            for _ in range(2):
                with _started(self.program) as subject:
                    self._make(subject, make)
                    subject.settle()
                    looks.append(self.look(subject))
            first, second = looks
            noise = frozenset(p for p in first.keys() | second.keys() if first.get(p) != second.get(p))
            if len(self._controls) >= _CONTROLS:
                self._controls.pop(next(iter(self._controls)))
            found = self._controls[key] = _Control(first, noise)
        return found

    # --- lines

    def _make(self, subject: Subject, lines: Iterable[Line]) -> list[Seen]:
        out: list[Seen] = []
        for line in lines:
            try:
                seen = subject.run((line,))[0]
            except (HoldfastError, OSError, KeyError) as error:
                raise Unsettable(f"{line}: {error}") from error
            if seen.error:
                raise Unsettable(f"{line}: {os.strerror(seen.error)}")
            out.append(seen)
        return out

    def _get(self, subject: Subject, lines: Iterable[Line]) -> list[tuple[Line, Seen | str]]:
        return [
            (line, _known(line, _tried(subject, line, passing=True)))
            for line in lines
            if _can(subject, line) and _tid(subject, line) not in subject.blocked
        ]

    def _after(self, subject: Subject, lines: Iterable[Line]) -> list[tuple[str, Seen | str]]:
        out: list[tuple[str, Seen | str]] = [
            (str(line), _known(line, _tried(subject, line)) if _can(subject, line) else "not made: what it needs is not there")
            for line in lines
        ]
        for tid, (line, _, _) in list(subject.blocked.items()):
            try:
                out.append((f"{line} (came back)", subject.back(tid)))
            except (HoldfastError, OSError) as error:
                out.append((f"{line} (came back)", _failure(error)))
        return [(text, _plain(seen, subject)) for text, seen in out]

    # --- the round

    def run(self, recipe: Recipe) -> Round:
        """Do everything and judge."""
        began = time.monotonic_ns()
        made: dict[str, object]
        try:
            made = self._run(recipe)
        except Unsettable as error:
            made = {"verdict": "unsettable", "said": str(error)}
        except (OSError, HoldfastError) as error:
            made = {"verdict": "unsettable", "said": f"the subject cannot be looked at: {error}"}
        return Round(
            recipe.name,
            recipe.key,
            recipe.interface,
            self.engine.name,
            self.engine.version,
            self.kernel,
            text=recipe.text(),
            took_ns=time.monotonic_ns() - began,
            **made,  # type: ignore[arg-type]
        )

    def _run(self, recipe: Recipe) -> dict[str, object]:
        before, rest = recipe.lines[: recipe.at], (*recipe.lines[recipe.at :], *recipe.after)
        whole = not recipe.lines[recipe.at :]
        base = recipe.make if whole and recipe.state else ()
        control = self._control(base)
        with _started(self.program) as subject:
            self._make(subject, before)
            subject.settle()  # a child that a signal ends may not have ended yet
            got = self._get(subject, recipe.get)
            subject.settle()
            look = self.look(subject)
            seen = self.judge.visible(control.look, control.noise, look)
            since = time.monotonic_ns()
            dumped, restored = self._checkpoint(subject)
            if restored is None:
                return self._refused(recipe, subject, look, since, seen, dumped.how, dumped.words)
            facts: dict[str, Any] = {"dump_ns": dumped.took_ns, "restore_ns": restored.took_ns, "seen": seen}
            if restored.how != "done":
                return {**facts, "verdict": "failed", "said": restored.words}
            if dumped.warned or restored.warned:
                facts["facts"] = (("warned", "; ".join((*dumped.warned, *restored.warned))[:1000]),)
            try:
                subject.settle()
                again = self.look(subject, look)
            except (OSError, HoldfastError) as error:
                return {**facts, "verdict": "failed", "said": f"what came back died or does not sleep: {error}"}
            proofs = list(self.judge.differences(look, again))
            proofs += _getters(got, self._get(subject, recipe.get), subject)
            went_on = self._after(subject, rest)
        proofs += self._behaviour(recipe, went_on, rest)
        proofs = self.judge.unexplained(recipe.name, proofs)
        if proofs:
            bare = self._without(base) if recipe.interface != NOTHING else _Bare({}, Counter())
            common = [p for p in proofs if (p.path, p.before) in bare.changes and bare.changes[p.path, p.before] in (None, p.after)]
            own = tuple(p for p in proofs if p not in common)
            if common:
                facts["facts"] = (*facts.get("facts", ()), ("without", " ".join(sorted({p.signature for p in common}))))
            if own:
                warned = Counter(map(_worded, dumped.warned)) - bare.warned
                return {**facts, "verdict": "told" if _told(own, warned) else "lost", "proofs": own}
        if not seen:
            seen = facts["seen"] = self._otherwise_visible(recipe, got, went_on)
        return {**facts, "verdict": "kept" if seen else "blind"}

    # Places that change in the same time in a subject that nobody touches: a connection's timers, a key that is collected.
    def _by_itself(self, before: Sequence[Line], get: Sequence[Line], took_ns: int) -> frozenset[str]:
        with _started(self.program) as twin:
            self._make(twin, before)
            self._get(twin, get)
            look = self.look(twin)
            time.sleep(took_ns / 1e9 + _DELAYED_S)
            return frozenset(p.path for p in self.judge.differences(look, self.look(twin)))

    def _refused(
        self, recipe: Recipe, subject: Subject, look: Look, since: int, seen: tuple[str, ...], how: str, words: str
    ) -> dict[str, object]:
        before, get = recipe.lines[: recipe.at], recipe.get
        # whoever says no must have left everything as it was
        try:
            subject.settle()
            changed = [p for p in self.judge.differences(look, self.look(subject)) if p.oracle != "memory"]
            if changed:
                subject.end()  # the twin wants the same ports and paths
                took_ns = time.monotonic_ns() - since
                for _ in range(_TWINS):
                    alive = self._by_itself(before, get, took_ns)
                    changed = [p for p in changed if p.path not in alive]
                    if not changed:
                        break
        except (OSError, HoldfastError) as error:
            return {"verdict": "failed", "said": f"it said no, and the subject is gone or changed: {error}; {words}", "seen": seen}
        if changed:
            return {"verdict": "failed", "said": f"it said no, and changed the subject; {words}", "proofs": tuple(changed), "seen": seen}
        return {"verdict": how, "said": words, "seen": seen}

    # What the engine does to a subject without the state: the same place, the same value before, the same value after (any value
    # after, where two such checkpoints disagree). Where the state itself is, the value before is another than without it, so that no
    # loss of the state can be among them. It is told once, by the recipe that is only `make`: decisions/0071.
    def _without(self, make: Sequence[Line]) -> _Bare:
        key = "\n".join(map(str, make))
        found = self._bares.get(key)
        if found is None:
            runs = [self._bare(make) for _ in range(2)]
            first, second = ({(p.path, p.before): p.after for p in proofs or self._bare(())[0]} for proofs, _ in runs)
            changes = {place: after if second.get(place, after) == after else None for place, after in first.items()}
            changes.update({place: after for place, after in second.items() if place not in first})
            if len(self._bares) >= _CONTROLS:
                self._bares.pop(next(iter(self._bares)))
            found = self._bares[key] = _Bare(changes, runs[-1][1])
        return found

    def _bare(self, make: Sequence[Line]) -> tuple[list[Proof], Counter[str]]:
        with _started(self.program) as subject:
            self._make(subject, make)
            look = self.look(subject)
            dumped, restored = self._checkpoint(subject)
            warned = Counter(map(_worded, dumped.warned))
            if restored is None or restored.how != "done":
                return [], warned
            try:
                subject.settle()
                return list(self.judge.differences(look, self.look(subject, look))), warned
            except (OSError, HoldfastError):
                return [], warned

    def _checkpoint(self, subject: Subject) -> tuple[Said, Said | None]:
        folder = os.path.join(self.folder, "round")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder, 0o700)
        pids = (subject.pid, *descendants(subject.pid))
        dumped = self.engine.dump(subject.pid, folder)
        if dumped.how != "done":
            return dumped, None
        reap(pids)
        return dumped, self.engine.restore(folder)

    def _twin(self, before: Sequence[Line], get: Sequence[Line], rest: Sequence[Line]) -> list[tuple[str, Seen | str]]:
        with _started(self.program) as twin:
            self._make(twin, before)
            self._get(twin, get)
            self._get(twin, get)
            return self._after(twin, rest)

    def _behaviour(self, recipe: Recipe, went_on: list[tuple[str, Seen | str]], rest: Sequence[Line]) -> list[Proof]:
        if not went_on:
            return []
        before = recipe.lines[: recipe.at]
        twin = self._twin(before, recipe.get, rest)
        found = [(n, t, s, o) for n, ((t, s), (_, o)) in enumerate(zip(twin, went_on, strict=True)) if s != o]
        if not found:
            return []
        other = self._twin(before, recipe.get, rest)  # what two twins disagree on says nothing
        return [
            Proof(
                "behaviour",
                f"after[{n}] {text}",
                *apart(_said(must), _said(did)),
                f"{text.partition('(')[0].rpartition(' ')[2]} returns",
                "",
                "the twin",
            )
            for n, text, must, did in found
            if other[n][1] == must
        ]

    def _otherwise_visible(
        self, recipe: Recipe, got: list[tuple[Line, Seen | str]], went_on: list[tuple[str, Seen | str]]
    ) -> tuple[str, ...]:
        # getters and behaviour of a subject without the state
        if recipe.lines[recipe.at :]:
            return ("behaviour",) if went_on else ()
        with _started(self.program) as control:
            try:
                self._make(control, recipe.make if recipe.state else ())
            except Unsettable:
                return ()
            plain = {str(line): _plain(seen, control) for line, seen in self._get(control, recipe.get)}
            out = [f"getter.{line.call}" for line, seen in got if plain.get(str(line)) != _plain(seen, control)]
            if not out and recipe.after and self._after(control, recipe.after) != went_on:
                out = ["behaviour"]
        return tuple(out)


class _started:  # noqa: N801 - a context manager that reads as a word
    def __init__(self, program: str) -> None:
        place.fresh(place.FOLDER)
        self.subject = Subject.start(program)

    def __enter__(self) -> Subject:
        return self.subject

    def __exit__(self, *_: object) -> None:
        end_tree(self.subject.pid)


def _tried(subject: Subject, line: Line, *, passing: bool = False) -> Seen | str:
    try:
        return subject.run((line,), passing=passing)[0]
    except (HoldfastError, OSError) as error:
        return _failure(error)


def _known(line: Line, seen: Seen | str) -> Seen | str:
    if isinstance(seen, str):
        return seen
    return Seen(seen.result, tuple(without_address(line.call, without_inode(line.call, d)) for d in seen.data))


def _failure(error: HoldfastError | OSError) -> str:
    return f"{type(error).__name__}: {getattr(error, 'code', '') or error}"


def _can(subject: Subject, line: Line) -> bool:
    return _needs(line) <= subject.names.keys() | subject.rooms.keys()


def _rseq_areas(look: Look) -> list[observe.Hole]:
    out = []
    for path, sight in look.items():
        if sight.signature == "task_struct.rseq_len" and sight.value.isdigit() and int(sight.value):
            start = look.get(path.removesuffix("_len"))
            if start is not None and start.value.isdigit():
                label = path.partition(".")[0].partition("/")[0]
                out.append(observe.Hole(label, int(start.value), int(start.value) + max(int(sight.value), 32)))
    return out


def _tid(subject: Subject, line: Line) -> int:
    return subject.names[line.actor] if line.actor else subject.pid


def _needs(line: Line) -> set[str]:
    return ({line.actor} if line.actor else set()) | {v.name for v in line.values if isinstance(v, (Ref, Taken))}


def masked(data: bytes, number: bytes) -> bytes:
    """Bytes without a number of the kernel, which stands at a place that four divides; elsewhere a program's own bytes may look like it."""
    out = bytearray(data)
    at = data.find(number)
    while at >= 0:
        text = at > 0 and number[:2].isalnum() and 0x20 < data[at - 1] < 0x7F  # the 64 of x86_64 is a pid, too
        if at % 4 == 0 and not text:
            out[at : at + len(number)] = b"<" + b"n" * (len(number) - 1)
        at = data.find(number, at + 1)
    return bytes(out)


def _plain(seen: Seen | str, subject: Subject) -> Seen | str:
    # without the numbers that another run has others for
    if isinstance(seen, str):
        return seen
    names = own_numbers(subject)
    data = tuple(_AUTOGROUP.sub(b"autogroup", d) for d in seen.data)
    for number in (n for n in names if n > 255):
        for width in (8, 4):
            wide = (number & (1 << 8 * width) - 1).to_bytes(width, "little")
            data = tuple(masked(d, wide) for d in data)
    return Seen(-1 << 61 if seen.result in names or _LOWEST <= seen.result < _HIGHEST else seen.result, data)


# A warning without the numbers of this run.
def _worded(text: str) -> str:
    return _NUMBER.sub("#", text)


# Whether an engine's own warnings name all of it: every kernel field and /proc key is one that a kind carries which told of a loss.
# What lines return and memory holds follows from them, and counts as told if there is nothing else.
def _told(proofs: Iterable[Proof], warned: Iterable[str]) -> bool:
    kinds = {text.partition(":")[0] for text in warned}
    return bool(kinds) and all(
        proof.oracle not in ("kernel", "proc")
        or (proof.oracle == "proc" and not proof.decision)
        or any(word.rpartition(".")[0] in kinds for word in proof.source.split())
        for proof in proofs
    )


def _said(seen: Seen | str) -> str:
    if isinstance(seen, str):
        return seen
    text = "still blocked" if seen.result == NOT_BACK else os.strerror(seen.error) if seen.error else str(seen.result)
    return " ".join((text, *(d.hex() for d in seen.data)))


def apart(one: str, other: str) -> tuple[str, str]:
    """Two texts, each cut to what a line holds so that the first place where they differ can be seen."""
    if len(one) <= _TEXT >= len(other):
        return one, other
    shared = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, shared - _TEXT // 2) if shared >= _TEXT - 8 else 0
    return _cut(one, start), _cut(other, start)


def _cut(text: str, start: int) -> str:
    return ("..." if start else "") + text[start : start + _TEXT] + ("..." if len(text) > start + _TEXT else "")


def _getters(before: list[tuple[Line, Seen | str]], after: list[tuple[Line, Seen | str]], subject: Subject) -> list[Proof]:
    later = {n: _plain(seen, subject) for n, (_, seen) in enumerate(after)}
    return [
        Proof(
            "getter",
            f"get[{n}] {line}",
            *apart(_said(seen), _said(later.get(n, "not made"))),
            f"{line.call} {_what(line)}".strip(),
            "",
            "the getter",
        )
        for n, (line, seen) in enumerate(before)
        if later.get(n) != _plain(seen, subject)
    ]


def _what(line: Line) -> str:
    return ".".join(a.name for a in line.args if hasattr(a, "value") and hasattr(a, "name"))
