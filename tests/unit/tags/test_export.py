"""What is written for a kernel tree says each wish once, and a config can be compared with it."""

from __future__ import annotations

from holdfast.kernel.kconfig import parse
from holdfast.tags import export, table
from holdfast.tags.row import failed, lost, needed, nothing, option, partly, refused, space
from holdfast.tags.tree import Option, Tree

ROWS = table.Table(
    (
        option("base", "BASE", "base", "x(7)", "rule: x", native=needed("no base"), criu=needed("slow", partial=True)),
        option("rings", "RINGS", "rings CONFIG_RINGS", "x(7)", "rule: x", native=refused("no getter"), criu=lost()),
        option("some", "SOME", "some", "x(7)", "rule: x", native=partly("half"), criu=nothing()),
        option("old", "OLD", "old", "x(7)", "rule: x", native=failed(kernel="..6.6"), criu=nothing()),
        space("snd", "sound", "sound", "x(7)", "rule: x", native=refused(), criu=failed(), roots="SOUND"),
    )
)


def test_wishes_are_needs_then_what_is_unsafe() -> None:
    assert [(w.name, w.on) for w in export.wishes(ROWS, "native")] == [("BASE", True), ("RINGS", False), ("SOUND", False)]
    assert [(w.name, w.on) for w in export.wishes(ROWS, "criu")] == [("RINGS", False), ("SOUND", False)]
    assert [w.name for w in export.wishes(ROWS, "criu", ["lost"])] == ["RINGS"]


def test_a_tree_leaves_out_what_it_does_not_have() -> None:
    tree = Tree({"RINGS": Option("RINGS", "bool", "", ("io/Kconfig",), ("",), (), (), (), False)}, (), 1)
    assert [w.name for w in export.wishes(ROWS, "native", (), tree)] == ["RINGS"]


def test_fragment() -> None:
    text = export.fragment(export.wishes(ROWS, "native"), "native")
    assert [line for line in text.splitlines() if "CONFIG_" in line] == [
        "CONFIG_BASE=y",
        "# CONFIG_RINGS is not set",
        "# CONFIG_SOUND is not set",
    ]
    assert "# kconfig.rings: no getter" in text


def test_kconfig() -> None:
    text = export.kconfig(export.wishes(ROWS, "native"), "native")
    assert [line for line in text.splitlines() if line.startswith(("config", "\tdepends"))] == [
        "config CHECKPOINT_SAFE",
        "\tdepends on BASE",
        "\tdepends on !RINGS",
        "\tdepends on !SOUND",
    ]
    assert export.kconfig((), "criu").splitlines()[3] == "config CHECKPOINT_SAFE_CRIU"


def test_misses_and_who_holds_them() -> None:
    config = parse(b"CONFIG_RINGS=m\n# CONFIG_SOUND is not set\nCONFIG_BASE=y\nCONFIG_HOLDER=y\n")
    found = export.wishes(ROWS, "native")
    assert [w.name for w in export.misses(found, config)] == ["RINGS"]
    assert export.holders("RINGS", config, {"HOLDER": [("RINGS", "X")], "SOUND": [("RINGS", "")]}) == ["HOLDER"]
