"""Debian's kernels: which can be had from the mirror that this machine's apt uses, and their files in a cache.

apt does the work (signatures, hashes, proxies) on a private state folder: the machine's own package lists are only read,
to learn the mirror's address.

Source:  apt-get(8) indextargets, sources.list(5)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time

from holdfast.errors import KernelLacks, UsageError
from holdfast.kernel import cache, deb
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

SUITES = {
    "Debian": ("bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid"),
    "Debian-Security": ("bookworm-security", "trixie-security"),
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_FORM = 2  # of the index in the cache
FRESH_S = 24 * 3600  # package lists younger than this are used as they are
FLAVOURS = ("full", "cloud", "rt")
_NAME = re.compile(r"linux-image-(?P<abi>\d[^-]*(?:-\d+)?)-(?:(?P<flavour>cloud|rt)-)?amd64(?P<unsigned>-unsigned)?")
_PARTS = re.compile(r"\blinux-(?:binary|base)-\d[^ ,]*")


class DebianKernel(Record):
    """One kernel that a Debian suite carries."""

    abi: str  # 6.1.0-56, 7.3.4+deb13: the release without the flavour
    flavour: str  # full, cloud, rt
    version: str  # the package's version, 6.1.192-2
    package: str
    parts: tuple[str, ...] = ()  # further packages that hold its image and configuration (Linux 6.19 and later)

    @property
    def name(self) -> str:
        """The name that finds it again: debian:7.3.4+deb13/cloud."""
        return f"debian:{self.abi}" + (f"/{self.flavour}" if self.flavour != "full" else "")

    @property
    def release(self) -> str:
        """What `uname -r` says on it."""
        return f"{self.abi}-{'' if self.flavour == 'full' else self.flavour + '-'}amd64"

    @property
    def series(self) -> str:
        """The upstream series: 6.12."""
        return ".".join(self.version.split(".")[:2])

    @property
    def order(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What to sort by: the upstream version, then Debian's revision."""
        upstream, _, revision = self.version.partition("-")
        first, tilde, rest = revision.partition("~")
        return numbers(upstream), (*numbers(first), 0 if tilde else 1, *numbers(rest))


def numbers(text: str) -> tuple[int, ...]:
    """Every number in a text, in order."""
    return tuple(int(n) for n in re.findall(r"\d+", text))


def parse(stanzas: str) -> list[DebianKernel]:
    """The kernels in the output of `apt-cache show`, oldest first; meta packages and doubles are left out.

    Shape:   of a signed and an unsigned build of one kernel the signed one is kept
    """
    found: dict[tuple[str, str, str], DebianKernel] = {}
    rows = [
        dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
        for stanza in stanzas.split("\n\n")
    ]
    carried = {(fields.get("Package", ""), fields.get("Version", "")) for fields in rows}  # a suite may have dropped a part
    for fields in rows:
        match = _NAME.fullmatch(fields.get("Package", ""))
        if (
            not match
            or "meta-package" in fields.get("Description", "") + fields.get("Description-en", "")
            or len(numbers(match["abi"])) < 3
        ):
            continue
        parts = tuple(p for p in dict.fromkeys(_PARTS.findall(fields.get("Depends", ""))) if (p, fields.get("Version", "")) in carried)
        kernel = DebianKernel(match["abi"], match["flavour"] or "full", fields.get("Version", ""), fields["Package"], parts)
        key = (kernel.abi, kernel.flavour, kernel.version)
        if key not in found or not match["unsigned"]:
            found[key] = kernel
    newest: dict[tuple[str, str], DebianKernel] = {}
    for kernel in sorted(found.values(), key=lambda k: k.order):
        newest[kernel.abi, kernel.flavour] = kernel
    return sorted(newest.values(), key=lambda k: (k.order, k.flavour))


