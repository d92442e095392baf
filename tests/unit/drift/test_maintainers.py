"""drift/maintainers.py: captured form of the MAINTAINERS file of Linux 6.12."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.drift import maintainers
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """List of maintainers
===================

	M: *Mail* patches to: FullName <address@domain>
	F: *Files* and directories wildcard patterns.

FILESYSTEMS (VFS and infrastructure)
M:	One <one@example.org>
L:	linux-fsdevel@example.org
F:	fs/*
F:	include/linux/fs.h
X:	fs/excluded.c

IO_URING
M:	Two <two@example.org>
F:	io_uring/
F:	include/linux/io_uring*.h

THE REST
M:	Last <last@example.org>
F:	*
F:	*/
"""


@pytest.mark.parametrize(
    ("path", "people"),
    [
        ("fs/eventfd.c", ("One <one@example.org>",)),
        ("fs/ext4/inode.c", ("Last <last@example.org>",)),
        ("fs/excluded.c", ("Last <last@example.org>",)),
        ("io_uring/net/rw.c", ("Two <two@example.org>",)),
        ("include/linux/io_uring_types.h", ("Two <two@example.org>",)),
    ],
)
def test_the_most_exact_entries_come_first(path: str, people: tuple[str, ...]) -> None:
    assert maintainers.parse(TEXT).of(path) == people


def test_a_tree_without_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MAINTAINERS"):
        maintainers.load(str(tmp_path))
    (tmp_path / "MAINTAINERS").write_text(TEXT)
    assert len(maintainers.load(str(tmp_path)).sections) == 3
