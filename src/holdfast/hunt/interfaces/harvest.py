"""The constants that recipes are made of: every integer name of the kernel's user-space headers, by header and prefix.

Two sources are put together, and the newer one wins nothing, for a UAPI number never changes: the table beside this file, made from the
newest package of headers that Debian carries, and the headers that are installed here. So a hunt needs no compiler and no network, and
a constant that is added to the installed headers is there at the next start.

`python -m holdfast.hunt.interfaces.harvest` makes the table again.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

from holdfast.hunt.interfaces import headers, layout
from holdfast.kernel import cache, debian
from holdfast.prog.text import Const, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Ask = Callable[[Sequence[Line], Line], "bytes | int | None"]
"""Runs some lines and then one getter in a fresh process: the buffer that the getter filled, or its result; None where one fails."""

FORM = 2  # of what is cached
INSTALLED = ("/usr/include", "/usr/include/x86_64-linux-gnu")
PACKAGED = ("usr/include", "usr/lib/linux/uapi/x86", "usr/include/x86_64-linux-gnu")
LIBC = ("sys/socket.h", "bits/socket.h", "bits/socket_type.h")
"""AF_*, SOL_* and SOCK_* stand in the kernel's own headers, which no package installs; the C library repeats them."""
LEFT_OUT = (
    "asm-generic/unistd.h", "asm/bootparam.h", "asm/kvm", "asm/svm.h", "asm/unistd", "asm/vmx.h", "linux/android/", "linux/apm_bios.h",
    "linux/arcfb.h", "linux/aspeed", "linux/atm", "linux/audit.h", "linux/batadv", "linux/batman_adv.h", "linux/bpf_common.h",
    "linux/btrfs_tree.h", "linux/byteorder/", "linux/caif/", "linux/can/", "linux/cdrom.h", "linux/cec", "linux/cifs/", "linux/coda.h",
    "linux/comedi.h", "linux/counter.h", "linux/cxl_mem.h", "linux/cyclades.h", "linux/devlink.h", "linux/dlm", "linux/dm-",
    "linux/dpll.h", "linux/dvb", "linux/edd.h", "linux/elf-em.h", "linux/elf.h", "linux/ethtool", "linux/fb.h", "linux/fou.h",
    "linux/genetlink.h", "linux/genwqe/", "linux/gpio.h", "linux/gtp.h", "linux/handshake.h", "linux/hdlc/", "linux/hid", "linux/hsi/",
    "linux/i2o-dev.h", "linux/i8k.h", "linux/ieee802154", "linux/if_bridge.h", "linux/if_link.h", "linux/iio/", "linux/ila.h",
    "linux/input-event-codes.h", "linux/input.h", "linux/ioam6", "linux/ipmi", "linux/isdn/", "linux/ivtv", "linux/joystick.h",
    "linux/kfd_", "linux/kvm", "linux/l2tp.h", "linux/lirc.h", "linux/major.h", "linux/map_to_", "linux/mdio.h", "linux/media",
    "linux/meye.h", "linux/mii.h", "linux/misc/", "linux/mmc/", "linux/mpls", "linux/mptcp_pm.h", "linux/ncsi.h", "linux/ndctl.h",
    "linux/net_dropmon.h", "linux/net_shaper.h", "linux/netdev.h", "linux/netfilter", "linux/nexthop.h", "linux/nfc.h", "linux/nfs",
    "linux/nl80211", "linux/nl802154.h", "linux/nvme", "linux/openvswitch.h", "linux/ovpn.h", "linux/patchkey.h", "linux/pci_regs.h",
    "linux/pkt_", "linux/psample.h", "linux/ptp_clock.h", "linux/qnx", "linux/raid/", "linux/rio_", "linux/rtnetlink.h",
    "linux/screen_info.h", "linux/scsi", "linux/seg6", "linux/snmp.h", "linux/sonypi.h", "linux/soundcard.h", "linux/spi/",
    "linux/stddef.h", "linux/sunrpc/", "linux/surface_aggregator/", "linux/swab.h", "linux/switchtec_ioctl.h", "linux/synclink.h",
    "linux/sysctl.h", "linux/taskstats.h", "linux/tc_", "linux/team.h", "linux/thermal.h", "linux/tipc", "linux/toshiba.h",
    "linux/tty_flags.h", "linux/ublk", "linux/uhid.h", "linux/usb/", "linux/usbdevice_fs.h", "linux/uvcvideo.h", "linux/v4l2-",
    "linux/vfio", "linux/vhost", "linux/videodev2.h", "linux/virtio", "linux/watch_queue.h", "linux/wireless.h", "linux/wmi.h",
    "linux/zorro_ids.h",
)  # fmt: skip
"""Of devices, the configuration of networks, and formats of files, which no table makes a state of; they are most of the names."""


