"""The corpus: what was found once is kept as text and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.errors import UsageError
from holdfast.hunt import corpus, deny, triage
from holdfast.hunt.recipe import HEAD, parse
from tests.unit.hunt.test_triage import lost, proof, recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_a_case_is_kept_once_and_read_back(tmp_path: Path) -> None:
    made = recipe("eventfd/EFD_SEMAPHORE=1", "fd = eventfd2(3, EFD_SEMAPHORE=1)")
    cases = triage.cases([lost("", proof("eventfd_ctx.flags"), made=made)])
    (path,) = corpus.add(str(tmp_path / "new"), cases)
    assert corpus.load(str(tmp_path / "new")) == [made]
    assert corpus.add(str(tmp_path / "new"), cases) == []
    text = (tmp_path / "new" / path.rpartition("/")[2]).read_text()
    assert text.splitlines()[:4] == [
        HEAD,
        "# lost eventfd_ctx.flags (medium)",
        "# engine native, Linux 6.18",
        "# kernel leader.eventfd_ctx.flags: 1 before, 0 after",
    ]
    assert path.endswith(f"eventfd-EFD_SEMAPHORE=1-{made.key[:8]}.recipe")


def test_hostile_words_make_no_line_of_a_recipe(tmp_path: Path) -> None:
    evil = proof("a.b").replace(before="1\nname other\nmake reboot(0)", path="../../x\n")
    cases = triage.cases([lost("", evil, made=recipe("../../etc/passwd", "getpid()"))])
    (path,) = corpus.add(str(tmp_path), cases)
    assert path.startswith(f"{tmp_path}/etc-passwd-")
    assert [r.name for r in corpus.load(str(tmp_path))] == ["../../etc/passwd"]


def test_a_file_that_is_no_recipe_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.recipe").write_text("nonsense\n")
    with pytest.raises(UsageError) as error:
        corpus.load(str(tmp_path))
    assert error.value.code == "usage.recipe"
    assert "a.recipe" in error.value.where


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert corpus.load(str(tmp_path / "none")) == []


def test_every_recipe_of_our_own_corpus_may_be_run_and_has_one_name() -> None:
    found = corpus.load()
    assert len({r.name for r in found}) == len(found)
    assert [r.name for r in found if deny.denied(r)] == []
    assert all(parse(r.text()) == r for r in found)
