"""Files inside a Debian package, without dpkg.

Source:  deb(5), ar(5)
"""

from __future__ import annotations

import io
import lzma
import tarfile

from holdfast.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

LARGEST_MEMBER = 1 << 28  # a vmlinuz is 15 MiB, an uncompressed module at most a few


def extract(path: str, wanted: Callable[[str], bool], most: int = 0) -> dict[str, bytes]:
    """The files of a package whose names are wanted, by name without the leading `./`; stops after `most` (0: all).

    Raises:  usage.deb.malformed: not a Debian package, or damaged
    """
    out: dict[str, bytes] = {}
    try:
        with open(path, "rb") as package, _data(package, path) as data, tarfile.open(fileobj=data, mode="r|") as tar:
            for entry in tar:
                name = entry.name.removeprefix("./")
                if not entry.isfile() or entry.size > LARGEST_MEMBER or not wanted(name):
                    continue
                body = tar.extractfile(entry)
                if body is not None:
                    out[name] = body.read()
                if most and len(out) >= most:
                    break
    except (UsageError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise _malformed(str(error), path) from error
    return out


def _data(package: IO[bytes], path: str) -> IO[bytes]:
    # the member data.tar.* as a stream of plain tar
    if package.read(8) != b"!<arch>\n":
        raise _malformed("it does not start like an ar archive", path)
    while len(header := package.read(60)) == 60:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        if not name.startswith("data.tar"):
            package.seek(size + size % 2, io.SEEK_CUR)
            continue
        if name == "data.tar.xz":
            return lzma.LZMAFile(package)
        if name == "data.tar.gz":
            import gzip  # only this form needs it

            return io.BytesIO(gzip.decompress(package.read(size)))
        if name == "data.tar.zst":
            import zstandard  # only this form needs it

            return zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(package)
        if name == "data.tar":
            return package
        raise _malformed(f"its data is packed as {name}", path)
    raise _malformed("it has no data.tar", path)


def _malformed(why: str, where: str) -> UsageError:
    return UsageError("deb.malformed", "this is not a usable Debian package", where=where, why=why, do="fetch the package again")