class Constants:
    """Integer constants of headers by name.

    Shape:   from rows (name, value, header); the first row of a name counts
    """

    def __init__(self, rows: Iterable[tuple[str, int, str]]) -> None:
        self._rows: dict[str, tuple[int, str]] = {}
        for name, value, header in rows:
            self._rows.setdefault(name, (value, header))

    def __getitem__(self, name: str) -> Const:
        """The constant; KeyError where no header has it."""
        return Const(name, self._rows[name][0])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Const]:
        return (Const(name, value) for name, (value, _) in self._rows.items())

    def get(self, name: str) -> Const | None:
        """The constant, or None where no header has it."""
        row = self._rows.get(name)
        return None if row is None else Const(name, row[0])

    def has(self, name: str) -> bool:
        """Whether a header has it."""
        return name in self._rows

    def header(self, name: str) -> str:
        """The header that has it, as in an #include; KeyError where none has."""
        return self._rows[name][1]

    def prefixed(self, *prefixes: str, header: str | tuple[str, ...] = "") -> list[Const]:
        """Every constant whose name begins with one of the prefixes, of one header or of some where that is said; by value, then name."""
        homes = (header,) if isinstance(header, str) else header
        found = [
            Const(name, value) for name, (value, home) in self._rows.items() if name.startswith(prefixes) and (not header or home in homes)
        ]
        return sorted(found, key=lambda c: (c.value, c.name))

    def rows(self) -> list[tuple[str, int, str]]:
        """Every (name, value, header), by header, then value, then name."""
        return sorted(((n, v, h) for n, (v, h) in self._rows.items()), key=lambda row: (row[2], row[1], row[0]))


def load(folders: Sequence[str] = INSTALLED) -> Constants:
    """The constants of the table and of the headers that are installed here."""
    return Constants([*parsed(_shipped()), *of_folder(*folders).rows()])


def of_folder(*folders: str) -> Constants:
    """The constants of the headers in some folders, which are looked through in order; read once, then taken from the cache.

    Shape:   empty where there are no headers
    """
    names = sorted(_names(folders))
    stamp = _stamp(folders, names)
    kept = _place(f"constants-{FORM}-{stamp}.tsv")
    try:
        with open(kept or os.devnull, encoding="utf-8") as file:
            if text := file.read():
                return Constants(parsed(text))
    except FileNotFoundError:
        pass

    def source(name: str) -> str | None:
        for folder in folders:
            try:
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    found = _read(source, names)
    if kept:
        cache.write(kept, written(found).encode())
    return found


def _place(name: str) -> str:
    # where something may be kept; in a sandbox nothing can, and headers are read again
    try:
        folder = cache.folder("headers")
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        return ""
    path = os.path.join(folder, name)
    return path if os.path.exists(path) or os.access(folder, os.W_OK) else ""


def of_package() -> Constants:
    """The constants of the newest package of headers that a Debian suite carries; the C library's own come from this machine.

    Raises:  kernel_lacks.debian.fetch: apt cannot get it
    """
    files = debian.files(["linux-libc-dev"], lambda name: name.endswith(".h") and name.startswith(PACKAGED))
    texts: dict[str, str] = {}
    for root in PACKAGED:
        for path, body in files.items():
            if path.startswith(f"{root}/"):
                texts.setdefault(path.removeprefix(f"{root}/"), body.decode("utf-8", "replace"))

    def source(name: str) -> str | None:
        if name in LIBC:
            for folder in INSTALLED:
                if os.path.exists(f"{folder}/{name}"):
                    with open(f"{folder}/{name}", encoding="utf-8") as file:
                        return file.read()
        return texts.get(name)

    return _read(source, sorted(name for name in texts if name.startswith(("linux/", "asm/"))))


def _read(source: Callable[[str], str | None], names: Sequence[str]) -> Constants:
    def wanted(name: str) -> str | None:
        return source(name) if name in LIBC or name.startswith(("linux/", "asm/", "asm-generic/")) else None

    found = headers.constants(wanted, [*names, *LIBC[:1]])
    return Constants((name, value, home) for name, (value, home) in found.items() if home and not home.startswith(LEFT_OUT))


def _names(folders: Sequence[str]) -> set[str]:
    out: set[str] = set()
    for folder in folders:
        for part in ("linux", "asm"):
            for root, _, files in os.walk(os.path.join(folder, part)):
                out |= {os.path.relpath(os.path.join(root, name), folder) for name in files if name.endswith(".h")}
    return out


def _stamp(folders: Sequence[str], names: Sequence[str]) -> str:
    # of the size and time of every header, and of what reads them
    import hashlib  # a hunt only: no dump or restore comes here

    digest = hashlib.sha256()
    for path in (*(os.path.join(f, n) for f in folders for n in names), __file__, headers.__file__, layout.__file__):
        try:
            found = os.stat(path)
        except OSError:
            continue
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def parsed(text: str) -> Iterator[tuple[str, int, str]]:
    """The rows of a table: a header on a line of its own, then a line `name value` for each constant, value in decimal or hex."""
    header = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.partition("\t")
        if value:
            yield name, int(value, 0), header
        else:
            header = name


def written(constants: Constants) -> str:
    """Constants as a table: see `parsed`."""
    out: list[str] = []
    last = ""
    for name, value, header in constants.rows():
        if header != last:
            out.append(header)
            last = header
        out.append(f"{name}\t{hex(value) if value > 0xFFFF else value}")
    return "\n".join(out) + "\n"


def _shipped() -> str:
    with open(table(), encoding="utf-8") as file:
        return file.read()


def table() -> str:
    """The path of the table that is checked in."""
    return os.path.join(os.path.dirname(__file__), "headers.tsv")


def main() -> None:
    """Make the table again from the newest package, over what it holds: a constant that a newer kernel drops is still one to try."""
    found = of_package()
    kept = list(parsed(_shipped())) if os.path.exists(table()) else []
    text = written(Constants([*found.rows(), *(row for row in kept if not row[2].startswith(LEFT_OUT))]))
    cache.write(table(), ("# linux-libc-dev; made by python -m holdfast.hunt.interfaces.harvest\n" + text).encode())
    sys.stdout.write(f"{table()}: {len(text.splitlines())} lines\n")


if __name__ == "__main__":
    main()
