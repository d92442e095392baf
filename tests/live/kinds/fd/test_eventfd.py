"""What fd.eventfd promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path


def test_count_and_semaphore_mode_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        one, two = os.eventfd(0), os.eventfd(5, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
        os.eventfd_write(one, 2**63)
        pause()
        say([os.eventfd_read(one), os.eventfd_read(two), os.eventfd_read(two), os.get_blocking(one), os.get_blocking(two)])
        """,
    )
    assert trip.said == trip.control == [[2**63, 1, 1, True, False]]
