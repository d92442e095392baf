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
    tree = Tree({"RINGS": Option("RINGS", "bool", "", "", ("io/Kconfig",), ("",), (), (), (), False)}, (), 1)
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


def test_misses() -> None:
    config = parse(b"CONFIG_RINGS=m\n# CONFIG_SOUND is not set\nCONFIG_BASE=y\n")
    assert [w.name for w in export.misses(export.wishes(ROWS, "native"), config)] == ["RINGS"]


def an_option(name: str, prompt: str, target: str = "", depends: str = "", prompt_if: str = "") -> Option:
    selects = ((target, ""),) if target else ()
    return Option(name, "bool", prompt, prompt_if, ("K",), ("",), (depends,) if depends else (), selects, (), False)


def tree_of(**options: tuple[str, ...]) -> Tree:
    return Tree({name: an_option(name, *rest) for name, rest in options.items()}, (), 1)


def test_holders_are_switched_off_too_and_what_cannot_be_is_named() -> None:
    tree = tree_of(
        RINGS=("rings", ""),
        SOUND=("sound", ""),
        BASE=("base", ""),
        DIRECT=("a driver", "RINGS"),
        HIDDEN=("", "RINGS"),
        ABOVE=("a menu", "HIDDEN"),
        OFF=("off", "RINGS"),
        ARCH=("", "SOUND"),
    )
    config = parse(b"CONFIG_DIRECT=y\nCONFIG_HIDDEN=y\nCONFIG_ABOVE=y\n# CONFIG_OFF is not set\nCONFIG_ARCH=y\nCONFIG_RINGS=y\n")
    found, fixed = export.closed(export.wishes(ROWS, "native"), tree, config)
    assert [(w.name, w.on) for w in found] == [("BASE", True), ("RINGS", False), ("DIRECT", False), ("ABOVE", False)]
    assert fixed == {"SOUND": "ARCH"}
    assert export.fragment(found, "native", fixed).splitlines()[-1] == "#   SOUND, held by ARCH"


def test_a_hidden_prompt_is_none_and_what_falls_with_another_is_left() -> None:
    tree = tree_of(
        RINGS=("rings", ""),
        SOUND=("sound", ""),
        BASE=("base", ""),
        FALLS=("", "RINGS", "SOUND && X"),
        EXPERT=("expert", ""),
        HIDDEN=("a driver", "SOUND", "", "EXPERT"),
    )
    config = parse(b"CONFIG_RINGS=y\nCONFIG_SOUND=y\nCONFIG_FALLS=y\nCONFIG_HIDDEN=y\n# CONFIG_EXPERT is not set\n")
    found, fixed = export.closed(export.wishes(ROWS, "native"), tree, config)
    assert ([w.name for w in found], fixed) == (["BASE", "RINGS"], {"SOUND": "HIDDEN"})


def test_an_option_without_a_prompt_follows_its_default() -> None:
    found, fixed = export.closed(export.wishes(ROWS, "criu"), tree_of(RINGS=("", ""), SOUND=("x", "")), parse(b"CONFIG_RINGS=y\n"))
    assert ([w.name for w in found], fixed) == (["SOUND"], {"RINGS": "its own default"})


def test_a_need_is_never_switched_off() -> None:
    tree = tree_of(RINGS=("rings", ""), BASE=("base", "RINGS"), SOUND=("sound", ""))
    found, fixed = export.closed(export.wishes(ROWS, "native"), tree, parse(b"CONFIG_BASE=y\nCONFIG_RINGS=y\n"))
    assert ([w.name for w in found], fixed) == (["BASE", "SOUND"], {"RINGS": "BASE"})
