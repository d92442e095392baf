"""Writing: nothing has the image's name before it is whole, and nothing is left where it fails."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from holdfast.errors import BadImage, InternalError, UsageError
from holdfast.image import pages, read, write
from holdfast.model.ids import ObjectId
from tests.format.synthetic import AREAS, COUNTERS, FACTS, PAGES, REGISTRY, Area, Counter, make

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_sealed_image_has_its_name_and_nobody_elses_rights(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        sealed = make(tmp_path / "image")
    finally:
        os.umask(old)
    assert names(tmp_path) == ["image"]
    assert names(tmp_path / "image") == ["pages-1", "state"]
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "image", tmp_path / "image" / "state", tmp_path / "image" / "pages-1")]
    assert modes == [0o700, 0o600, 0o600]
    assert sealed.path == os.fsencode(tmp_path / "image")
    assert sealed.state_size == (tmp_path / "image" / "state").stat().st_size
    assert (sealed.pages_size, sealed.files) == (len(PAGES), 2)


def test_until_the_seal_there_is_only_a_partial(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.counter", 1, Counter, COUNTERS)
        writer.hash_pages()
        assert names(tmp_path) == ["image.partial"]
        writer.seal(FACTS)
    assert names(tmp_path) == ["image"]


def test_leaving_without_a_seal_removes_everything(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with write.Writer(tmp_path / "image") as writer:
        writer.pages(0)
        writer.add("test.counter", 1, Counter, COUNTERS)
    assert names(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_failing_seal_leaves_no_image(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        os.write(writer.pages(0).fd, b"half a page")
        with pytest.raises(InternalError) as error:
            writer.seal(FACTS)
    assert error.value.code == "internal.image.pages"
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_no_image(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.counter", 1, Counter, COUNTERS)
        with monkeypatch.context() as broken:
            broken.setattr(f"holdfast.image.write.os.{call}", fail)
            with pytest.raises(OSError, match=r"No space left"):
                writer.seal(FACTS)
    assert names(tmp_path) == []


def test_everything_is_on_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(fd: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real_sync(fd)

    def rename(old: bytes, new: bytes) -> None:
        done.append("rename")
        real_rename(old, new)

    monkeypatch.setattr("holdfast.image.write.os.fsync", sync)
    monkeypatch.setattr("holdfast.image.write.os.rename", rename)
    make(tmp_path / "image")
    assert done == ["pages-1", "state", "image.partial", "rename", tmp_path.name]


def test_without_sync_nothing_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise AssertionError(f"fsync of {fd}")

    monkeypatch.setattr("holdfast.image.write.os.fsync", fail)
    with write.Writer(tmp_path / "image", sync=False) as writer:
        writer.seal(FACTS)
    assert names(tmp_path) == ["image"]


def test_an_image_is_never_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "image")
    with pytest.raises(UsageError) as error:
        write.Writer(tmp_path / "image")
    assert error.value.code == "usage.image.exists"
    assert names(tmp_path) == ["image"]


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        (tmp_path / "image").mkdir()
        with pytest.raises(UsageError) as error:
            writer.seal(FACTS)
    assert error.value.code == "usage.image.exists"
    assert names(tmp_path) == ["image"]
    assert names(tmp_path / "image") == []


def test_what_a_crashed_dump_left_is_removed(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom holdfast.image.write import Writer\n"
        "w = Writer(sys.argv[1]); w.pages(5); w.hash_pages(); os.kill(os.getpid(), 9)"
    )
    src = os.path.dirname(os.path.dirname(os.path.dirname(write.__file__)))
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "image")], env={**os.environ, "PYTHONPATH": src})
    assert done.returncode == -9
    assert names(tmp_path / "image.partial") == ["pages-5", "state"]
    make(tmp_path / "image")
    assert names(tmp_path) == ["image"]
    assert names(tmp_path / "image") == ["pages-1", "state"]


def test_a_running_dump_to_the_same_name_is_left_alone(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as first:
        with pytest.raises(UsageError) as error:
            write.Writer(tmp_path / "image")
        assert error.value.code == "usage.image.busy"
        first.seal(FACTS)
    assert names(tmp_path) == ["image"]


def test_a_partial_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "image.partial").mkdir()
    (tmp_path / "image.partial" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError) as error:
        write.Writer(tmp_path / "image")
    assert (error.value.code, error.value.why) == ("usage.image.partial", "it holds thesis.txt")
    assert names(tmp_path / "image.partial") == ["thesis.txt"]


def test_a_symlink_in_the_way_of_the_partial_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "image.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError) as error:
        write.Writer(tmp_path / "image")
    assert error.value.code == "usage.image.busy"
    assert names(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(("path", "code"), [("/", "image.name"), ("no/such/folder/image", "image.parent")])
def test_a_place_where_no_image_can_be(path: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        write.Writer(path if path == "/" else tmp_path / path)
    assert error.value.code == f"usage.{code}"


def test_an_empty_image_can_be_read(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.counter", 1, Counter, [])
        writer.seal(FACTS)
    with read.open(tmp_path / "image", REGISTRY) as image:
        assert (image.kinds(), image.records("test.counter"), image.owners(), image.pages_files()) == ([], [], [], {})


def test_one_kind_has_one_form_and_each_id_once(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.counter", 1, Counter, COUNTERS)
        for version, cls, entries in ((2, Counter, [(ObjectId("x"), Counter(1))]), (1, Area, AREAS), (1, Counter, COUNTERS[:1])):
            with pytest.raises(InternalError) as error:
                writer.add("test.counter", version, cls, entries)
            assert error.value.code == "internal.image.kind"


def test_after_the_seal_nothing_can_be_added(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.seal(FACTS)
        with pytest.raises(InternalError) as error:
            writer.add("test.counter", 1, Counter, COUNTERS)
    assert error.value.code == "internal.image.closed"


def test_pages_that_grow_after_they_were_hashed_are_hashed_again(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        file = writer.pages(0)
        os.pwrite(file.fd, bytes(4096), 0)
        writer.hash_pages()
        os.pwrite(file.fd, b"x" * 4096, 4096)
        writer.seal(FACTS)
    with read.open(tmp_path / "image", REGISTRY) as image:
        assert image.verify_pages(0) == 8192


def test_pages_that_were_hashed_while_they_were_written(tmp_path: Path) -> None:
    data = os.urandom(9 << 20)
    with write.Writer(tmp_path / "image") as writer:
        file = writer.pages(0)
        for at in range(0, len(data), 1 << 20):
            os.pwrite(file.fd, data[at : at + (1 << 20)], at)
            writer.settled(0, at + (1 << 20))
        writer.seal(FACTS)
    with read.open(tmp_path / "image", REGISTRY) as image:
        assert image.verify_pages(0) == len(data)


def test_digests_of_who_wrote_the_pages_are_taken(tmp_path: Path) -> None:
    chunk = bytes(pages.CHUNK)
    with write.Writer(tmp_path / "image") as writer:
        file = writer.pages(0)
        for i in range(3):
            os.pwrite(file.fd, chunk, i * len(chunk))
        writer.hashed(0, 1, blake3(b"of something else").digest())
        writer.seal(FACTS)
    with read.open(tmp_path / "image", REGISTRY) as image, pytest.raises(BadImage) as error:
        image.verify_pages(0)
    assert (error.value.code, error.value.where) == ("bad_image.pages_digest", f"pages-0 bytes {len(chunk)} to {2 * len(chunk)}")


def test_leaving_while_pages_are_hashed_leaves_nothing(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        os.truncate(writer.pages(0).fd, 64 << 20)
        writer.settled(0, 64 << 20)
    assert names(tmp_path) == []


def test_a_large_state_is_written_in_parts(tmp_path: Path) -> None:
    notes = [(ObjectId(f"counter:{n}"), Counter(n, "x" * 1000)) for n in range(3000)]
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.counter", 1, Counter, notes)
        assert (tmp_path / "image.partial" / "state").stat().st_size > 2_000_000
        writer.seal(FACTS)
    with read.open(tmp_path / "image", REGISTRY) as image:
        assert image.records("test.counter") == notes
