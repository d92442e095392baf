"""What counts as lost: two looks at a subject, compared place by place, each difference judged by the ledger.

A difference is explained only by a decision of the ledger (rebuilt, ignored) for that very field or key, or by a row of TIMES, which
says how much a time may have moved. What no decision explains is a proof. Nothing is subtracted because it also differs elsewhere.
"""

from __future__ import annotations

import os
import re
from stat import S_IFSOCK

from holdfast.drift.ledger import UNDECIDED
from holdfast.hunt import places
from holdfast.hunt.areas import joined
from holdfast.hunt.observe import Sight
from holdfast.hunt.verdict import Proof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from holdfast.drift.ledger import Ledger, Row
    from holdfast.hunt.places import Place
    from holdfast.kernel.state.value import Leaf, State

FREE = ("rebuilt", "ignored")
LEEWAY_NS = 20_000_000_000
"""How long a checkpoint may take before a time that moved with it counts as lost."""


def kernel_sights(state: State) -> dict[str, Sight]:
    """A snapshot of kernel structs as sights."""
    return {path: Sight("kernel", leaf.struct, leaf.field, _text(leaf), leaf.type) for path, leaf in state.leaves.items()}


def _text(leaf: Leaf) -> str:
    value = leaf.value
    if not isinstance(value, bytes):
        return str(value)
    if leaf.type.startswith("struct cpumask") or leaf.field.startswith("cpus_mask"):
        value = value[:_CPU_BYTES]  # above the CPUs that there can be nothing is ever written (include/linux/cpumask.h: nr_cpumask_bits)
    return value.hex()


def _possible_cpus() -> int:
    try:
        with open("/sys/devices/system/cpu/possible", encoding="ascii") as f:
            return int(re.split(r"[-,]", f.read().strip())[-1]) + 1
    except (OSError, ValueError):
        return os.cpu_count() or 1


_CPU_BYTES = (_possible_cpus() + 7) // 8


def _remaining(before: str, after: str) -> bool:
    # "(seconds, nanoseconds)" that runs down: armed stays armed, and no more is left than there was
    first, second = (_ns(t) for t in (before, after))
    return (first == 0) == (second == 0) and second <= first + 50_000_000 and first - second < LEEWAY_NS


def _ns(text: str) -> int:
    numbers = [int(n) for n in re.findall(r"-?\d+", text)]
    return numbers[0] * 1_000_000_000 + numbers[1] if len(numbers) == 2 else numbers[0] if numbers else -1


def _clock(before: str, after: str) -> bool:
    # a point in time by a clock that goes on while nobody runs: set stays set, moved by no more than the checkpoint took
    first, second = _ns(before), _ns(after)
    return (first == 0) == (second == 0) and abs(first - second) < LEEWAY_NS


TIMES: dict[str, tuple[Callable[[str, str], bool], str]] = {
    "fdinfo-keys.it_value": (_remaining, "proc_pid_fdinfo(5): the time until a timerfd expires"),
    "cpu_timer.node": (
        _clock,
        "include/linux/posix-timers.h: when a timer of CPU time expires, by a clock that begins anew with a process",
    ),
}
"""Places of times: what may happen to them over a checkpoint, and the source."""

CLOCKS = re.compile(r"(^|\.)(expires|_softexpires)$")
"""Kernel fields that are points in time of a timer that runs (include/linux/hrtimer_types.h, timerqueue_types.h)."""


_STATS = frozenset(("stat", "lstat", "fstat", "newfstatat"))


def without_inode(call: str, data: bytes) -> bytes:
    """What a call wrote, and where that is the struct stat of a socket, without inode number and times.

    A socket is made anew, and so is the file at its path: docs/kinds.md lists both under Loses of the kinds of sockets.

    Source:  arch/x86/include/uapi/asm/stat.h
    """
    if call not in _STATS or len(data) != 144 or data[25] & 0xF0 != S_IFSOCK >> 8:
        return data
    return data[:8] + bytes(8) + data[16:72] + bytes(48) + data[120:]


def without_address(call: str, data: bytes) -> bytes:
    """What a call wrote, without the address that the kernel chose for the ring of an aio context.

    Where new memory goes is decided by the process that a restore begins with: docs/kinds.md lists it under Loses of task.mm_layout.

    Source:  io_setup(2); Linux fs/aio.c aio_setup_ring
    """
    return bytes(8) if call == "io_setup" and len(data) == 8 else data


_TIMERFD = re.compile(r"([^.]+)\.(?:fd\[(\d+)\]\.(?:it_value|ticks)\[0\]|files\.fd\[(\d+)\]\.private\.ticks)")


