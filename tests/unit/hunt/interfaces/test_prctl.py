"""hunt.interfaces.prctl: options are found by their names, values by theirs, getters by both."""

from __future__ import annotations

from holdfast.hunt.interfaces import prctl
from tests.unit.hunt.interfaces.soundness import faults, knows_nothing, made, today, with_constant


def test_every_recipe_is_sound() -> None:
    assert faults(prctl) == []


def test_an_option_of_tomorrow_is_tried_by_all_with_its_own_values() -> None:
    constants = with_constant("PR_SET_TOMORROW", 900, "linux/prctl.h")
    constants = type(constants)([*constants.rows(), ("PR_TOMORROW_GENTLY", 4, "linux/prctl.h"), ("PR_GET_TOMORROW", 901, "linux/prctl.h")])
    found = {r.name: r for r in made(prctl, constants) if "PR_SET_TOMORROW" in r.name}
    assert {"prctl/self.PR_SET_TOMORROW=PR_TOMORROW_GENTLY", "prctl/self.PR_SET_TOMORROW=1"} <= set(found)
    assert {n.partition("/")[2].partition(".")[0] for n in found} == {"self", "thread", "child"}
    getters = [str(line) for line in found["prctl/self.PR_SET_TOMORROW=1"].get]
    assert getters == ["prctl(PR_GET_TOMORROW=901, 0, 0, 0, 0)", "prctl(PR_GET_TOMORROW=901, [16], 0, 0, 0)"]


def test_values_of_another_option_are_no_options() -> None:
    names = {o.name for o in prctl.options(today().prefixed("PR_", header="linux/prctl.h"))}
    assert {"PR_SET_DUMPABLE", "PR_MCE_KILL", "PR_FUTEX_HASH", "PR_SET_MDWE"} <= names
    assert not names & {"PR_TSC_ENABLE", "PR_SET_MM_START_CODE", "PR_MCE_KILL_SET", "PR_GET_NAME", "PR_CAPBSET_READ", "PR_SPEC_ENABLE"}


def test_an_option_that_the_kernel_lacks_is_tried_once() -> None:
    few = [r.name for r in prctl.recipes(today(), knows_nothing) if "PR_SET_ENDIAN" in r.name]
    assert few == ["prctl/self.PR_SET_ENDIAN=1"]
