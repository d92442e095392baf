"""Functions of the kernel by address: the names that tell what kind a file, a clock or a line discipline is.

/proc/kallsyms takes 60 ms to read, so the names of addresses that were asked for once are kept for as long as this boot lasts;
modules come and go, so theirs are not.

Source:  proc_kallsyms(5), Documentation/arch/x86/x86_64/mm.rst
"""

from __future__ import annotations

import bisect
import os

from holdfast.kernel.state.layouts import build_id, keep, trusted

_KALLSYMS = "/proc/kallsyms"
_BOOT = "/proc/sys/kernel/random/boot_id"
_TEXT, _MODULES = 0xFFFFFFFF80000000, 0xFFFFFFFFC0000000


class Symbols:
    """Names of kernel functions; `close` writes down what was learnt."""

    def __init__(self) -> None:
        # the cache is for whoever may read kernel memory; nothing else imports it here
        from holdfast.kernel import cache

        with open(_BOOT, encoding="utf-8") as file:
            boot = file.read().strip()
        self._path = os.path.join(cache.folder("state"), f"{build_id()[:16]}-{boot}.symbols")
        self._kept: dict[int, str] = {}
        for line in (trusted(self._path) or b"").decode().splitlines():
            address, _, name = line.partition(" ")
            self._kept[int(address, 16)] = name
        self._learnt = False
        self._addresses: list[int] = []
        self._names: list[str] = []
        self._read = False

    def name(self, address: int) -> str:
        """The function at an address; empty where none is there or none may be known."""
        known = self._kept.get(address)
        if known is not None:
            return known
        found = self._look(address)
        if _TEXT <= address < _MODULES and self._addresses:
            self._kept[address] = found
            self._learnt = True
        return found

    def address(self, name: str) -> int:
        """The address of a symbol, data too where the kernel lists data (CONFIG_KALLSYMS_ALL); 0 where it is not listed."""
        for address, known in self._kept.items():
            if known == name:
                return address
        with open(_KALLSYMS, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if words[2] == name and len(words) == 3:
                    found = int(words[0], 16)
                    if found:
                        self._kept[found] = name
                        self._learnt = True
                    return found
        return 0

    def _look(self, address: int) -> str:
        if not self._read:
            self._read = True
            self._load()
        i = bisect.bisect_right(self._addresses, address) - 1
        return self._names[i] if i >= 0 and self._addresses[i] == address else ""

    def _load(self) -> None:
        pairs = []
        with open(_KALLSYMS, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split(None, 3)
                if words[1] in "tTwW":
                    pairs.append((int(words[0], 16), words[2]))
        if pairs and pairs[-1][0]:  # kptr_restrict shows every address as 0
            pairs.sort()
            self._addresses, self._names = [a for a, _ in pairs], [n for _, n in pairs]

    def close(self) -> None:
        """Keep the names that were asked for."""
        if self._learnt:
            self._learnt = False
            keep(self._path, "".join(f"{a:x} {n}\n" for a, n in sorted(self._kept.items())).encode())
