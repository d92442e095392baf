"""A Kconfig tree is read without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.errors import UsageError
from holdfast.tags.tree import read

if TYPE_CHECKING:
    from pathlib import Path

TOP = """\
# SPDX-License-Identifier: GPL-2.0
mainmenu "Linux/$(ARCH) $(KERNELVERSION) Kernel Configuration"
source "scripts/Kconfig.include"
source "init/Kconfig"
source "arch/$(SRCARCH)/Kconfig"
"""
INCLUDE = """\
comma       := ,
success = $(shell,{ $(1); } >/dev/null 2>&1 && echo "$(2)" || echo "$(3)")
$(error-if,$(failure,command -v $(LD)),linker '$(LD)' not found)
"""
INIT = """\
menu "General setup"
\tdepends on !UML

config A
\tbool "Option A" if EXPERT
\tdefault y
\tdepends on B || \\
\t\tC
\tselect D if E
\timply F
\thelp
\t  config NOT_ONE
\t  source "nowhere"

\t  more text

config D
\tdef_bool $(success,true)

menuconfig MODULES
\tbool "Enable loadable module support"
\tmodules

if MODULES
config M
\ttristate 'M # not a comment' # a comment
endif # MODULES

config OLD
\ttristate
\ttransitional
\tdepends on USB if !USB_GADGET # conditional, v7.0

choice
\tprompt "Which"
\tdepends on A
config ONE
\tbool "One"
endchoice

endmenu
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "Kconfig": TOP,
        "scripts/Kconfig.include": INCLUDE,
        "init/Kconfig": INIT,
        "arch/x86/Kconfig": "config A\n\tint\n\nconfig X86\n\tdef_bool y\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_options_and_nothing_else(root: Path) -> None:
    tree = read(str(root))
    assert (sorted(tree.options), tree.problems) == (["A", "D", "M", "MODULES", "OLD", "ONE", "X86"], ())


def test_what_an_option_says(root: Path) -> None:
    option = read(str(root)).options["A"]
    assert (option.prompt, option.prompt_if) == ("Option A", "EXPERT")
    assert (option.files, option.menus) == (("init/Kconfig", "arch/x86/Kconfig"), ("General setup", ""))
    assert option.depends == ("!UML", "B || C")
    assert (option.selects, option.implies) == ((("D", "E"),), (("F", ""),))


def test_types_conditions_and_new_words(root: Path) -> None:
    options = read(str(root)).options
    assert (options["D"].type, options["M"].type, options["M"].prompt) == ("bool", "tristate", "M # not a comment")
    assert options["M"].depends == ("!UML", "MODULES")
    assert options["ONE"].depends == ("!UML", "A")
    assert (options["OLD"].transitional, options["OLD"].depends) == (True, ("!UML", "USB if !USB_GADGET"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("endmenu\n", "endmenu closes nothing"),
        ("if A\n", "if is never closed"),
        ("frobnicate A\n", "unknown word: frobnicate"),
        ('source "$(NOWHERE)/Kconfig"\n', "source of an unknown variable: $(NOWHERE)/Kconfig"),
        ('source "Kconfig"\n', "is sourced by itself"),
        ('source "../../etc/passwd"\n', "lies outside of the tree"),
        ('source "gone/Kconfig"\n', "cannot be read: No such file or directory"),
        ("???\n", "not understood: ???"),
    ],
)
def test_what_is_not_understood_is_said(root: Path, text: str, problem: str) -> None:
    (root / "arch/x86/Kconfig").write_text(text)
    problems = read(str(root)).problems
    assert [p.split(": ", 1)[1] for p in problems] == [problem]


def test_no_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(str(tmp_path))
    assert caught.value.code == "usage.tree.absent"
