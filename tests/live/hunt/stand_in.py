"""Stand-ins for the runner of rounds: what a recipe's first line calls decides what goes wrong."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from holdfast.hunt.verdict import Round

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.hunt.engines.contract import Engine
    from holdfast.hunt.recipe import Recipe


class Fake:
    """Runs no subject: pause hangs, exit dies, getpid raises, fork leaves children, socket leaves a file, anything else is kept."""

    def __init__(self, engine: Engine, folder: str, kernel_state: bool) -> None:
        self.engine, self.folder = engine, folder

    def run(self, recipe: Recipe) -> Round:
        call = recipe.lines[0].call
        if call == "pause":
            signal.pause()
        if call == "exit":
            os.kill(os.getpid(), signal.SIGKILL)
        if call == "getpid":
            raise ValueError("a mistake in the runner")
        if call == "fork":
            for _ in range(3):
                if os.fork() == 0:
                    os.setsid()
                    signal.pause()
            signal.pause()
        if call == "socket":
            with open("/tmp/left", "w", encoding="utf-8") as f:
                f.write("x")
        facts = (("left", " ".join(sorted(set(os.listdir("/tmp")) & {"left"}))), ("pid", str(os.getpid())))
        return Round(
            recipe.name, recipe.key, recipe.interface, self.engine.name, self.engine.version, "k", "kept", text=recipe.text(), facts=facts
        )

    def close(self) -> None:
        """Nothing to give back."""


def no_tables(only: Sequence[str]) -> list[Recipe]:
    """Tables that cannot be listed."""
    raise ValueError(f"no tables for {list(only)}")
