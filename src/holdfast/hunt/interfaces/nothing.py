"""No state at all: what a checkpoint changes of a process that does nothing.

Source:  getpid(2)
"""

from __future__ import annotations

from holdfast.hunt.recipe import Recipe
from holdfast.prog.text import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """One recipe: a bare process."""
    del constants, ask
    yield Recipe("nothing/process", "nothing", (Line("getpid"),), after=(Line("getpid"),))
