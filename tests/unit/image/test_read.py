"""Reading: what comes out, who is trusted, what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import BadImage, InternalError
from holdfast.image import pages, read, write
from holdfast.model.ids import ObjectId, RemoteAddr
from holdfast.model.record import Record
from tests.format.synthetic import AREAS, COUNTERS, FACTS, NOTES, PAGES, REGISTRY, Counter, load, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    make(tmp_path / "image")
    return tmp_path / "image"


def refusal(path: Path, registry: dict[str, Any] | None = None, *, trust: bool = False) -> BadImage:
    """The error with which an image is refused; no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BadImage) as error:
        read.open(path, REGISTRY if registry is None else registry, trust=trust)
    assert len(os.listdir("/proc/self/fd")) == before
    assert error.value.what != ""
    assert error.value.do != ""
    return error.value


def test_what_was_written_comes_back(image: Path) -> None:
    with load(image) as found:
        assert found.kinds() == ["test.area", "test.counter", "test.note"]
        assert found.records("test.area") == AREAS
        assert found.records("test.counter") == COUNTERS
        assert found.records("test.note") == NOTES
        assert found.records("test.other") == []
        assert found.inventory == FACTS
        assert found.warnings == []


def test_pages_come_back(image: Path) -> None:
    with load(image) as found:
        assert sorted(found.owners()) == ["process:1", "process:2"]
        first, second = found.runs(ObjectId("process:1"))
        assert found.read_run(first) == PAGES
        assert found.read_run(second) == bytes(4096)
        assert [found.read_run(run) for run in found.runs(ObjectId("process:2"))] == [PAGES[4096:]]
        assert found.runs(ObjectId("process:3")) == []
        assert found.pages_files() == {1: 8192}
        assert os.pread(found.pages_fd(1), 4096, 4096) == PAGES[4096:]
        assert found.verify_pages(1) == 8192


