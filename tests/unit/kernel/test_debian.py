"""kernel/debian.py: which packages are kernels, and which kernel a name means; captured from `apt-cache show`."""

from __future__ import annotations

import pytest

from holdfast.errors import UsageError
from holdfast.kernel import debian

SHOWN = "\n\n".join(
    f"Package: {package}\nVersion: {version}\nDepends: kmod, {depends}\nDescription: {about}"
    for package, version, depends, about in (
        ("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2", "linux-base (>= 4.3~)", "Linux 6.1 for x86-64 cloud (signed)"),
        ("linux-image-6.1.0-56-cloud-amd64-unsigned", "6.1.192-2", "", "Linux 6.1 for x86-64 cloud"),
        ("linux-image-6.1.0-9-amd64", "6.1.27-1", "", "Linux 6.1 for 64-bit PCs (signed)"),
        ("linux-image-6.12-cloud-amd64", "6.12.117-1", "", "Linux for x86-64 cloud (meta-package)"),
        ("linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1", "", "Linux 6.12 for x86-64 cloud (signed)"),
        ("linux-image-6.12.117+deb13-cloud-amd64", "6.12.117-1", "", "Linux 6.12 for x86-64 cloud (signed)"),
        ("linux-image-6.12.90+deb13.1-cloud-amd64", "6.12.90-2", "", "Linux 6.12 for x86-64 cloud (signed)"),
        (
            "linux-image-7.3.4+deb13-cloud-amd64",
            "7.3.4-1~bpo13+1",
            "linux-base-7.3.4+deb13-cloud-amd64 (= 1), linux-binary-7.3.4+deb13-cloud-amd64 (= 1), linux-modules-7.3.4+deb13-cloud-amd64",
            "Linux 7.3.4 for x86-64 cloud",
        ),
        ("linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", "", "The image"),
        ("linux-base-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+0", "", "Another version of the configuration"),
        ("linux-image-7.3.4+deb13-rt-amd64", "7.3.4-1~bpo13+1", "", "Linux 7.3.4 for 64-bit PCs, PREEMPT_RT"),
    )
)


def test_kernels_are_told_from_meta_packages_and_doubles() -> None:
    kernels = debian.parse(SHOWN)
    assert [k.name for k in kernels] == [
        "debian:6.1.0-9",
        "debian:6.1.0-56/cloud",
        "debian:6.12.90+deb13.1/cloud",
        "debian:6.12.117+deb12/cloud",
        "debian:6.12.117+deb13/cloud",
        "debian:7.3.4+deb13/cloud",
        "debian:7.3.4+deb13/rt",
    ]
    newest = debian.choose(kernels, "newest/cloud")
    assert newest.parts == ("linux-binary-7.3.4+deb13-cloud-amd64",)
    assert newest.release == "7.3.4+deb13-cloud-amd64"


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("6.1/cloud", "debian:6.1.0-56/cloud"),
        ("6.1", "debian:6.1.0-9"),
        ("6.12/cloud", "debian:6.12.117+deb13/cloud"),
        ("6.12.90/cloud", "debian:6.12.90+deb13.1/cloud"),
        ("6.12.117+deb12/cloud", "debian:6.12.117+deb12/cloud"),
        ("7.3/rt", "debian:7.3.4+deb13/rt"),
    ],
)
def test_a_name_means_the_newest_that_fits(wanted: str, name: str) -> None:
    assert debian.choose(debian.parse(SHOWN), wanted).name == name


@pytest.mark.parametrize(("wanted", "says"), [("6.13", r"6\.1 6\.12 7\.3"), ("6.1/arm", "full, cloud, rt"), ("", "kernel.unknown")])
def test_what_nobody_carries_is_said_with_what_they_do(wanted: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        debian.choose(debian.parse(SHOWN), wanted)


def test_a_series_takes_the_newest_of_each_version() -> None:
    assert [k.abi for k in debian.series(debian.parse(SHOWN), "cloud")] == ["6.1.0-56", "6.12.117+deb13", "7.3.4+deb13"]


def test_mirrors_are_those_that_apt_already_uses() -> None:
    lines = (
        "Debian|http://mirror.example/debian/\nDebian|http://second.example/\nOther|http://x.example/\nDebian-Security|http://s.example/\n"
    )
    assert debian.mirrors(lines) == {"Debian": "http://mirror.example/debian/", "Debian-Security": "http://s.example/"}
