"""drift/compare.py: config families by release and by options."""

from __future__ import annotations

import pytest

from holdfast.drift import compare
from holdfast.drift.guards import Guards
from holdfast.drift.snapshot import Snapshot


def kernel(name: str, release: str, config: str = "CONFIG_X=y") -> Snapshot:
    return Snapshot(name, release, (6, 1), config, {}, {}, {})


@pytest.mark.parametrize(
    ("release", "flavour"),
    [
        ("6.1.0-56-cloud-amd64", "cloud-amd64"),
        ("6.12.117+deb13-amd64", "amd64"),
        ("7.3.4+deb13-rt-amd64", "rt-amd64"),
        ("6.8.0-31-generic", "generic"),
        ("6.12.1", ""),
    ],
)
def test_a_release_names_its_flavour(release: str, flavour: str) -> None:
    assert compare.flavour(release) == flavour


def test_warnings_say_why_two_kernels_are_not_of_one_family() -> None:
    same = Guards({"s.a": "ONE"}, {"ONE": "y"}, {"ONE": "y"})
    differs = Guards({"s.a": "ONE"}, {"ONE": "y"}, {"ONE": "n"})
    cloud, full = kernel("a", "6.1.0-1-cloud-amd64"), kernel("b", "6.1.0-1-amd64")
    assert compare.family(cloud, cloud, same) == []
    assert len(compare.family(cloud, full, same)) == 1
    assert "CONFIG_ONE" in compare.family(cloud, cloud, differs)[0]
    assert "configuration not known: a" in compare.family(kernel("a", "6.1.0-1-cloud-amd64", ""), cloud, same)[0]
