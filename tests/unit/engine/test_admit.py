"""Which kinds are asked about which file."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.engine.admit import _ByLink
from holdfast.kinds import registry
from holdfast.kinds.contract import FdinfoKey, Kind, Link
from holdfast.model.record import Record


class Nothing(Record):
    """Nothing."""


def kind(name: str, *watches: Any, claims: bool = True) -> Kind:
    """A kind of files."""
    return Kind(name, record=Nothing, subject="file", claims=claims, watches=watches, verbs={"detect": lambda ev: None})


KINDS = [
    kind("fd.a", Link("anon_inode:[a")),
    kind("fd.ab", Link("anon_inode:[ab]"), Link("/dev/b")),
    kind("fd.any", FdinfoKey("pos")),
    kind("fd.facet", Link("anon_inode:[a"), claims=False),
    Kind("fd.mute", record=Nothing, subject="file", verbs={}),
]


@pytest.mark.parametrize(
    ("link", "names"),
    [
        (b"anon_inode:[a]", ["fd.a", "fd.any", "fd.facet"]),
        (b"anon_inode:[ab]", ["fd.a", "fd.ab", "fd.any", "fd.facet"]),
        (b"/dev/b0", ["fd.ab", "fd.any", "fd.facet"]),
        (b"/some/file", ["fd.any", "fd.facet"]),
        (b"", ["fd.any", "fd.facet"]),
    ],
)
def test_a_kind_with_links_is_asked_about_those_and_every_other_kind_about_all(link: bytes, names: list[str]) -> None:
    by_link = _ByLink(KINDS)
    assert [k.name for k, _ in by_link.of(link)] == names
    assert [k.name for k, _ in by_link.of(link)] == names


def test_every_kind_of_files_is_asked_about_a_link_of_its_own() -> None:
    kinds = [k for k in registry.kinds().values() if k.subject == "file"]
    by_link = _ByLink(kinds)
    for each in kinds:
        for watch in each.watches:
            if isinstance(watch, Link):
                assert each in [k for k, _ in by_link.of(watch.prefix.encode() + b"x")]
