"""The planted engine with its guard: what it brings back is compared with the true image before it is let go.

A worker is told to make its rounds with `Rounds` from here; it runs in a process of its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.engine import restore as engine
from holdfast.hunt import rounds
from holdfast.hunt.engines.native import Native
from holdfast.hunt.engines.planted import TRUE, Planted
from holdfast.image import read

if TYPE_CHECKING:
    from holdfast.engine.execute import Execution
    from holdfast.hunt.engines.contract import Engine, Said


class Checked:
    """One planted bug, and the check that a restore makes by default."""

    def __init__(self, planted: Planted) -> None:
        self.planted = planted
        self.name, self.version = planted.name, planted.version

    def dump(self, pid: int, folder: str) -> Said:
        """Dump, and falsify the image."""
        return self.planted.dump(pid, folder)

    def restore(self, folder: str) -> Said:
        """Restore what the false image says, and compare with what the true one says."""
        checked = engine.checked
        self.planted.swap(folder)
        with read.open(os.path.join(folder, f"{TRUE}.true"), engine.readers()) as image:
            records = engine.load(image)

        def against_the_truth(execution: Execution, prepared: engine.Prepared) -> None:
            checked(execution, prepared.replace(records=records))

        engine.checked = against_the_truth
        try:
            return Native(check=True).restore(folder)
        finally:
            engine.checked = checked


class Rounds(rounds.Rounds):
    """Rounds with planted engines that check."""

    def __init__(self, engine: Engine, folder: str, kernel_state: bool = True) -> None:
        super().__init__(Checked(engine) if isinstance(engine, Planted) else engine, folder, kernel_state)
