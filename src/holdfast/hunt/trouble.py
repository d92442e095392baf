"""Whether the kernel itself got into trouble: its taint flags, and what it wrote to its log.

Source:  Linux Documentation/admin-guide/tainted-kernels.rst, Documentation/ABI/testing/dev-kmsg
"""

from __future__ import annotations

import os
import re

TAINTED = "/proc/sys/kernel/tainted"
TELLING = {7: "died: oops or BUG", 9: "warned", 14: "soft lockup"}
_WORDS = re.compile(rb"BUG:|WARNING:|Oops|general protection|soft lockup|hung_task|blocked for more than|KASAN|UBSAN|refcount_t")
MOST = 5  # lines of the log that are kept


class Trouble:
    """Tells what is new since it was last asked."""

    def __init__(self, tainted: str = TAINTED, log: str = "/dev/kmsg") -> None:
        self._path = tainted
        self._tainted = self._read()
        try:
            self._log = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._log, 0, os.SEEK_END)
        except OSError:
            self._log = -1  # no right to read it: the taint flags remain

    def _read(self) -> int:
        with open(self._path, encoding="ascii") as f:
            return int(f.read())

    def new(self) -> str:
        """What happened, in one line; empty if nothing did."""
        now = self._read()
        came = [text for bit, text in TELLING.items() if (now & ~self._tainted) >> bit & 1]
        self._tainted = now
        found: list[str] = []
        while self._log >= 0:
            try:
                record = os.read(self._log, 8192)
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # lines were overwritten before they were read
            except OSError:
                self._log = -1
                break
            if not record:
                break
            text = record.partition(b";")[2].partition(b"\n")[0]
            if _WORDS.search(text) and len(found) < MOST:
                found.append(text.decode(errors="replace"))
        return "; ".join((*(f"the kernel {c}" for c in came), *found))

    def close(self) -> None:
        """Give back the log."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
