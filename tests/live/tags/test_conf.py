"""What is exported means to the kernel's own tools what it says: Debian's trees, their merge_config.sh and conf."""

from __future__ import annotations

import lzma
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import cache, debian, kconfig
from holdfast.tags import evaluate, export, fetch, scopes, table
from holdfast.tags.tree import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.tags.tree import Tree

pytestmark = [pytest.mark.tool("gcc"), pytest.mark.tool("apt-get", "apt"), pytest.mark.timeout(900), pytest.mark.xdist_group("kconfig")]
DATA = Path(__file__).parents[2] / "_data" / "tags"
SERIES = ("6.1", "6.12", "7.3")
LIBRARIES = "usr/lib/x86_64-linux-gnu/"


class Kernel:
    """One Debian kernel's tree, its config, and the conf that belongs to it."""

    def __init__(self, series: str) -> None:
        self.series = series
        self.root = fetch.tree(f"debian:{series}")
        self.tree: Tree = read(self.root)
        self.config = lzma.decompress((DATA / f"config-{series}-amd64.xz").read_bytes())
        self.conf = _tools(series)

    def run(self, config: Path, top: str = "Kconfig") -> kconfig.Config:
        """The config after the kernel's own conf has completed it."""
        env = {
            "PATH": os.environ["PATH"],
            "srctree": ".",
            "ARCH": "x86",
            "SRCARCH": "x86",
            "CC": "gcc",
            "LD": "ld",
            "KERNELVERSION": self.series,
            "KCONFIG_CONFIG": str(config),
            **dict.fromkeys(("CLANG_FLAGS", "NM", "OBJCOPY", "RUSTC", "BINDGEN", "PAHOLE"), "false"),
            "CC_VERSION_TEXT": "gcc",
            "PYTHON3": "python3",
        }
        done = subprocess.run([*self.conf, "--olddefconfig", top], cwd=self.root, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert [line for line in done.stderr.splitlines() if "symbol value" in line] == []
        return kconfig.parse(config.read_bytes())

    def merged(self, fragment: str, folder: Path) -> Path:
        """The Debian config with a fragment merged in by the tree's own merge_config.sh."""
        base, part = folder / "base", folder / "fragment"
        base.write_bytes(self.config)
        part.write_text(fragment)
        command = ["bash", "scripts/kconfig/merge_config.sh", "-m", "-O", str(folder), str(base), str(part)]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return folder / ".config"


# Debian builds conf for its own newest C library: run it with that one.
def _tools(series: str) -> Sequence[str]:
    with cache.locked(f"conf-{series}"):
        return _fetched_tools(series)


def _fetched_tools(series: str) -> Sequence[str]:
    place = Path(cache.folder("kconfig", f"conf-{series}"))
    conf, loader = place / "conf", place / "ld-linux-x86-64.so.2"
    if not loader.exists():
        kernel = debian.choose(debian.available(), series)
        package = "linux-kbuild-6.1" if series == "6.1" else f"linux-kbuild-{kernel.abi}"
        found = debian.files([package], lambda name: name.endswith("/scripts/kconfig/conf"))
        cache.write(str(conf), next(iter(found.values())))
        conf.chmod(0o755)
        wanted = {LIBRARIES + "libc.so.6", LIBRARIES + loader.name}
        for name, body in sorted(debian.files(["libc6"], lambda name: name in wanted).items(), reverse=True):
            cache.write(str(place / os.path.basename(name)), body)
        (place / "libc.so.6").chmod(0o755)
        loader.chmod(0o755)
    return [str(loader), "--library-path", str(place), str(conf)]


@pytest.fixture(scope="module", params=SERIES)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    series: str = request.param
    place = cache.folder("kconfig")
    have = any(name.startswith(f"{series}-") for name in os.listdir(place)) and os.path.exists(os.path.join(place, f"conf-{series}"))
    if not have and os.environ.get("HOLDFAST_FORCE") != "1":
        pytest.skip(f"fetches 150 MB: HOLDFAST_FORCE=1 make test ARGS='tests/live/tags -k {series}'")
    return Kernel(series)


def test_the_tree_is_read_whole_and_declares_what_debian_sets(kernel: Kernel) -> None:
    assert kernel.tree.problems == ()
    names, shipped = kconfig.parse(kernel.config).values, scopes.shipped()
    assert [name for name in names if name not in kernel.tree.options] == []
    assert [name for name in kernel.tree.options if name not in shipped] == []


@pytest.mark.parametrize("engine", ["native", "criu"])
def test_conf_grants_every_wish_of_the_fragment(kernel: Kernel, engine: str, tmp_path: Path) -> None:
    before = kconfig.parse(kernel.config)
    rows = table.load()
    found, fixed = export.closed(export.wishes(rows, engine, (), kernel.tree), kernel.tree, before)
    after = kernel.run(kernel.merged(export.fragment(found, engine, fixed), tmp_path))
    assert [w.name for w in export.misses(found, after)] == []
    assert len(fixed) < 10
    unsafe = {e: evaluate.config(c, rows, scopes.shipped(), engine).counts["UNSAFE"] for e, c in (("before", before), ("after", after))}
    assert unsafe["after"] < unsafe["before"] / 20


@pytest.mark.parametrize("engine", ["native", "criu"])
def test_conf_lets_the_symbol_be_set_only_where_it_is_true(kernel: Kernel, engine: str, tmp_path: Path) -> None:
    found, fixed = export.closed(export.wishes(table.load(), engine, (), kernel.tree), kernel.tree, kconfig.parse(kernel.config))
    extra, top = tmp_path / "Kconfig.checkpoint", tmp_path / "Kconfig"
    extra.write_text(export.kconfig(found, engine))
    top.write_text(Path(kernel.root, "Kconfig").read_text() + f'\nsource "{extra}"\n')
    symbol = "CHECKPOINT_SAFE" if engine == "native" else "CHECKPOINT_SAFE_CRIU"
    safe = kernel.merged(export.fragment(found, engine, fixed) + f"CONFIG_{symbol}=y\n", tmp_path)
    assert kernel.run(safe, str(top)).state(symbol) == "y"
    debian_own = tmp_path / "debian"
    debian_own.write_bytes(kernel.config + f"CONFIG_{symbol}=y\n".encode())
    assert kernel.run(debian_own, str(top)).state(symbol) == "n"


# parameters that a kernel takes and that its list of parameters leaves out, with where it takes them; and those that are not the kernel's
ELSEWHERE = {
    "ibt": "arch/x86/kernel/cet.c",
    "nousershstk": "arch/x86/kernel/cpu/common.c",
    "setcpuid": "arch/x86/kernel/cpu/common.c",
    "notsc": "arch/x86/kernel/tsc.c",
    "swapaccount": "mm/memcontrol.c",
    "BOOT_IMAGE": "the boot loader",
    "biosdevname": "udev",
    "splash": "plymouth",
    "fastboot": "initramfs-tools",
}


def test_every_boot_parameter_is_one_of_some_kernel(kernel: Kernel) -> None:
    places = [
        Path(fetch.tree(f"debian:{series}"), "Documentation/admin-guide/kernel-parameters.txt") for series in {*SERIES, kernel.series}
    ]
    listed = {word.replace("-", "_") for place in places for word in re.findall(r"^\s+([\w.-]+)", place.read_text(), re.MULTILINE)}
    names = [name for name in table.load().names["cmdline"] if "." not in name and name not in ELSEWHERE]
    assert [name for name in names if name not in listed] == []


def test_the_plain_kconfig_file_parses_in_any_tree(kernel: Kernel, tmp_path: Path) -> None:
    extra, top, config = tmp_path / "Kconfig.checkpoint", tmp_path / "Kconfig", tmp_path / "config"
    extra.write_text(export.kconfig(export.wishes(table.load(), "native"), "native"))
    top.write_text(Path(kernel.root, "Kconfig").read_text() + f'\nsource "{extra}"\n')
    config.write_bytes(kernel.config + b"CONFIG_CHECKPOINT_SAFE=y\n")
    assert kernel.run(config, str(top)).state("CHECKPOINT_SAFE") == "n"