def choose(kernels: Iterable[DebianKernel], wanted: str) -> DebianKernel:
    """The newest kernel that `6.12`, `7.0/cloud` or `6.1.0-56/cloud` names.

    Raises:  usage.kernel.unknown: no suite carries one
    """
    version, _, flavour = wanted.partition("/")
    flavour = flavour or "full"
    if flavour not in FLAVOURS:
        raise UsageError(
            "kernel.flavour", f"{flavour!r} is no flavour", where=f"debian:{wanted}", why=f"Debian builds {', '.join(FLAVOURS)}"
        )
    known = list(kernels)
    fits = [k for k in known if k.flavour == flavour and (version in ("newest", k.abi, k.version) or _within(k, version))]
    if not fits:
        raise UsageError(
            "kernel.unknown",
            f"no Debian suite carries a {flavour} kernel {version}",
            where=f"debian:{wanted}",
            why=f"the suites carry {' '.join(sorted({k.series for k in known}, key=numbers)) or 'none'}",
            do="holdfast kernels lists what can be had; --refresh reads the mirror again",
        )
    return max(fits, key=lambda k: k.order)


def _within(kernel: DebianKernel, version: str) -> bool:
    # 6.1 names 6.1.192 but not 6.12
    return re.fullmatch(r"[\d.]+", version) is not None and numbers(kernel.version)[: len(numbers(version))] == numbers(version)


def series(kernels: Iterable[DebianKernel], flavour: str) -> list[DebianKernel]:
    """The newest kernel of each upstream series, oldest series first."""
    newest: dict[str, DebianKernel] = {}
    for kernel in sorted(kernels, key=lambda k: k.order):
        if kernel.flavour == flavour:
            newest[kernel.series] = kernel
    return sorted(newest.values(), key=lambda k: k.order)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise KernelLacks(
            "apt.missing", f"{command[0]} is not on this machine", why="Debian's kernels are fetched by apt", do="name a file instead"
        ) from error


