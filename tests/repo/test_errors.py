"""Error families and codes: each stands for one thing, and keeps its name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from holdfast import errors
from tests.repo import tree

CODE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
RANGES = {
    "usage": range(2, 3),
    "refused": range(10, 20),
    "kernel_lacks": range(20, 30),
    "bad_image": range(30, 40),
    "target_changed": range(40, 50),
    "differs": range(50, 60),
    "found": range(60, 70),
    "internal": range(70, 71),
}
# codes that more than one file makes, each with the one meaning that they share; internal ones are for us, with a traceback
SHARED = {
    "refused.dump": "a tree, or an object of it, cannot be dumped, for several reasons at once",
    "usage.engine": "there is no such engine, or it does not run here",
    "usage.recipe": "a recipe cannot be read",
    "usage.argument": "an argument of a command is missing, or there are too many",
    "target_changed.died": "a task that was there, or was named, is not there",
    "bad_image.tree": "the processes of the image do not form a tree that can be made",
    "bad_image.unsealed": "the image's last frame is missing: its dump never ended, or its end is cut off",
}


def codes() -> dict[str, set[str]]:
    """Every code written as a literal where an error is made, and the files that make it."""
    family = {cls.__name__: cls.family for cls in errors.FAMILIES}
    found: dict[str, set[str]] = defaultdict(set)
    for path in tree.python("src"):
        for node in ast.walk(tree.parse(path)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if called in family and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found[f"{family[called]}.{first.value}"].add(tree.name(path))
    return found


def test_every_family_has_its_own_name_and_its_own_exit_code() -> None:
    assert {cls.family: True for cls in errors.FAMILIES} == dict.fromkeys(RANGES, True)
    assert len({cls.exit_code for cls in errors.FAMILIES}) == len(errors.FAMILIES)
    assert [cls.family for cls in errors.FAMILIES if cls.exit_code not in RANGES[cls.family]] == []


def test_every_error_class_is_listed() -> None:
    def below(cls: type[errors.HoldfastError]) -> set[type[errors.HoldfastError]]:
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    # a class of another room is one code of a family, not a family
    families = {cls for cls in below(errors.HoldfastError) - {errors.HoldfastError} if cls.__module__ == errors.__name__}
    assert families == set(errors.FAMILIES)


def test_codes_are_well_formed() -> None:
    assert [code for code in codes() if not CODE.fullmatch(code)] == []


def test_a_code_of_several_files_has_its_one_meaning_written_down() -> None:
    assert {
        code: sorted(where) for code, where in codes().items() if len(where) > 1 and code not in SHARED and not code.startswith("internal.")
    } == {}
