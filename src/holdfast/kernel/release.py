"""Kernel release texts as numbers: for reports and for rows that hold for a range of kernels, never to ask what a kernel can do."""

from __future__ import annotations

import re

from holdfast.errors import UsageError

_START = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?(?:-rc(\d{1,3}))?")


def numbers(release: str) -> tuple[int, int, int]:
    """Major, minor and patch level of a release such as 6.12.117+deb12-amd64; a release candidate counts as its release.

    Raises:  usage.release.malformed: it does not begin with a version
    Source:  uname(2); Linux Makefile KERNELVERSION
    """
    found = _START.match(release)
    if found is None:
        raise UsageError("release.malformed", f"{release!r} is not a kernel release", why="expected something like 6.12 or 6.12.117-amd64")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def within(release: str, spans: str) -> bool:
    """Whether a release lies in a range: "" is every kernel, "6.7.." from 6.7 on, "..6.6" up to and with 6.6.x, "6.1..6.6" both.

    Raises:  usage.release.malformed: the release or an end of the range is not a version
    """
    if not spans:
        return True
    low, dots, high = spans.partition("..")
    here = numbers(release)
    if not dots:
        high = low
    if low and here < numbers(low):
        return False
    return not high or here[: high.count(".") + 1] <= numbers(high)[: high.count(".") + 1]
