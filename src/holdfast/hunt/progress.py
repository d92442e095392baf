"""What a campaign shows while it runs: on a terminal a few lines that renew themselves, elsewhere a plain line now and then."""

from __future__ import annotations

import time

from holdfast.hunt.verdict import VERDICTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self, TextIO

    from holdfast.hunt.verdict import Round

EVERY_S = 10.0  # between plain lines
FRAME_S = 0.1
MOST_NAMED = 4  # signatures of one loss
TONES = {
    "lost": "red",
    "failed": "red",
    "flaky": "yellow",
    "refused": "cyan",
    "told": "yellow",
    "kept": "green",
    "blind": "dim",
    "unsettable": "dim",
}


class Tally:
    """Numbers of a campaign so far."""

    def __init__(self, budget_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._budget_s, self._began = clock, budget_s, clock()
        self.planned = self.done = self.new = 0
        self.verdicts: dict[str, dict[str, int]] = {}

    def count(self, round_: Round, new: bool) -> None:
        """One round more; `new`: it lost what no campaign of this store has seen lost."""
        self.done += 1
        self.new += new
        of = self.verdicts.setdefault(round_.engine, {})
        of[round_.verdict] = of.get(round_.verdict, 0) + 1

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    @property
    def rate(self) -> float:
        """Rounds a second."""
        return self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """How long it will go on: until all is done, or the budget is used up; None where nobody can know yet."""
        to_do = (self.planned - self.done) / self.rate if self.rate > 0 else None
        if not self._budget_s:
            return to_do
        until = max(0.0, self._budget_s - self.elapsed_s)
        return until if to_do is None else min(until, to_do)

    def line(self) -> str:
        """All of it in one line."""
        left = "" if self.left_s is None else f", {span(self.left_s)} left"
        parts = [
            f"{self.done}/{self.planned} rounds",
            f"{self.rate:.1f}/s",
            *(f"{e}: {words(v)}" for e, v in sorted(self.verdicts.items())),
        ]
        return ", ".join(parts) + f", {self.new} new{left}"


def words(verdicts: dict[str, int]) -> str:
    """Verdicts with their numbers, worst first: 2 lost 300 kept."""
    return " ".join(f"{verdicts[v]} {v}" for v in VERDICTS if verdicts.get(v))


def span(seconds: float) -> str:
    """A time for people: 12 s, 3 min 20 s, 1 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Shows a tally; tell it what happens."""

    def __init__(self, tally: Tally, to: TextIO, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.tally, self._to, self._say, self._clock = tally, to, say, clock
        self._shown_at = clock()
        self._live: Any = None
        self._last = ""

    def __enter__(self) -> Self:
        if self._to.isatty():
            # 60 ms, and only a person who looks at it pays for it
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._to), auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        """Something worth a line of its own, that stays."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            self._say(text)

    def done(self, round_: Round, new: bool) -> None:
        """A round has ended."""
        self.tally.count(round_, new)
        self._last = f"{round_.engine} {round_.recipe}: {round_.verdict}"
        if new:
            what = sorted({p.signature for p in round_.proofs})
            more = f" and {len(what) - MOST_NAMED} more" if len(what) > MOST_NAMED else ""
            self.note(f"lost: {round_.recipe} on {round_.engine}: {', '.join(what[:MOST_NAMED])}{more}")
        self.tick()

    def tick(self) -> None:
        """Time has passed."""
        now = self._clock()
        if now - self._shown_at < (FRAME_S if self._live is not None else EVERY_S):
            return
        self._shown_at = now
        if self._live is None:
            self._say(self.tally.line())
        else:
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Any:
        # rich is loaded already
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        t = self.tally
        left = "" if t.left_s is None else f"  {span(t.left_s)} left"
        table = Table(box=None, pad_edge=False)
        used = [v for v in VERDICTS if any(of.get(v) for of in t.verdicts.values())]
        for name in ("engine", *used):
            table.add_column(name, justify="left" if name == "engine" else "right", style=TONES.get(name, ""))
        for engine, of in sorted(t.verdicts.items()):
            table.add_row(engine, *(str(of.get(v, 0)) for v in used))
        return Group(
            Text(f"{t.done}/{t.planned} rounds  {t.rate:.1f}/s  {t.new} new findings{left}"),
            ProgressBar(total=max(1, t.planned), completed=t.done, width=60),
            table,
            Text(self._last, style="dim", overflow="ellipsis", no_wrap=True),
        )