def _was_asked(path: str, before: Mapping[str, Sight], after: Mapping[str, Sight]) -> bool:
    """Whether a place is of a periodic timerfd that had expired and stood still, and runs again since somebody asked for its time.

    A dump asks, and what the timer missed is counted then instead of at the next read: that gives the same, and is compared.

    Source:  fs/timerfd.c: timerfd_tmrproc, do_timerfd_gettime, timerfd_read_iter; docs/kinds.md, Loses of fd.timerfd
    """
    found = _TIMERFD.fullmatch(path)
    if found is None:
        return False
    at = f"{found[1]}.fd[{found[2] or found[3]}]"

    def times(look: Mapping[str, Sight]) -> tuple[int, int, int]:
        left, interval, ticks = (look.get(f"{at}.{key}[0]") for key in ("it_value", "it_interval", "ticks"))
        return (_ns(left.value), _ns(interval.value), int(ticks.value)) if left and interval and ticks else (-1, 0, 0)

    (stood, interval, first), (left, same, count) = times(before), times(after)
    return stood == 0 and first > 0 and 0 < left <= interval == same and count >= first


class Judge:
    """Decides which differences are explained.

    Shape:   `version` is that of the running kernel, for rows that hold only for some
    """

    def __init__(self, ledger: Ledger, version: Sequence[int]) -> None:
        self.ledger, self.version = ledger, tuple(version)
        self.places = places.load(ledger.where)
        self._rows: dict[tuple[str, str, str, str], Row] = {}

    def row(self, sight: Sight) -> Row:
        """The ledger's decision about a place; UNDECIDED where it does not speak of it."""
        key = (sight.oracle, sight.topic, sight.name, sight.type)
        row = self._rows.get(key)
        if row is None:
            if sight.oracle == "kernel":
                row = self.ledger.decide(sight.topic, sight.name, sight.type, self.version)
            else:
                table = self.ledger.facts.get(sight.topic)
                row = (table.own(sight.name, self.version) if table is not None else None) or UNDECIDED
            self._rows[key] = row
        return row

    def differences(self, before: Mapping[str, Sight], after: Mapping[str, Sight]) -> Iterator[Proof]:
        """Every difference that no decision explains, in the order of places."""
        before, after = joined(before, self._free), joined(after, self._free)
        for path in sorted(before.keys() | after.keys()):
            first, second = before.get(path), after.get(path)
            if first is not None and second is not None and first.value == second.value:
                continue
            sight = first or second
            assert sight is not None
            row = self.row(sight)
            if row.decision in FREE or (first is not None and second is not None and _in_time(first, second)):
                continue
            if _was_asked(path, before, after) or self._placed(path, first, second, row.when, before, after):
                continue
            yield Proof(
                sight.oracle,
                path,
                _short(first),
                _short(second),
                sight.signature,
                "" if row is UNDECIDED and sight.oracle != "kernel" else row.decision,
                row.carried or row.source,
            )

    def _free(self, sight: Sight) -> bool:
        return self.row(sight).decision in FREE

    def _placed(
        self, path: str, first: Sight | None, second: Sight | None, when: str, before: Mapping[str, Sight], after: Mapping[str, Sight]
    ) -> bool:
        sight = first or second
        assert sight is not None
        look, other = (before, after) if first is not None else (after, before)
        for place in self.places:
            if place.recipe:
                continue
            if place.among and not {_short(first), _short(second)} <= set(place.among):
                continue
            if place.when and not re.fullmatch(place.when, when):
                continue
            if place.holds(path, sight, look) and (place.beside is None or place.holds(path, sight, other)):
                if place.mask:
                    if first is None or second is None or int(first.value) & place.mask != int(second.value) & place.mask:
                        continue
                    return True
                if place.decision in FREE:
                    return True
                return first is not None and second is not None and "null" not in (first.value, second.value)
        return False

    def unexplained(self, recipe: str, proofs: Iterable[Proof]) -> list[Proof]:
        """Proofs without what a row of ledger/places.toml decides by the recipe, and without getters and behaviour that one names."""
        return [p for p in proofs if not any(_decides(place, recipe, p) for place in self.places)]

    def visible(self, without: Mapping[str, Sight], noise: frozenset[str], state: Mapping[str, Sight]) -> tuple[str, ...]:
        """Signatures of the places by which a state can be told from its absence, and that must come back; `noise` differs by itself."""
        return tuple(sorted({p.signature for p in self.differences(without, state) if p.oracle != "memory" and p.path not in noise}))


def _decides(place: Place, recipe: str, proof: Proof) -> bool:
    if place.recipe:
        if not any(re.fullmatch(place.recipe, part) for part in re.split(" [+&] ", recipe)):  # one of several that were combined
            return False
    elif proof.oracle not in ("getter", "behaviour") or not place.names:
        return False
    return (
        place.decision in FREE
        and (not place.names or proof.signature in place.names)
        and re.fullmatch(place.path, proof.path) is not None
        and (not place.among or {proof.before, proof.after} <= set(place.among))
    )


def _in_time(first: Sight, second: Sight) -> bool:
    rule = TIMES.get(first.signature)
    if rule is not None:
        return rule[0](first.value, second.value)
    return (
        first.oracle == "kernel"
        and bool(CLOCKS.search(first.name))
        and first.value.lstrip("-").isdigit()
        and _clock(first.value, second.value)
    )


def _short(sight: Sight | None) -> str:
    if sight is None:
        return "(not there)"
    return sight.value if len(sight.value) <= 200 else f"{sight.value[:200]}..."