def _options() -> list[str]:
    # apt on a private state folder; nothing of the machine's own is changed
    state = cache.folder("apt")
    for part in ("lists/partial", "archives/partial"):
        os.makedirs(os.path.join(state, part), exist_ok=True)
    values = {
        "Dir::State::lists": f"{state}/lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": state,
        "Dir::Etc::sourcelist": f"{state}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    return [part for key, value in values.items() if value for part in ("-o", f"{key}={value}")]


def mirrors(targets: str) -> dict[str, str]:
    """Label (Debian, Debian-Security) to address, from `apt-get indextargets` lines `LABEL|ADDRESS`; the first of each counts."""
    out: dict[str, str] = {}
    for line in targets.splitlines():
        label, _, address = line.partition("|")
        if label in SUITES and address:
            out.setdefault(label, address)
    return out


def refresh() -> None:
    """Read the mirror's package lists again.

    Raises:  kernel_lacks.debian.mirror: apt knows no Debian mirror, or none can be reached
    """
    found = mirrors(_run(["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"]).stdout)
    if "Debian" not in found:
        raise KernelLacks(
            "debian.mirror", "apt knows no Debian mirror here", why="`apt-get indextargets` names none", do="name a file instead"
        )
    signed = f"[arch=amd64 signed-by={KEYRING}]" if os.path.exists(KEYRING) else "[arch=amd64]"
    lines = [f"deb {signed} {address} {suite} main\n" for label, address in found.items() for suite in SUITES[label]]
    options = _options()
    cache.write(os.path.join(cache.folder("apt"), "sources.list"), "".join(lines).encode())
    done = _run(["apt-get", *options, "-q", "update"])
    found_names = _run(["apt-cache", *options, "search", "--names-only", r"^linux-(image|binary|base)-[0-9].*-amd64(-unsigned)?$"]).stdout
    names = sorted({line.split(" ", 1)[0] for line in found_names.splitlines()})
    if not names:
        raise KernelLacks("debian.mirror", "the Debian mirror gave no kernel", why=(done.stderr.strip().splitlines() or ["no answer"])[-1])
    kernels = parse(_run(["apt-cache", *options, "show", *names]).stdout)
    rows = [dict(kernel.items()) for kernel in kernels]
    cache.write(_index(), json.dumps({"form": _FORM, "read": time.time(), "kernels": rows}, indent=1, sort_keys=True).encode())


def _index() -> str:
    return os.path.join(cache.folder("debian"), "kernels.json")


def _kept() -> dict[str, Any] | None:
    # the index in the cache, if there is one of this form
    try:
        with open(_index(), "rb") as file:
            index: dict[str, Any] = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return index if index.get("form") == _FORM else None


def available(again: bool = False) -> list[DebianKernel]:
    """Every kernel that the suites carry, oldest first; the mirror is asked at most once a day, or `again`.

    Raises:  kernel_lacks.debian.mirror: never asked before, and it cannot be reached
    """
    index = _kept()
    if again or index is None or not 0 <= time.time() - index["read"] < FRESH_S:
        with cache.locked("apt"):
            waited = _kept()  # another process may have asked while we waited
            if waited is not None and (index is None or waited["read"] > index["read"]):
                index = waited
            else:
                try:
                    refresh()
                except KernelLacks:
                    if again or index is None:
                        raise
                else:
                    index = _kept()
    return [DebianKernel(**{**row, "parts": tuple(row["parts"])}) for row in index["kernels"]] if index else []


def files(packages: Iterable[str], wanted: Callable[[str], bool], version: str = "") -> dict[str, bytes]:
    """The wanted files of some packages of the suites; the packages themselves are not kept.

    Raises:  kernel_lacks.debian.fetch: apt cannot get them
    """
    names = list(packages)
    place = os.path.join(cache.folder("debian"), f"fetch-{os.getpid()}")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    if not os.path.exists(os.path.join(cache.folder("apt"), "sources.list")):
        available(again=True)
    command = ["sh", "-c", 'cd "$1" && shift && exec apt-get "$@"', "sh", place, *_options(), "-q", "download"]
    try:
        done = _run([*command, *(f"{name}={version}" if version else name for name in names)])
        fetched = [os.path.join(place, name) for name in sorted(os.listdir(place)) if name.endswith(".deb")]
        if done.returncode or len(fetched) != len(names):
            why = (done.stderr.strip().splitlines() or ["apt-get said nothing"])[-1]
            raise KernelLacks(
                "debian.fetch",
                f"{names[0]} cannot be fetched",
                where=" ".join(names),
                why=why,
                do="holdfast kernels --refresh, then try again",
            )
        out: dict[str, bytes] = {}
        for path in fetched:
            out.update(deb.extract(path, wanted))
        return out
    finally:
        shutil.rmtree(place, ignore_errors=True)


def boot_files(kernel: DebianKernel) -> tuple[bytes, str]:
    """The vmlinuz of a Debian kernel, and its .config text.

    Raises:  kernel_lacks.debian.fetch: apt cannot get it, or its packages hold no image
    """
    image, config = b"", ""
    for name, body in files([kernel.package, *kernel.parts], lambda name: is_image(name) or is_config(name), kernel.version).items():
        if is_image(name):
            image = body
        else:
            config = body.decode("utf-8", "replace")
    if not image:
        raise KernelLacks(
            "debian.fetch", f"no package of {kernel.name} holds a vmlinuz", where=kernel.package, do="report it: the packages changed"
        )
    return image, config


def is_image(name: str) -> bool:
    """Whether a file of a package is a bootable kernel image."""
    return name.startswith("boot/vmlinuz-") or (name.startswith(("usr/lib/modules/", "lib/modules/")) and name.endswith("/vmlinuz"))


def is_config(name: str) -> bool:
    """Whether a file of a package is a kernel's configuration."""
    return name.startswith("boot/config-") or (name.startswith(("usr/lib/modules/", "lib/modules/")) and name.endswith("/config"))
