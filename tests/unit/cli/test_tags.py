"""The command: formats, exit codes, bad input, discovered tags, export."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from holdfast.cli.tags import command
from holdfast.errors import HoldfastError
from holdfast.kernel import kconfig

if TYPE_CHECKING:
    from click.testing import Result

DATA = Path(__file__).parents[2] / "_data" / "tags"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "store" / "tags.jsonl"
    monkeypatch.setenv("HOLDFAST_TAGS", str(path))
    return path


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, list(words), input=stdin)


def code(result: Result) -> str:
    assert isinstance(result.exception, HoldfastError), result.output
    return result.exception.code


@pytest.mark.parametrize("version", ["6.1", "6.12", "7.3"])
def test_debian_configs_packed_as_they_are(version: str) -> None:
    result = run(str(DATA / f"config-{version}-amd64.xz"))
    assert result.exit_code == 60
    assert result.output.startswith("UNSAFE ")
    assert " UNKNOWN" not in result.output.splitlines()[0]


def test_json_has_a_verdict_for_every_option() -> None:
    result = run("--json", "--all", str(DATA / "config-6.12-amd64.xz"))
    document = json.loads(result.output)
    names = kconfig.parse(lzma.decompress((DATA / "config-6.12-amd64.xz").read_bytes())).values
    assert (document["command"], document["verdict"], document["schema"]) == ("tags", "UNSAFE", 1)
    assert set(document["judged"][0]["options"]) == set(names)
    assert set(document["judged"][0]["options"].values()) <= {"OK", "PARTIAL", "UNTESTED", "UNSAFE"}


def test_the_same_input_gives_the_same_bytes() -> None:
    words = ("--format", "sarif", "--engine", "native,criu", str(DATA / "config-7.3-amd64.xz"))
    assert run(*words).output == run(*words).output


def test_stdin_and_exit_codes() -> None:
    text = lzma.decompress((DATA / "config-6.1-amd64.xz").read_bytes())
    assert run("-", stdin=text).exit_code == 60
    assert run("--fail-on", "none", "-", stdin=text).exit_code == 0
    assert run("--fail-on", "unknown", "-", stdin=text).exit_code == 0
    assert code(run("--fail-on", "sometimes", "-", stdin=text)) == "usage.tags.fail_on"


@pytest.mark.parametrize(
    ("stdin", "error"),
    [
        (b"", "usage.kconfig.empty"),
        (b"\0" * 4096, "usage.kconfig.binary"),
        (b"\xff\xfe\x00C", "usage.kconfig.binary"),
        (b"A" * (100 << 20), "usage.kconfig.large"),
        (b"\x1f\x8b\x08", "usage.kconfig.packed"),
    ],
    ids=["empty", "zeros", "utf-16", "100 MB", "cut gzip"],
)
def test_bad_input_is_an_error_that_names_it(stdin: bytes, error: str) -> None:
    assert code(run("-", stdin=stdin)) == error


def test_a_cut_config_is_unknown_and_never_green() -> None:
    text = lzma.decompress((DATA / "config-6.12-amd64.xz").read_bytes())
    result = run("--fail-on", "unknown", "-", stdin=b"\n".join(line for line in text[:90000].split(b"\n") if b"=" not in line) + b"\n")
    assert (result.exit_code, result.output.split()[0]) == (60, "UNKNOWN")


def test_kernel_and_engine_version() -> None:
    config = str(DATA / "config-6.12-amd64.xz")
    new = json.loads(run("--json", "--all", "--engine", "criu:4.2", "--kernel", "6.18", config).output)
    old = json.loads(run("--json", "--all", "--engine", "criu:3.17", "--kernel", "6.18", config).output)
    assert (new["judged"][0]["options"]["GENERIC_GETTIMEOFDAY"], old["judged"][0]["options"]["GENERIC_GETTIMEOFDAY"]) == (
        "PARTIAL",
        "UNSAFE",
    )
    assert code(run("--engine", "dmtcp", config)) == "usage.tags.engine"
    assert code(run("--engine", "criu:new", config)) == "usage.release.malformed"


def test_captured_cmdline_and_sysctls(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("quiet vdso=0\n")
    (tmp_path / "sysctl").write_text("kernel.yama.ptrace_scope = 3\n")
    output = run("--cmdline", str(tmp_path / "cmdline"), "--sysctl", str(tmp_path / "sysctl")).output
    assert output.splitlines()[0].startswith(f"PARTIAL {tmp_path}/cmdline: engine native")
    assert "UNSAFE    failed   sysctl.ptrace_scope" in output


def test_show() -> None:
    output = run("show", "CONFIG_IO_URING").output
    assert output.startswith("declared in init/Kconfig\n\n### kconfig.io_uring")
    assert "### space.can" not in output
    assert "### space.af_can" in run("show", "CAN_RAW").output
    assert "### sysctl.pid_max" in run("show", "kernel.pid_max").output
    assert code(run("show", "NOT_A_THING")) == "usage.tags.name"


def test_add_then_judge(tmp_path: Path, store: Path) -> None:
    finding = {
        "code": "hunt.lost",
        "subject": "fd.signalfd mask",
        "verdict": "lost",
        "severity": "high",
        "what": "the mask is gone",
        "engine": "native",
        "kernel": "6.12",
        "reproducer": "fd = signalfd4(-1, {SIGUSR1}, 0)",
        "facts": {"kconfig": "SIGNALFD"},
    }
    path = tmp_path / "finding.json"
    path.write_text(json.dumps(finding))
    assert run("add", str(path)).output.startswith("added discovered.")
    assert run("add", str(path)).output.startswith("nothing new")
    config = str(DATA / "config-6.12-amd64.xz")
    lines = [line for line in run(config).output.splitlines() if "discovered." in line]
    assert len(lines) == 1
    assert lines[0].endswith("the mask is gone (discovered, fd = signalfd4(-1, {SIGUSR1}, 0))")
    assert json.loads(run("--json", "--all", config).output)["judged"][0]["options"]["SIGNALFD"] == "UNSAFE"
    assert "discovered." not in run(str(DATA / "config-6.1-amd64.xz")).output
    store.write_text(store.read_text().replace("signalfd4", "signalfd5"))
    assert code(run(config)) == "usage.tags.damaged"


@pytest.mark.parametrize("form", ["kconfig", "fragment", "markdown"])
def test_export(form: str) -> None:
    output = run("export", "--format", form).output
    assert {"kconfig": "depends on !IO_URING", "fragment": "# CONFIG_IO_URING is not set", "markdown": "### kconfig.io_uring"}[
        form
    ] in output


def test_this_machine() -> None:
    result = run("--sysctl", "/dev/null")
    assert result.output.split()[0] == "UNKNOWN"
