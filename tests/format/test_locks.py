"""Nothing that an image ever held is removed, retyped or used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.model.record import Record, field
from tests.format import locks

if TYPE_CHECKING:
    from tests.format.locks import Form


def test_the_image_lock_is_up_to_date() -> None:
    wanted = locks.merged(locks.released("image.lock"), locks.image_lines(locks.forms()))
    assert locks.read(locks.IMAGE_LOCK) == wanted, f"run: {locks.AGAIN}"


def test_the_flags_lock_is_up_to_date() -> None:
    wanted = locks.merged(locks.released("flags.lock"), locks.flag_lines())
    assert locks.read(locks.FLAGS_LOCK) == wanted, f"run: {locks.AGAIN}"


def test_every_release_is_honoured() -> None:
    assert locks.image_breaks(locks.released("image.lock"), locks.forms()) == []
    assert locks.flag_breaks(locks.released("flags.lock"), locks.flag_lines()) == []


def test_no_permanent_name_and_no_field_is_locked_twice() -> None:
    names = [line.rsplit(" ", 1)[0] for line in locks.read(locks.FLAGS_LOCK)]
    assert sorted(set(names)) == sorted(names)
    fields = [tuple(line.split(" ", 3)[:3]) for line in locks.read(locks.IMAGE_LOCK)]
    assert sorted(set(fields)) == sorted(fields)


class Shipped(Record):
    """What a release wrote."""

    count: int
    name: str = field(default="x", unit="ns")


class Grown(Record):
    """A field more, with a default."""

    count: int
    name: str = field(default="x", unit="ns")
    more: int = 0


class Hungry(Record):
    """A field more, without a default."""

    count: int
    more: int
    name: str = field(default="x", unit="ns")


class Shrunk(Record):
    """A field less."""

    count: int


class Retyped(Record):
    """Another type."""

    count: str
    name: str = field(default="x", unit="ns")


class Redefaulted(Record):
    """Another default."""

    count: int
    name: str = field(default="y", unit="ns")


class Optional(Record):
    """A field that old readers had to understand and now need not."""

    count: int
    name: str = field(default="x", unit="ns", may_ignore=True)


def form(cls: type[Record], version: int = 1, upgrades: tuple[int, ...] = ()) -> dict[str, Form]:
    """One kind with this record, under the record's first name."""
    cls.__name__ = "Thing"
    return {"test.thing": (cls, version, upgrades)}


RELEASED = ["test.thing 1 Thing.count int", "test.thing 1 Thing.name str unit=ns default='x'"]


def test_the_lines_of_a_record() -> None:
    assert locks.image_lines(form(Shipped)) == RELEASED


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        (form(Shipped), []),
        (form(Grown), []),
        (form(Shrunk, 2, (1,)), []),
        ({}, ["test.thing is gone, and an image may hold it"]),
        (form(Shrunk), ["test.thing Thing.name is gone; it takes a new version and an upgrade to remove a field"]),
        (form(Shrunk, 2), ["test.thing has no upgrade from version 1"]),
        (form(Retyped), ["test.thing Thing.count was `test.thing 1 Thing.count int`, is `test.thing 1 Thing.count str`"]),
        (form(Hungry), ["test.thing Thing.more is new and has no default"]),
    ],
)
def test_what_a_release_forbids(now: dict[str, Form], wanted: list[str]) -> None:
    assert locks.image_breaks(RELEASED, now) == wanted


@pytest.mark.parametrize("cls", [Redefaulted, Optional])
def test_a_default_and_a_meaning_are_for_ever(cls: type[Record]) -> None:
    (line,) = locks.image_breaks(RELEASED, form(cls))
    assert line.startswith("test.thing Thing.name was ")


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        (["t A 0x1", "t B 0x2"], []),
        (["t A 0x1", "t B 0x2", "t C 0x4"], []),
        (["t A 0x8", "t B 0x2"], []),
        (["t A 0x1"], ["t B is gone, and an image may hold it"]),
        (["t A 0x4", "t B 0x2", "t C 0x1"], ["t 0x1 meant A and is now C"]),
    ],
)
def test_what_a_release_forbids_of_flags(now: list[str], wanted: list[str]) -> None:
    assert locks.flag_breaks(["t A 0x1", "t B 0x2"], now) == wanted
