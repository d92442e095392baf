"""drift/carriers.py: what the kinds of this checkout rely on, and whom a change touches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.drift import carriers
from holdfast.drift.carriers import Known
from holdfast.errors import InternalError
from holdfast.kinds import registry

if TYPE_CHECKING:
    import pytest


def test_the_kinds_that_exist_are_known_with_their_fields_and_watches() -> None:
    known = carriers.known()
    assert known.broken == ""
    assert known.records["fd.eventfd"][:2] == ("count", "semaphore")
    assert "fd.eventfd" in known.watches["Struct", "eventfd_ctx"]
    assert "fd.eventfd" in known.watches["FdinfoKey", "eventfd-count"]


def test_a_kind_that_cannot_be_loaded_is_said_and_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def kinds() -> None:
        raise InternalError("kind", "holdfast.kinds.fd.x cannot be loaded")

    monkeypatch.setattr(registry, "kinds", kinds)
    assert "cannot be loaded" in carriers.known().broken


def test_a_change_touches_who_carries_and_who_watches() -> None:
    known = Known({}, {("Struct", "s"): ("fd.y", "fd.x")}, {})
    assert known.touched("s", "fd.x.a mm.z.b") == ("fd.x", "mm.z", "fd.y")
    assert known.touched("t", "") == ()


def test_a_kinds_tests_are_its_mirrored_file_and_those_that_name_it() -> None:
    assert "tests/unit/kinds/fd/test_eventfd.py" in list(carriers.tests_of("fd.eventfd"))
    assert list(carriers.tests_of("fd.no_such_kind")) == []
