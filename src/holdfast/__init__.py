"""Holdfast: checkpoint/restart for Linux processes that keeps holding while the kernel moves.

import holdfast
holdfast.dump(pid, "job.image")
holdfast.restore("job.image").wait()
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.api import Planned, Restored, Verified, check, dump, plan, records, restore, show, verify
    from holdfast.engine.dump import Dumped
    from holdfast.engine.survey import Shown
    from holdfast.errors import HoldfastError
    from holdfast.kinds.evidence import Options

__all__ = [
    "Dumped",
    "HoldfastError",
    "Options",
    "Planned",
    "Restored",
    "Shown",
    "Verified",
    "check",
    "dump",
    "plan",
    "records",
    "restore",
    "show",
    "verify",
]
# where a name is that is not in holdfast.api
_ELSEWHERE = {"Dumped": "engine.dump", "HoldfastError": "errors", "Options": "kinds.evidence", "Shown": "engine.survey"}


def __getattr__(name: str) -> object:
    # nothing is imported before it is used: every `import holdfast.x` passes through here, and each module counts
    if name not in __all__:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    from importlib import import_module  # cheap: part of every interpreter

    return getattr(import_module(f"holdfast.{_ELSEWHERE.get(name, 'api')}"), name)
