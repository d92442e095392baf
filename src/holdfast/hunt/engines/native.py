"""The engine of this project, in this process."""

from __future__ import annotations

import hashlib
import os
import time

from holdfast.engine import dump, restore
from holdfast.errors import HoldfastError, Refused
from holdfast.hunt.engines.contract import Said


class Native:
    """Holdfast itself.

    Shape:   `check`: compare what came back with the image before it is let go, as every restore does
    """

    name = "native"

    def __init__(self, check: bool = True) -> None:
        self.version = _version()
        self.check = check

    def dump(self, pid: int, folder: str) -> Said:
        """Dump the tree of `pid`, and end it."""
        began = time.monotonic_ns()
        try:
            done = dump.dump(pid, os.path.join(folder, "image"), sync=False)
        except Refused as error:
            said = "; ".join(f"{r.kind}.{r.code}: {r.what}" if r.kind else f"{r.code}: {r.what}" for r in error.refusals)
            return Said("refused", said or str(error), time.monotonic_ns() - began)
        except (HoldfastError, OSError) as error:
            return Said("failed", str(error), time.monotonic_ns() - began)
        admission = done.admission
        warned = (*(f"{v.kind}: {v.what}" for v in admission.losses), *(f"{v.kind}: {v.what}" for v in admission.unchecked))
        return Said("done", "", time.monotonic_ns() - began, warned)

    def restore(self, folder: str) -> Said:
        """Bring the tree back."""
        began = time.monotonic_ns()
        try:
            done, _ = restore.restore(os.path.join(folder, "image"), check=self.check)
        except Refused as error:
            return Said("refused", "; ".join(r.what for r in error.refusals) or str(error), time.monotonic_ns() - began)
        except (HoldfastError, OSError) as error:
            return Said("failed", str(error), time.monotonic_ns() - began)
        return Said("done", "", time.monotonic_ns() - began, done.warnings)


def _version() -> str:
    # a campaign does a round again when the code that dumps and restores has changed
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    digest = hashlib.sha256()
    for folder, _, names in sorted(os.walk(top)):
        if os.path.relpath(folder, top).partition(os.sep)[0] in ("engine", "kinds", "image", "tracee", "prog", "kernel", "model"):
            for name in sorted(n for n in names if n.endswith(".py")):
                with open(os.path.join(folder, name), "rb") as f:
                    digest.update(f.read())
    return f"{dump.VERSION}+{digest.hexdigest()[:8]}"
