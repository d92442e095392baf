"""Named points where a test makes us fail: raise an error, or send ourselves a signal.

HOLDFAST_FAULT=NAME:raise, NAME:kill, NAME:interrupt or NAME:terminate; unset, a point costs one comparison. docs/ and tests/faults/
walk POINTS.
"""

from __future__ import annotations

import os

from holdfast.errors import InternalError

POINTS = (
    "dump.frozen",
    "dump.admitted",
    "dump.area",
    "dump.described",
    "dump.twin",
    "dump.left",
    "dump.released",
    "dump.pages",
    "dump.written",
    "dump.sealed",
    "restore.stub",
    "restore.born",
    "restore.cleared",
    "restore.filled",
    "restore.rounds",
    "restore.registers",
    "restore.verified",
)
SIGNALS = {"kill": 9, "interrupt": 2, "terminate": 15}
_wanted = os.environ.get("HOLDFAST_FAULT", "")


def point(name: str) -> None:
    """Fail here if a test asked for it.

    Raises:  internal.fault: HOLDFAST_FAULT names this point
    """
    if _wanted:
        _fail(name)


def _fail(name: str) -> None:
    wanted, _, how = _wanted.partition(":")
    if wanted == name:
        if how in SIGNALS:
            os.kill(os.getpid(), SIGNALS[how])
            return  # one that is blocked comes later
        raise InternalError("fault", f"failed at {name}, as asked by HOLDFAST_FAULT")
