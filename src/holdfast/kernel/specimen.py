"""One kernel to look at: its name, release, configuration and BTF, from whatever form it comes in.

live                       the running kernel
debian:6.12  debian:7.0/cloud  debian:newest/cloud  debian:6.1.0-56/cloud
PATH                       raw BTF, vmlinux, vmlinuz of any compression, a Debian kernel package
"""

from __future__ import annotations

import os
import re
import zlib

from holdfast.errors import KernelLacks, UsageError
from holdfast.kernel import cache, deb, debian, elf, vmlinuz
from holdfast.kernel.btf.decode import MAGIC, Btf
from holdfast.model.record import Record

LIVE_BTF = "/sys/kernel/btf/vmlinux"
_MAGIC = MAGIC.to_bytes(2, "little")


class Specimen(Record):
    """One kernel: what it is called, what it says of itself, and the bytes of its BTF."""

    name: str
    release: str  # as `uname -r`; empty when nothing says it
    config: str  # the text of its .config; empty when nothing says it
    blob: bytes

    def btf(self) -> Btf:
        """Its types."""
        return Btf(self.blob, where=self.name)

    @property
    def version(self) -> tuple[int, ...]:
        """The upstream version, such as (6, 12); empty when the release is not known."""
        match = re.match(r"(\d+)\.(\d+)", self.release)
        return (int(match[1]), int(match[2])) if match else ()

    def options(self) -> dict[str, str]:
        """The options that its configuration sets, without CONFIG_; empty when the configuration is not known."""
        return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", self.config, re.MULTILINE))


def load(spec: str) -> Specimen:
    """The kernel that a name or path stands for.

    Raises:  usage.kernel.unreadable: no such file; usage.kernel.unknown: no such Debian kernel;
             usage.kernel.form: the file is no form of a kernel;
             kernel_lacks.btf: the kernel was built without BTF;
             kernel_lacks.debian.fetch, kernel_lacks.debian.mirror: Debian cannot be asked
    """
    if spec == "live":
        return _live()
    if spec.startswith("debian:"):
        return fetched(debian.choose(debian.available(), spec.removeprefix("debian:")))
    try:
        with open(spec, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UsageError(
            "kernel.unreadable",
            f"{spec} is not a kernel that can be read",
            where=spec,
            why=os.strerror(error.errno or 0),
            do="name a file, live, or debian:VERSION",
        ) from error
    return _from_file(spec, data)


def _live() -> Specimen:
    release = os.uname().release
    try:
        with open(LIVE_BTF, "rb") as file:
            blob = file.read()
    except OSError as error:
        raise KernelLacks("btf", "the running kernel shows no BTF", where=LIVE_BTF, why=os.strerror(error.errno or 0)) from error
    config = ""
    for path in ("/proc/config.gz", f"/boot/config-{release}", f"/lib/modules/{release}/config"):
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            continue
        config = (zlib.decompress(data, 31) if path.endswith(".gz") else data).decode("utf-8", "replace")
        break
    return Specimen("live", release, config, blob)


def _from_file(path: str, data: bytes) -> Specimen:
    if data.startswith(_MAGIC):
        return Specimen(path, _release_in(os.path.basename(path)), "", data)
    if data.startswith(b"!<arch>\n"):
        found = deb.extract(path, lambda name: debian.is_image(name) or debian.is_config(name))
        images = [body for name, body in found.items() if debian.is_image(name)]
        if not images:
            raise UsageError(
                "kernel.form",
                "this package holds no kernel image",
                where=path,
                why="Linux 6.19 and later keep it in linux-binary-*",
                do="name that package, or debian:VERSION",
            )
        config = "".join(body.decode("utf-8", "replace") for name, body in found.items() if debian.is_config(name))
        return from_vmlinux(path, vmlinuz.unpack(images[0], path), config)
    if vmlinuz.looks_like(data):
        return from_vmlinux(path, vmlinuz.unpack(data, path))
    if data.startswith(b"\x7fELF"):
        return from_vmlinux(path, data)
    raise UsageError(
        "kernel.form",
        "this file is no form of a kernel that is known here",
        where=path,
        why=f"it starts with {data[:8].hex()}",
        do="name raw BTF, a vmlinux, a vmlinuz or a Debian kernel package",
    )


def from_vmlinux(name: str, data: bytes, config: str = "") -> Specimen:
    """The kernel in an uncompressed vmlinux.

    Raises:  kernel_lacks.btf: it was built without CONFIG_DEBUG_INFO_BTF; usage.elf.malformed: damaged
    """
    blob = elf.section(data, ".BTF", name)
    if not blob:
        raise KernelLacks("btf", "this kernel holds no BTF", where=name, why="it was built without CONFIG_DEBUG_INFO_BTF")
    start = data.find(b"IKCFG_ST")
    if not config and start >= 0:
        try:
            config = zlib.decompressobj(31).decompress(data[start + 8 :], 1 << 24).decode("utf-8", "replace")
        except zlib.error:
            config = ""
    banner = re.search(rb"Linux version (\d[^ \0]*) ", data)
    return Specimen(name, banner[1].decode("ascii", "replace") if banner else _release_in(os.path.basename(name)), config, blob)


def _release_in(text: str) -> str:
    match = re.search(r"\d+\.\d+[^ /]*", text)
    return match[0] if match else ""


def fetched(kernel: debian.DebianKernel) -> Specimen:
    """A Debian kernel, from the cache when it was fetched before.

    Raises:  kernel_lacks.debian.fetch: apt cannot get it
    """
    place = place_of(kernel)
    with cache.locked(os.path.basename(place)):
        if not is_cached(kernel):
            image, text = debian.boot_files(kernel)
            found = elf.section(vmlinuz.unpack(image, kernel.name), ".BTF", kernel.name)
            if not found:
                raise KernelLacks("btf", f"{kernel.name} holds no BTF", where=kernel.package)
            os.makedirs(place, exist_ok=True)
            cache.write(os.path.join(place, "config"), text.encode())
            cache.write(os.path.join(place, "btf"), found)
    with open(os.path.join(place, "btf"), "rb") as file:
        blob = file.read()
    with open(os.path.join(place, "config"), "rb") as file:
        config = file.read().decode("utf-8", "replace")
    return Specimen(kernel.name, kernel.release, config, blob)


def place_of(kernel: debian.DebianKernel) -> str:
    """Where a fetched Debian kernel is kept; the folder may not exist yet."""
    return os.path.join(cache.folder("kernels"), f"{kernel.abi}-{kernel.flavour}-{kernel.version.replace('~', '_')}")


def is_cached(kernel: debian.DebianKernel) -> bool:
    """Whether a Debian kernel was fetched before."""
    return os.path.exists(os.path.join(place_of(kernel), "btf"))
