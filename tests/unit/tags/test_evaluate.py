"""Judging: the worst verdict counts, and what nobody knows is never OK."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from holdfast.kernel import kconfig
from holdfast.tags import evaluate, scopes, table
from holdfast.tags.row import On, Tag, carried, failed, flag, knob, lost, needed, nothing, option, partly, refused, space

DATA = Path(__file__).parents[2] / "_data" / "tags"
HEAD = b"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.117 Kernel Configuration\n#\n"
TAIL = b"# end of Kernel hacking\n"
ROWS = (
    option("rings", "RINGS", "rings", "x(7)", "rule: x", native=refused(), criu=lost()),
    option("base", "BASE BASE_TWO", "base", "x(7)", "rule: x", native=needed("no base"), criu=needed("slow", partial=True)),
    option("since", "SINCE", "since", "x(7)", "rule: x", native=(*failed(kernel="6.13.."), *carried(kernel="..6.12")), criu=carried()),
    option("by_version", "BYV", "byv", "x(7)", "rule: x", native=carried(), criu=(*failed(version="..3.19"), *carried(version="4.0.."))),
    space("net", "net", "net", "x(7)", "rule: x", native=nothing(), criu=nothing()),
    space("can", "net/can", "can", "x(7)", "rule: x", native=refused(), criu=failed(), roots="CAN"),
)
SCOPES = {
    "NET": "net/Kconfig",
    "CAN": "net/can/Kconfig",
    "CAN_RAW": "net/can/Kconfig",
    "RINGS": "init/Kconfig",
    "BOTH": "net/Kconfig|net/can/Kconfig",
}


def discovered(scope: str, verdict: tuple[On, ...]) -> Tag:
    row = option("d", scope, "d", "hunt", "measured: x", native=verdict, criu=verdict)
    return row.replace(name="discovered.d", evidence="discovered")


def judge(
    body: bytes, engine: str = "native", rows: tuple[Tag, ...] = ROWS, *, kernel: str = "", version: str = "", whole: bool = True
) -> evaluate.Judged:
    text = HEAD + b"CONFIG_BASE=y\nCONFIG_BASE_TWO=y\n" + body + (TAIL if whole else b"")
    return evaluate.config(kconfig.parse(text), table.Table(rows), SCOPES, engine, kernel, version)


@pytest.mark.parametrize(
    ("body", "engine", "name", "verdict", "effect"),
    [
        (b"CONFIG_RINGS=y\n", "native", "kconfig.rings", "UNSAFE", "refused"),
        (b"CONFIG_RINGS=m\n", "criu", "kconfig.rings", "UNSAFE", "lost"),
        (b"CONFIG_CAN_RAW=m\n", "native", "space.can", "UNSAFE", "refused"),
        (b"CONFIG_NET=y\n", "native", "space.net", "OK", "none"),
        (b"CONFIG_BOTH=y\n", "native", "space.can", "UNSAFE", "refused"),
        (b"CONFIG_SINCE=y\n", "native", "kconfig.since", "OK", "carried"),
    ],
)
def test_an_option_that_is_on_speaks(body: bytes, engine: str, name: str, verdict: str, effect: str) -> None:
    found = {f.subject: f for f in judge(body, engine).findings}
    assert (found[name].verdict, found[name].fact("effect")) == (verdict, effect)


def test_an_option_that_is_off_adds_nothing() -> None:
    judged = judge(b"# CONFIG_RINGS is not set\n# CONFIG_CAN_RAW is not set\n")
    assert judged.verdict == "OK"
    assert judged.options == {"BASE": "OK", "BASE_TWO": "OK", "RINGS": "OK", "CAN_RAW": "OK"}


@pytest.mark.parametrize(("engine", "verdict"), [("native", "UNSAFE"), ("criu", "PARTIAL")])
@pytest.mark.parametrize("body", [b"# CONFIG_BASE is not set\n", b""])
def test_what_an_engine_needs_must_be_there(engine: str, verdict: str, body: bytes) -> None:
    config = kconfig.parse(HEAD + b"CONFIG_BASE_TWO=y\n" + body + TAIL)
    judged = evaluate.config(config, table.Table(ROWS), SCOPES, engine)
    finding = next(f for f in judged.findings if f.subject == "kconfig.base")
    assert (finding.verdict, finding.fact("effect"), finding.fact("names")) == (verdict, "missing", "BASE")


def test_the_range_of_kernels_decides() -> None:
    assert judge(b"CONFIG_SINCE=y\n", kernel="6.13.2").verdict == "UNSAFE"
    assert judge(b"CONFIG_SINCE=y\n", kernel="6.12.1").verdict == "OK"


def test_the_version_of_an_engine_decides_and_the_default_is_the_one_that_was_read() -> None:
    assert judge(b"CONFIG_BYV=y\n", "criu", version="3.17").options["BYV"] == "UNSAFE"
    assert judge(b"CONFIG_BYV=y\n", "criu").options["BYV"] == "OK"


def test_unknown_options_are_unknown_even_when_off() -> None:
    judged = judge(b"CONFIG_NEVER_HEARD=y\n# CONFIG_NOR_THIS is not set\n")
    assert judged.verdict == "UNKNOWN"
    assert (judged.options["NEVER_HEARD"], judged.options["NOR_THIS"]) == ("UNKNOWN", "UNKNOWN")


def test_two_values_are_unknown() -> None:
    judged = judge(b"CONFIG_NET=y\n# CONFIG_NET is not set\n")
    assert (judged.verdict, judged.options["NET"]) == ("UNKNOWN", "UNKNOWN")


def test_a_cut_config_is_never_ok() -> None:
    judged = judge(b"CONFIG_NET=y\n", whole=False)
    assert judged.verdict == "UNKNOWN"
    assert next(f for f in judged.findings if f.subject == "kconfig.rings").verdict == "UNKNOWN"


def test_gaps_spoil_an_ok() -> None:
    ok = judge(b"CONFIG_NET=y\n").findings
    assert evaluate.judge(ok, "native", "", {}).verdict == "OK"
    assert evaluate.judge(ok, "native", "", {}, ["the file is cut"]).verdict == "UNKNOWN"


def test_a_reviewed_row_that_says_nothing_about_this_kernel_is_unknown() -> None:
    row = option("new", "NET", "new", "x(7)", "rule: x", native=carried(kernel="7.0.."), criu=carried())
    judged = judge(b"CONFIG_NET=y\n", rows=(row,), kernel="6.12")
    assert (judged.options["NET"], judged.options["BASE"]) == ("UNKNOWN", "UNKNOWN")
    assert judge(b"CONFIG_NET=y\n", rows=(row,), kernel="7.1").options["NET"] == "OK"
    flagged = flag("f", "fd:x", "x", "x(7)", "rule: x", native=carried(kernel="7.0.."), criu=carried())
    assert evaluate.process(["fd:x"], table.Table((flagged,)), "native", "6.12").verdict == "UNTESTED"


def test_discovered_rows_come_on_top_of_reviewed_ones() -> None:
    found = discovered("CAN_RAW NET", lost())
    judged = judge(b"CONFIG_NET=y\nCONFIG_CAN_RAW=y\n", rows=(*ROWS, found))
    assert judged.options["NET"] == "UNSAFE"
    assert [(f.subject, f.evidence) for f in judged.findings if f.fact("effect") == "lost"] == [("discovered.d", "discovered")]


def test_a_discovered_safe_does_not_whiten_an_unsafe_space() -> None:
    found = discovered("CAN_RAW", carried())
    assert judge(b"CONFIG_CAN_RAW=y\n", rows=(*ROWS, found)).options["CAN_RAW"] == "UNSAFE"


@pytest.mark.parametrize("version", ["6.1", "6.12", "7.3"])
@pytest.mark.parametrize("engine", ["native", "criu"])
def test_every_option_of_a_debian_config_has_a_verdict_and_none_is_unknown(version: str, engine: str) -> None:
    config = kconfig.parse(lzma.decompress((DATA / f"config-{version}-amd64.xz").read_bytes()))
    judged = evaluate.config(config, table.load(), scopes.shipped(), engine)
    assert set(judged.options) == set(config.values)
    assert (judged.counts["UNKNOWN"], judged.gaps) == (0, ())
    assert [f for f in judged.findings if not f.what or not f.source] == []
    assert judged.options["IO_URING"] == "UNSAFE"
    assert judged.options["CHECKPOINT_RESTORE"] == "OK"


def test_findings_are_ordered_from_the_worst() -> None:
    order = [f.verdict for f in judge(b"CONFIG_RINGS=y\nCONFIG_NET=y\n# CONFIG_BASE is not set\nCONFIG_XX=y\n").findings]
    assert order == sorted(order, key=evaluate.ORDER.index, reverse=True)


@pytest.mark.parametrize(
    ("when", "values", "expected"),
    [
        ("set", ["0"], True),
        ("=0,off", ["off"], True),
        ("=0,off", ["on"], False),
        ("!=1", ["2"], True),
        ("!=1", ["1"], False),
        (">=2", ["3"], True),
        (">=2", ["1"], False),
        ("<=128", ["-1"], True),
        ("<=128", ["32 1 2"], True),
        (">=2", ["many"], False),
        ("=confidentiality", ["a,confidentiality"], True),
    ],
)
def test_conditions(when: str, values: list[str], expected: bool) -> None:
    assert evaluate.matches(when, values) is expected


def test_sysctls_known_absent_and_denied() -> None:
    rows = table.Table(
        (
            knob("a", "k.a", "a", "x(7)", "read: x", native=(*failed("bad", when="=3"), *nothing("no", when="absent")), criu=nothing()),
            knob("b", "k.b", "b", "x(7)", "read: x", native=partly("b", when=">=1"), criu=nothing()),
        )
    )
    assert evaluate.sysctl({"k.a": "3", "k.b": "0"}, {}, rows, "native").verdict == "UNSAFE"
    assert evaluate.sysctl({"k.a": "0", "k.b": "0"}, {}, rows, "native").verdict == "OK"
    assert evaluate.sysctl({"k.b": "0"}, {"k.a": "absent"}, rows, "native").verdict == "OK"
    assert evaluate.sysctl({"k.a": "0"}, {"k.b": "unreadable: Permission denied"}, rows, "native").verdict == "UNKNOWN"
    assert evaluate.sysctl({"k.a": "0"}, {"k.b": "absent"}, rows, "native").verdict == "UNKNOWN"


def test_boot_parameters() -> None:
    rows = table.load()
    assert evaluate.cmdline({"vdso": ("0",)}, rows, "native").findings[0].verdict == "PARTIAL"
    assert evaluate.cmdline({"vdso": ("1",)}, rows, "native").verdict == "OK"
    assert evaluate.cmdline({"made.up": ("1",)}, rows, "native").verdict == "UNKNOWN"
    assert evaluate.cmdline({}, rows, "native").verdict == "OK"


@pytest.mark.parametrize(
    ("keys", "engine", "verdict"),
    [
        (["fd:regular", "fd:chr:1:3", "vma:[vdso]", "task:S", "policy:SCHED_OTHER"], "native", "OK"),
        (["fd:anon_inode:[io_uring]"], "native", "UNSAFE"),
        (["fd:chr:226:128"], "native", "UNSAFE"),
        (["fd:chr:1:200"], "native", "UNKNOWN"),
        (["fd:on:ubifs"], "native", "UNSAFE"),
        (["fd:anon_inode:[brand-new]"], "native", "UNKNOWN"),
        (["vmflag:zz"], "criu", "UNKNOWN"),
        (["sock:AF_PACKET/SOCK_RAW/3"], "native", "UNSAFE"),
        (["sock:AF_INET/SOCK_STREAM/IPPROTO_TCP:LISTEN"], "native", "OK"),
        (["sock:AF_INET/SOCK_STREAM/IPPROTO_TCP:ESTABLISHED"], "native", "UNSAFE"),
        (["sock:AF_INET/SOCK_STREAM/IPPROTO_TCP:NEW_STATE"], "native", "UNKNOWN"),
        (["vma:/SYSV00000000"], "native", "UNSAFE"),
        ([], "native", "OK"),
    ],
)
def test_runtime_keys(keys: list[str], engine: str, verdict: str) -> None:
    assert evaluate.process(keys, table.load(), engine).verdict == verdict
