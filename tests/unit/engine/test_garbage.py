"""The collector's threshold while trees are dumped and restored."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from holdfast.engine.garbage import SELDOM, Seldom

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def threshold() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def test_it_comes_seldom_inside_and_as_before_afterwards(threshold: tuple[int, int, int]) -> None:
    with Seldom():
        assert gc.get_threshold() == (SELDOM, *threshold[1:])
    assert gc.get_threshold() == threshold


def test_the_last_of_several_threads_puts_it_back(threshold: tuple[int, int, int]) -> None:
    first, second = Seldom(), Seldom()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert gc.get_threshold()[0] == SELDOM
    second.__exit__()
    assert gc.get_threshold() == threshold


@pytest.mark.parametrize("wish", [0, SELDOM * 2])
def test_who_wants_none_or_less_has_that(wish: int) -> None:
    gc.set_threshold(wish)
    with Seldom():
        assert gc.get_threshold()[0] == wish
    assert gc.get_threshold()[0] == wish


def test_a_failure_puts_it_back(threshold: tuple[int, int, int]) -> None:
    with pytest.raises(KeyError), Seldom():
        raise KeyError
    assert gc.get_threshold() == threshold
