"""Images of later versions: what they add is fine, warned of, or refused by name; never quietly lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3

from holdfast.errors import BadImage
from holdfast.image import cbor, frame, read, write
from holdfast.kernel import flags
from holdfast.model.ids import ObjectId
from holdfast.model.record import Record, field
from tests.format.synthetic import COUNTERS, FACTS, Counter, Note

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.image.inventory import Inventory

ID = ObjectId("x:1")


class Part(Record):
    """Inside Today, today."""

    size: int = 0


class Today(Record):
    """What this version knows."""

    count: int
    part: Part | None = None


class Tomorrow(Record):
    """What a later version made of it."""

    count: int
    part: Part | None = None
    weight: int = field(default=1, unit="g", since=2)
    hint: str = field(default="", may_ignore=True)


def image(path: Path, record: Record, *, kind: str = "test.thing", version: int = 1, must: bool = True, facts: Inventory = FACTS) -> Path:
    """An image of one record, as the version that has its class writes it."""
    with write.Writer(path / "image") as writer:
        writer.add(kind, version, type(record), [(ID, record)], must)
        writer.add("test.counter", 1, Counter, COUNTERS)
        writer.seal(facts)
    return path / "image"


def opened(path: Path, cls: type[Record] = Today, version: int = 1) -> read.Image:
    return read.open(path, {"test.thing": (cls, version, {}), "test.counter": (Counter, 1, {})})


def refusal(path: Path, cls: type[Record] = Today) -> BadImage:
    with pytest.raises(BadImage) as error:
        opened(path, cls)
    return error.value


def test_a_new_field_at_its_default_is_fine(tmp_path: Path) -> None:
    with opened(image(tmp_path, Tomorrow(5))) as found:
        assert (found.records("test.thing"), found.warnings) == ([(ID, Today(5))], [])


def test_a_new_field_at_its_default_is_fine_though_it_was_written(tmp_path: Path) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer.add("test.thing", 1, Tomorrow, [(ObjectId("a"), Tomorrow(1))])
        payload = cbor.encode({"columns": {"count": [2], "weight": [1]}, "ids": ["b"]})
        writer._append("test.thing", 1, payload)
        writer.seal(FACTS)
    with opened(tmp_path / "image") as found:
        assert (found.records("test.thing"), found.warnings) == ([(ObjectId("a"), Today(1)), (ObjectId("b"), Today(2))], [])


def test_a_new_field_that_may_be_ignored_is_warned_of(tmp_path: Path) -> None:
    with opened(image(tmp_path, Tomorrow(5, hint="for people"))) as found:
        assert found.records("test.thing") == [(ID, Today(5))]
        assert found.warnings == ["test.thing.hint was ignored: this version does not know it, and the image says that it may be ignored"]


def test_a_new_field_in_use_is_refused_by_name(tmp_path: Path) -> None:
    error = refusal(image(tmp_path, Tomorrow(5, weight=7)))
    assert (error.code, error.what) == ("bad_image.unknown_field", "test.thing.weight must be understood and is not")
    assert "since record version 2" in error.why


class LaterPart(Record):
    """Inside a thing, tomorrow."""

    size: int = 0
    colour: str = field(default="grey")
    smell: str = field(default="", may_ignore=True)


LaterPart.__name__ = "Part"


class LaterThing(Record):
    """Today with the later part."""

    count: int
    part: LaterPart | None = None


# the type's text is that of Today, so that only what is inside differs
LaterThing.__annotations__["part"] = "Part | None"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> type[Record]:
    """LaterThing, its plan made while the name Part means the later part."""
    from holdfast.image import schema

    with monkeypatch.context() as patch:
        patch.setattr("tests.format.test_future.Part", LaterPart)
        schema._plans.pop(LaterThing, None)
        schema.plan(LaterThing)
    return LaterThing


def test_a_new_field_inside_a_record_follows_the_same_rules(tmp_path: Path, later: type[Record]) -> None:
    cases: list[tuple[str, LaterPart, Any]] = [
        ("default", LaterPart(3), []),
        (
            "hint",
            LaterPart(3, smell="pine"),
            ["test.thing.Part.smell was ignored: this version does not know it, and the image says that it may be ignored"],
        ),
        ("used", LaterPart(3, "red"), "test.thing.Part.colour must be understood and is not"),
    ]
    for name, part, wanted in cases:
        (tmp_path / name).mkdir()
        path = image(tmp_path / name, later(5, part))
        if isinstance(wanted, str):
            assert refusal(path).what == wanted
        else:
            with opened(path) as found:
                assert (found.records("test.thing"), found.warnings) == ([(ID, Today(5, Part(3)))], wanted)


class Yesterday(Record):
    """Before `part` was added."""

    count: int


class Changed(Record):
    """With another type."""

    count: str
    part: Part | None = None


class Demanding(Record):
    """With a field that has no default."""

    count: int
    need: int


def test_a_field_that_the_image_lacks_has_our_default(tmp_path: Path) -> None:
    with opened(image(tmp_path, Yesterday(5))) as found:
        assert found.records("test.thing") == [(ID, Today(5, None))]


def test_a_field_that_the_image_lacks_and_that_has_no_default_is_refused(tmp_path: Path) -> None:
    error = refusal(image(tmp_path, Yesterday(5)), Demanding)
    assert (error.code, error.what) == ("bad_image.missing_field", "test.thing.need is not in this image")


def test_a_field_of_another_type_is_refused(tmp_path: Path) -> None:
    error = refusal(image(tmp_path, Changed("5")))
    assert (error.code, error.what, error.why) == (
        "bad_image.retyped_field",
        "test.thing.count has another type in this image",
        "image str, this version int",
    )


class OtherDefault(Record):
    """The default changed, against the rules."""

    count: int
    part: Part | None = Part(9)


def test_an_absent_field_has_the_default_of_the_image_and_not_ours(tmp_path: Path) -> None:
    with opened(image(tmp_path, Today(5)), OtherDefault) as found:
        assert found.records("test.thing") == [(ID, OtherDefault(5, None))]


def test_a_newer_record_version_is_refused(tmp_path: Path) -> None:
    error = refusal(image(tmp_path, Today(5), version=2))
    assert (error.code, error.what, error.why) == (
        "bad_image.newer_record",
        "test.thing is in a newer form than this version knows",
        "record version 2 in the image, 1 here",
    )


def test_a_newer_record_version_that_need_not_be_understood_is_skipped(tmp_path: Path) -> None:
    with opened(image(tmp_path, Today(5), version=2, must=False)) as found:
        assert found.records("test.thing") == []
        assert found.warnings == ["test.thing was ignored: its record version 2 is newer than 1, and the image says that it may be ignored"]


def test_an_unknown_kind_is_refused_by_name(tmp_path: Path) -> None:
    error = refusal(image(tmp_path, Note("x"), kind="fd.quantum"))
    assert (error.code, error.what) == ("bad_image.unknown_kind", "fd.quantum must be understood and is not")


def test_an_unknown_kind_that_need_not_be_understood_is_warned_of(tmp_path: Path) -> None:
    with opened(image(tmp_path, Note("x"), kind="fd.quantum", must=False)) as found:
        assert found.warnings == ["fd.quantum was ignored: this version does not know it, and the image says that it may be ignored"]
        assert found.records("test.counter") == COUNTERS
        assert found.raw("fd.quantum") == [(ID, {"text": "x"})]


def test_a_feature_that_we_lack_is_refused(tmp_path: Path) -> None:
    error = refusal(image(tmp_path, Today(5), facts=FACTS.replace(features=frozenset({"zstd", "telepathy"}))))
    assert (error.code, error.what) == ("bad_image.feature", "the image needs the feature telepathy")


@pytest.mark.parametrize("must", [True, False])
def test_a_frame_of_a_later_format(tmp_path: Path, must: bool) -> None:
    with write.Writer(tmp_path / "image") as writer:
        writer._append("image.future", 1, b"not even CBOR", must)
        writer.add("test.thing", 1, Today, [(ID, Today(5))])
        writer.seal(FACTS)
    if must:
        assert refusal(tmp_path / "image").what == "image.future must be understood and is not"
        with pytest.raises(BadImage):
            read.open(tmp_path / "image")
    else:
        with opened(tmp_path / "image") as found:
            assert found.records("test.thing") == [(ID, Today(5))]
            assert len(found.warnings) == 1


def test_a_frame_of_ours_in_a_later_version_is_refused(tmp_path: Path) -> None:
    path = image(tmp_path, Today(5))
    data = (path / "state").read_bytes()
    parts = []
    for f in frame.scan(data):
        version = 2 if f.kind == "image.inventory" else f.version
        parts.append((f.kind, version, data[f.payload : f.payload_end]))
    packed = [frame.pack(*part) for part in parts[:-1]]
    digest = blake3(b"".join(d for _, d in packed)).digest()
    seal = frame.pack("image.seal", 1, cbor.encode({"algorithm": "blake3", "digest": digest, "frames": len(packed)}))
    (path / "state").write_bytes(b"".join(raw for raw, _ in [*packed, seal]))
    error = refusal(path)
    assert (error.code, error.what) == ("bad_image.newer_record", "image.inventory is in a newer form than this version knows")


class WithFlags(Record):
    """Flags by permanent name."""

    flags: frozenset[str]


def test_flags_that_the_kernel_renumbered_restore_to_their_new_bits(tmp_path: Path) -> None:
    then = flags.Table("thing", {"T_FAST": 1, "T_LOUD": 2, "T_HOT": 4})
    now = flags.Table("thing", {"T_LOUD": 1, "T_NEW": 2, "T_HOT": 8, "T_FAST": 64})
    path = image(tmp_path, WithFlags(frozenset(flags.names(then, 1 | 4))))
    with opened(path, WithFlags) as found:
        ((_, record),) = found.records("test.thing")
        assert isinstance(record, WithFlags)
        assert flags.bits(now, record.flags) == 64 | 8


def test_a_flag_that_this_version_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    with opened(image(tmp_path, WithFlags(frozenset({"O_APPEND", "O_LEVITATE"}))), WithFlags) as found:
        ((_, record),) = found.records("test.thing")
        assert isinstance(record, WithFlags)
        with pytest.raises(flags.UnknownFlag, match=r"^open: 'O_LEVITATE' is not a name that this version knows$"):
            flags.bits("open", record.flags)