def test_closing_gives_back_every_descriptor(image: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    found = load(image)
    assert len(os.listdir("/proc/self/fd")) == before + 2
    found.close()
    found.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_stored_form_needs_no_registry(image: Path) -> None:
    with read.open(image) as found:
        assert found.raw("test.counter") == [(ObjectId(i), {"count": r.count, "name": "none"}) for i, r in COUNTERS]
        assert found.raw("test.area")[0][1]["flags"] == ["may_exec", "read"]
        assert found.schema_of("test.area").records["Area"]["size"].unit == "bytes"
        with pytest.raises(InternalError) as error:
            found.records("test.counter")
    assert error.value.code == "internal.image.registry"


def test_an_image_that_others_could_have_written_is_refused(image: Path) -> None:
    for path in (image, image / "state", image / "pages-1"):
        mode = path.stat().st_mode
        for bit in (0o020, 0o002):
            path.chmod(mode | bit)
            assert refusal(image).code == "bad_image.mode"
            read.open(image, REGISTRY, trust=True).close()
        path.chmod(mode)
    load(image).close()


@pytest.mark.root
def test_an_image_of_another_user_is_refused(image: Path) -> None:
    for path in (image, image / "state", image / "pages-1"):
        os.chown(path, 12345, -1)
        error = refusal(image)
        assert (error.code, error.why.split(";")[0]) == ("bad_image.owner", "owner 12345, you are 0")
        read.open(image, REGISTRY, trust=True).close()
        os.chown(path, 0, -1)
    load(image).close()


@pytest.mark.parametrize("name", ["state", "pages-1"])
def test_a_link_is_not_followed_even_with_trust(name: str, image: Path, tmp_path: Path) -> None:
    (image / name).rename(tmp_path / "moved")
    (image / name).symlink_to(tmp_path / "moved")
    assert refusal(image).code == "bad_image.not_regular"
    assert refusal(image, trust=True).code == "bad_image.not_regular"


def test_a_link_to_an_image_is_not_an_image(image: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(image)
    assert refusal(tmp_path / "link").code == "bad_image.not_directory"


@pytest.mark.parametrize("name", ["state", "pages-1"])
def test_a_fifo_does_not_block_the_reader(name: str, image: Path) -> None:
    (image / name).unlink()
    os.mkfifo(image / name, 0o600)
    assert refusal(image).code == "bad_image.not_regular"


def test_missing_things(image: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing").code == "bad_image.absent"
    assert refusal(image / "state").code == "bad_image.not_directory"
    (image / "pages-1").unlink()
    assert refusal(image).code == "bad_image.missing_file"
    (image / "state").unlink()
    assert refusal(image).code == "bad_image.unsealed"


def test_an_unfinished_image_says_so(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.counter", 1, Counter, COUNTERS)
        error = refusal(tmp_path / "image")
        assert (error.code, error.where) == ("bad_image.unsealed", f"{tmp_path}/image.partial")
        assert refusal(tmp_path / "image.partial").code == "bad_image.unsealed"


@pytest.mark.parametrize("size", [0, 4096, 8191, 8193, 12288])
def test_pages_of_another_size_are_refused(size: int, image: Path) -> None:
    os.truncate(image / "pages-1", size)
    assert refusal(image).code == "bad_image.pages_size"


def test_damaged_pages_are_found_and_where(image: Path) -> None:
    with open(image / "pages-1", "r+b") as file:
        file.seek(5000)
        file.write(b"!")
    with load(image) as found, pytest.raises(BadImage) as error:
        found.verify_pages(1)
    assert (error.value.code, error.value.where) == ("bad_image.pages_digest", "pages-1 bytes 0 to 8192")


def test_pages_that_become_shorter_while_we_read(image: Path) -> None:
    with load(image) as found:
        (run, _) = found.runs(ObjectId("process:1"))
        os.truncate(image / "pages-1", 4096)
        with pytest.raises(BadImage) as error:
            found.read_run(run)
    assert error.value.code == "bad_image.truncated"


def test_a_compressed_run_comes_back(tmp_path: Path) -> None:
    data = b"abcd" * 2048
    packed = pages.compress(data)
    with write.Writer(tmp_path / "image") as writer:
        file = writer.pages(0)
        os.pwrite(file.fd, packed.ljust(4096, b"\0"), 0)
        writer.index([pages.Run(ObjectId("process:1"), RemoteAddr(0), 2, 0, 0, pages.ZSTD, len(packed))])
        writer.seal(FACTS.replace(features=frozenset({"zstd"})))
    with load(tmp_path / "image") as found:
        assert found.read_run(found.runs(ObjectId("process:1"))[0]) == data


def test_a_parent_is_known_by_its_digest(tmp_path: Path) -> None:
    parent = make(tmp_path / "parent")
    make(tmp_path / "other", FACTS.replace(kernel="another"))
    with write.Writer(tmp_path / "child") as writer:
        writer.index([(ObjectId("process:1"), 0x1000, 1, 0, 0, pages.IN_PARENT)])
        writer.seal(FACTS.replace(parent=parent.digest, features=frozenset({"incremental"})))
    with load(tmp_path / "child") as child, load(tmp_path / "parent") as right, load(tmp_path / "other") as wrong:
        assert right.digest == parent.digest
        child.check_parent(right)
        with pytest.raises(BadImage) as error:
            child.check_parent(wrong)
        assert error.value.code == "bad_image.parent"
        with pytest.raises(InternalError) as mistake:
            child.read_run(child.runs(ObjectId("process:1"))[0])
        assert mistake.value.code == "internal.image.in_parent"


def test_a_run_that_no_memory_holds_is_not_read_in_one_piece(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.index([(ObjectId("process:1"), 0, 2**51, 0, 0, pages.ZERO)])
        writer.seal(FACTS)
    with load(tmp_path / "image") as found, pytest.raises(InternalError) as error:
        found.read_run(found.runs(ObjectId("process:1"))[0])
    assert error.value.code == "internal.image.run_size"


class Old(Record):
    """Version 1: seconds."""

    seconds: int
    gone: str = ""


class New(Record):
    """Version 3: nanoseconds, with a mark."""

    nanoseconds: int
    mark: frozenset[str] = frozenset()


UPGRADES: dict[int, Any] = {
    1: lambda row: {"nanoseconds": row["seconds"] * 10**9, "was": row["gone"]},
    2: lambda row: {"nanoseconds": row["nanoseconds"], "mark": [row["was"]]},
}


def test_an_older_record_is_upgraded_step_by_step(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.time", 1, Old, [(ObjectId("a"), Old(5)), (ObjectId("b"), Old(7, "x"))])
        writer.seal(FACTS)
    with load(tmp_path / "image", {"test.time": (New, 3, UPGRADES)}) as found:
        assert found.records("test.time") == [
            (ObjectId("a"), New(5 * 10**9, frozenset({""}))),
            (ObjectId("b"), New(7 * 10**9, frozenset("x"))),
        ]


def test_an_upgrade_that_is_missing_is_our_mistake(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.time", 1, Old, [(ObjectId("a"), Old(5))])
        writer.seal(FACTS)
    for upgrades in (None, {1: UPGRADES[1]}):
        with pytest.raises(InternalError) as error:
            load(tmp_path / "image", {"test.time": (New, 3, upgrades)})
        assert error.value.code == "internal.image.upgrade"


def test_an_upgrade_must_give_what_the_record_has(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.time", 1, Old, [(ObjectId("a"), Old(5))])
        writer.seal(FACTS)
    assert refusal(tmp_path / "image", {"test.time": (New, 2, {1: lambda row: row})}).code == "bad_image.missing_field"
    wrong = {1: lambda row: {"nanoseconds": 1, "left": 2}}
    assert refusal(tmp_path / "image", {"test.time": (New, 2, wrong)}).code == "bad_image.malformed"
