"""Each recipe about sockets, made in a subject without any checkpoint: what cannot be set is what the kernel lacks."""

from __future__ import annotations

import errno
import importlib
import os
import time
from collections import Counter
from typing import Any

import pytest

from holdfast.hunt.interfaces import harvest
from holdfast.hunt.sandbox import run
from holdfast.hunt.worker import Asker
from tests.live.hunt.test_process_tables import PROGRAM, wrong

pytestmark = [pytest.mark.root, pytest.mark.live]

LACKS = {
    errno.ENOPROTOOPT,
    errno.EAFNOSUPPORT,
    errno.EPROTONOSUPPORT,
    errno.ESOCKTNOSUPPORT,
    errno.EOPNOTSUPP,
    errno.ENOENT,
    errno.EADDRNOTAVAIL,
}
"""What a kernel says that has no such option, family, protocol, module or address."""
REFUSED = {
    "SO_DETACH_REUSEPORT_BPF": "EINVAL",  # nothing is attached
    "SO_DEVMEM_DONTNEED": "EINVAL",  # it wants tokens of device memory
    "IP_XFRM_POLICY": "EINVAL",  # it wants a policy of IPsec, which belongs to the machine's configuration
    "IPV6_XFRM_POLICY": "EINVAL",
    "IPV6_LEAVE_ANYCAST": "EINVAL",  # no address can be joined in an empty namespace
    "XDP_MAX_TX_SKB_BUDGET": "EACCES",  # it takes 32 to 4096: Linux net/xdp/xsk.c
}
"""Options that no number suits."""
GONE_S = 0.1  # a network namespace forgets an ended connection in the softirq that ends it
LEAST = {"setsockopt": 600, "sockets": 80, "sockends": 120, "sockqueues": 80}


def tried(table: str) -> dict[str, Any]:
    """What became of the recipes of a table, inside a sandbox, and which left a TCP connection behind."""
    module = importlib.import_module(f"holdfast.hunt.interfaces.{table}")
    why, left = {}, []
    for recipe in module.recipes(harvest.load(()), Asker(PROGRAM)):
        why[recipe.name] = wrong(recipe)
        deadline = time.monotonic() + GONE_S
        while connections():
            if time.monotonic() > deadline:
                left.append(recipe.name)
                break
            os.sched_yield()
    return {"settable": Counter(bool(text) for text in why.values())[False], "why": {n: t for n, t in why.items() if t}, "left": left}


def connections() -> int:
    """How many TCP sockets there are in this network namespace."""
    count = 0
    for family in ("tcp", "tcp6"):
        with open(f"/proc/net/{family}", encoding="ascii") as file:
            count += len(file.readlines()) - 1
    return count


@pytest.mark.parametrize("table", LEAST)
def test_what_cannot_be_set_is_what_the_kernel_lacks_and_nothing_stays_behind(table: str) -> None:
    told = run(tried, table)
    lacks = {errno.errorcode[n] for n in LACKS}
    unexplained = {
        name: text
        for name, text in told["why"].items()
        if text.split()[0] not in lacks and REFUSED.get(name.rpartition("=")[0].rpartition(".")[2]) != text.split()[0]
    }
    assert unexplained == {}
    assert told["left"] == []  # it would hold its ports in the next round
    assert told["settable"] >= LEAST[table]
