"""Where a kernel config comes from: a file, stdin, config.gz, a Debian kernel package, a cached Debian kernel, the running kernel."""

from __future__ import annotations

import os
import sys
import zlib

from holdfast.errors import KernelLacks, UsageError
from holdfast.kernel.kconfig import LIMIT_BYTES

_DEB, _GZIP, _XZ, _ELF = b"!<arch>\n", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x7fELF"


def read(path: str) -> tuple[bytes, str]:
    """The text of a .config, and where it was found.

    Shape:   `path` may be - for stdin, debian:6.12 or debian:7.0/cloud for a kernel of Debian's suites, or any file
    Raises:  usage.kconfig.unreadable: no such file, or not allowed
    Raises:  usage.kconfig.packed: what is packed is damaged, or unpacks to too much
    Raises:  usage.kconfig.several: a package holds several configs
    Raises:  usage.kconfig.kernel: it is a kernel image, not its config
    """
    if path.startswith("debian:"):
        # apt and its lists are wanted by this form only
        from holdfast.kernel import debian

        kernel = debian.choose(debian.available(), path.removeprefix("debian:"))
        return debian.boot_files(kernel)[1].encode(), kernel.name
    try:
        if path == "-":
            head, where = sys.stdin.buffer.read(LIMIT_BYTES + 1), "stdin"
        else:
            with open(path, "rb") as file:
                head, where = file.read(LIMIT_BYTES + 1), path
    except OSError as error:
        raise UsageError(
            "kconfig.unreadable", f"{path} cannot be read", where=path, why=str(error.strerror), do="give a .config, config.gz or .deb"
        ) from error
    if head.startswith(_DEB):
        if path == "-":
            raise UsageError("kconfig.several", "a package cannot come from stdin", where="stdin", do="give its path")
        return _from_package(path)
    return unpacked(head, where), where


def unpacked(data: bytes, where: str) -> bytes:
    """Text as it is, or out of gzip or xz; never more than the parser's limit and one byte.

    Raises:  usage.kconfig.packed: damaged, or unpacks to too much
    Raises:  usage.kconfig.kernel: it is a kernel image, not its config
    """
    if data.startswith(_GZIP):
        unpack = zlib.decompressobj(wbits=31)
        try:
            text = unpack.decompress(data, LIMIT_BYTES + 1)
        except zlib.error as error:
            raise _packed(where, str(error)) from error
        if not unpack.eof:
            raise _packed(where, "it is cut, or holds more than a config")
        return text
    if data.startswith(_XZ):
        # 2 ms that only this form costs
        import lzma

        try:
            unxz = lzma.LZMADecompressor(memlimit=1 << 28)
            text = unxz.decompress(data, LIMIT_BYTES + 1)
        except lzma.LZMAError as error:
            raise _packed(where, str(error)) from error
        if not unxz.eof:
            raise _packed(where, "it is cut, or holds more than a config")
        return text
    if data.startswith(_ELF) or data[0x202:0x206] == b"HdrS":
        raise UsageError(
            "kconfig.kernel", "this is a kernel image, not its config", where=where, do="give the file boot/config-* that belongs to it"
        )
    return data


def _from_package(path: str) -> tuple[bytes, str]:
    # tar, lzma and zstd are wanted by this form only
    from holdfast.kernel import deb, debian

    found = deb.extract(path, lambda name: debian.is_config(name) or _is_config_list(name), 2)
    if len(found) == 1:
        name, data = found.popitem()
        return unpacked(data, f"{path}: {name}"), f"{path}: {name}"
    if found:
        raise UsageError(
            "kconfig.several",
            "the package holds several configs",
            where=path,
            why=", ".join(sorted(found)),
            do="unpack it with dpkg-deb -x and give one",
        )
    raise UsageError(
        "kconfig.several", "the package holds no config", where=path, why="no boot/config-* in it", do="give a linux-image package"
    )


def _is_config_list(name: str) -> bool:
    return name.startswith("usr/src/linux-config-") and os.path.basename(name).startswith("config.")


def _packed(where: str, why: str) -> UsageError:
    return UsageError("kconfig.packed", "what is packed here cannot be read", where=where, why=why, do="fetch or make the file again")


def running() -> tuple[bytes, str]:
    """The config of the running kernel.

    Raises:  kernel_lacks.config: neither /proc/config.gz nor a file in /boot says
    Source:  proc(5) config.gz; Debian policy for /boot/config-*
    """
    release = os.uname().release
    places = ("/proc/config.gz", f"/boot/config-{release}", f"/lib/modules/{release}/config", f"/usr/lib/modules/{release}/config")
    for place in places:
        if os.path.exists(place):
            return read(place)
    raise KernelLacks("config", "the running kernel's config is not to be had", where=" ".join(places), do="give its path")
