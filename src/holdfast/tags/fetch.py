"""Kconfig trees out of Debian's linux-source packages, in the cache: what export, --tree and new snapshots are made from."""

from __future__ import annotations

import io
import lzma
import os
import shutil
import tarfile

from holdfast.errors import KernelLacks
from holdfast.kernel import cache, debian

KEPT = ("Kconfig", "Makefile", "MAINTAINERS", "Documentation/admin-guide/kernel-parameters.txt")


def is_kept(name: str) -> bool:
    """Whether a file of a kernel tree is one that its configuration needs: every Kconfig, what conf calls, who maintains what."""
    base = name.rpartition("/")[2]
    return (
        name.startswith(("scripts/", "rust/"))
        or base.startswith("Kconfig")
        or base == "KConfig"
        or name in KEPT
        or name.endswith("/KConfig")
    )


def tree(spec: str) -> str:
    """The folder of a kernel tree: one that is given, or the Kconfig part of debian:6.12, fetched when it is not cached.

    Raises:  usage.kernel.unknown: no suite carries such a kernel
    Raises:  kernel_lacks.fetch: its package cannot be had
    """
    if not spec.startswith("debian:"):
        return spec
    kernel = debian.choose(debian.available(), spec.removeprefix("debian:").partition("/")[0])
    place = os.path.join(cache.folder("kconfig"), f"{kernel.series}-{kernel.version.partition('-')[0]}")
    with cache.locked(os.path.basename(place)):
        if not os.path.exists(os.path.join(place, "Kconfig")):
            _fetch(kernel.series, place)
    return place


def _fetch(series: str, place: str) -> None:
    package = f"linux-source-{series}"
    found = debian.files([package], lambda name: name.startswith("usr/src/linux-source-") and name.endswith(".tar.xz"))
    if len(found) != 1:
        raise KernelLacks(
            "fetch", f"{package} holds no source", where=package, why=f"{len(found)} archives in it", do="report it: the package changed"
        )
    partial = f"{place}.{os.getpid()}.partial"
    try:
        _unpack(found.popitem()[1], partial)
        shutil.rmtree(place, ignore_errors=True)
        os.rename(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


# Only plain files inside of the tree; links in scripts/ lead to files that conf does not call.
def _unpack(archive: bytes, place: str) -> None:
    with lzma.open(io.BytesIO(archive)) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
        for entry in tar:
            name = entry.name.partition("/")[2]
            if not entry.isfile() or ".." in name.split("/") or not is_kept(name):
                continue
            body = tar.extractfile(entry)
            if body is None:
                continue
            path = os.path.join(place, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                shutil.copyfileobj(body, out)
            os.chmod(path, entry.mode & 0o755)
