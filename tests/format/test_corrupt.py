"""Damaged and hostile images: whatever is done to the bytes, the answer is a BadImage and never another error, and never other contents."""

from __future__ import annotations

import random
import resource
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from holdfast.errors import BadImage
from holdfast.image import cbor, frame, read, schema
from tests.format import reader
from tests.format.synthetic import AREAS, COUNTERS, FACTS, NOTES, REGISTRY, load, make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "image")
    return tmp_path / "image"


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A reader that believes a hostile length runs out of memory here, and not in the field."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refusal(path: Path) -> BadImage:
    with pytest.raises(BadImage) as error:
        load(path).close()
    return error.value


def frames_of(path: Path) -> list[list[Any]]:
    """Kind, version, payload, must-understand of every frame but the seal."""
    data = (path / "state").read_bytes()
    return [[f.kind, f.version, data[f.payload : f.payload_end], f.must_understand] for f in frame.scan(data)][:-1]


def reseal(path: Path, frames: list[list[Any]]) -> None:
    """Write frames with right digests and a right seal: what an attacker can do."""
    packed = [frame.pack(*f) for f in frames]
    digest = blake3(b"".join(d for _, d in packed)).digest()
    seal = frame.pack("image.seal", 1, cbor.encode({"algorithm": "blake3", "digest": digest, "frames": len(packed)}))
    (path / "state").write_bytes(b"".join(raw for raw, _ in [*packed, seal]))


def test_a_resealed_image_is_an_image(path: Path) -> None:
    reseal(path, frames_of(path))
    with load(path) as image:
        assert image.records("test.area") == AREAS


def test_a_flipped_bit_in_every_byte_is_seen(path: Path) -> None:
    good = (path / "state").read_bytes()
    bits = random.Random(1)
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1 << bits.randrange(8)
        (path / "state").write_bytes(bad)
        error = refusal(path)
        assert error.code in {
            "bad_image.digest",
            "bad_image.magic",
            "bad_image.malformed",
            "bad_image.truncated",
            "bad_image.frame_flag",
        }, at


def test_both_readers_see_a_flipped_bit_in_every_frame(path: Path) -> None:
    good = (path / "state").read_bytes()
    for f in list(frame.scan(good)):
        for at in (f.start, f.start + 9, f.start + 33, f.payload, f.payload_end, f.end - 1):
            bad = bytearray(good)
            bad[at] ^= 4
            (path / "state").write_bytes(bad)
            refusal(path)
            with pytest.raises((reader.Refused, UnicodeDecodeError, ValueError)):
                reader.read(str(path))


def test_every_truncation_is_seen(path: Path) -> None:
    good = (path / "state").read_bytes()
    ends = {f.end for f in frame.scan(good)} | {0}
    for end in range(len(good)):
        (path / "state").write_bytes(good[:end])
        assert refusal(path).code == ("bad_image.unsealed" if end in ends else "bad_image.truncated")


def test_bytes_behind_the_seal_are_refused(path: Path) -> None:
    good = (path / "state").read_bytes()
    (path / "state").write_bytes(good + b"x")
    assert refusal(path).code == "bad_image.magic"
    (path / "state").write_bytes(good + frame.pack("test.note", 1, b"")[0])
    assert refusal(path).code == "bad_image.unsealed"


def test_frames_that_are_removed_doubled_or_swapped_break_the_seal(path: Path) -> None:
    good = (path / "state").read_bytes()
    parts = [good[f.start : f.end] for f in frame.scan(good)]
    for i in range(len(parts) - 1):
        for changed in (parts[:i] + parts[i + 1 :], parts[: i + 1] + parts[i:], [*parts[:i], parts[i + 1], parts[i], *parts[i + 2 :]]):
            (path / "state").write_bytes(b"".join(changed))
            assert refusal(path).code in {"bad_image.seal", "bad_image.malformed", "bad_image.unsealed"}


def test_files_of_another_image_do_not_fit(path: Path, tmp_path: Path) -> None:
    make(tmp_path / "other", FACTS.replace(kernel="other"))
    (tmp_path / "other" / "pages-1").write_bytes(bytes(8192))
    (tmp_path / "other" / "pages-1").replace(path / "pages-1")
    with load(path) as image, pytest.raises(BadImage) as error:
        image.verify_pages(1)
    assert error.value.code == "bad_image.pages_digest"


@pytest.mark.parametrize(
    "seal",
    [
        {},
        {"algorithm": "blake2", "digest": b"", "frames": 8},
        {"algorithm": "blake3", "digest": bytes(32), "frames": 8},
        [],
        None,
    ],
)
def test_a_seal_that_says_something_else(path: Path, seal: Any) -> None:
    packed = [frame.pack(*f)[0] for f in frames_of(path)]
    (path / "state").write_bytes(b"".join(packed) + frame.pack("image.seal", 1, cbor.encode(seal))[0])
    assert refusal(path).code == "bad_image.seal"


@pytest.mark.parametrize("kind", ["image.inventory", "image.schema", "image.pages", "image.index"])
def test_an_image_without_a_frame_that_it_needs(path: Path, kind: str) -> None:
    frames = [f for f in frames_of(path) if f[0] != kind]
    reseal(path, frames)
    if kind == "image.index":
        with load(path) as image:
            assert image.owners() == []
    elif kind == "image.pages":
        with load(path) as image, pytest.raises(BadImage) as error:
            image.owners()
        assert error.value.why == "run 0: 8192 raw bytes at 0 are not in pages-1"
    else:
        assert refusal(path).code == "bad_image.malformed"


def test_a_frame_of_ours_twice(path: Path) -> None:
    frames = frames_of(path)
    for extra in [f for f in frames if f[0].startswith("image.")]:
        reseal(path, [*frames, extra])
        assert refusal(path).why == "it is there twice"


def test_records_that_no_schema_describes(path: Path) -> None:
    frames = frames_of(path)
    for f in frames:
        if f[0] == "image.schema":
            described = cbor.decode(f[2])
            del described["test.counter"]
            f[2] = cbor.encode(described)
    reseal(path, frames)
    assert refusal(path).why == "the image's schema does not describe it"


def test_a_version_that_frame_and_schema_do_not_share(path: Path) -> None:
    frames = frames_of(path)
    frames[0][1] = 2
    reseal(path, frames)
    assert refusal(path).why == "frame and schema disagree about the record version"


def test_one_object_in_two_frames_of_a_kind(path: Path) -> None:
    frames = frames_of(path)
    reseal(path, [*frames, next(f for f in frames if f[0] == "test.counter")])
    assert refusal(path).why == "an object id is there twice"


def test_a_schema_with_a_lie_about_a_type(path: Path) -> None:
    frames = frames_of(path)
    for f in frames:
        if f[0] == "image.schema":
            described = cbor.decode(f[2])
            own = cbor.decode(described["test.counter"])
            own["records"]["Counter"][0][1] = "str"
            described["test.counter"] = cbor.encode(own)
            f[2] = cbor.encode(described)
    reseal(path, frames)
    assert refusal(path).code == "bad_image.retyped_field"


def test_a_default_of_another_type(path: Path) -> None:
    frames = frames_of(path)
    for f in frames:
        if f[0] == "image.schema":
            described = cbor.decode(f[2])
            own = cbor.decode(described["test.counter"])
            own["records"]["Counter"][1][5] = 7
            described["test.counter"] = cbor.encode(own)
            f[2] = cbor.encode(described)
    reseal(path, frames)
    assert refusal(path).code == "bad_image.field_type"


HUGE = [b"\x9b" + b"\x7f" * 8, b"\xbb" + b"\x7f" * 8, b"\x5b" + b"\xff" * 8, b"\x9a\xff\xff\xff\xff", b"\x81" * 100000, b"\xa1\x60" * 50000]


@pytest.mark.parametrize("payload", HUGE)
def test_a_hostile_length_costs_nothing(path: Path, payload: bytes) -> None:
    for i in range(len(frames_of(path))):
        frames = frames_of(path)
        frames[i][2] = payload
        reseal(path, frames)
        with pytest.raises(BadImage) as error, load(path) as image:
            image.owners()
        assert error.value.code == "bad_image.malformed"


# Any stored value in any place: what an attacker who knows the format can try.
scalars = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.binary(max_size=8) | st.text(max_size=8)
stored = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5
)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a value."""
    yield here
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in steps:
        yield from places(inner, (*here, key))


def put(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at the end of a way."""
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = put(value[way[0]], way[1:], new)
    return copy


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[Any]]]:
    """An image to be changed again and again, and its frames as they were."""
    path = tmp_path_factory.mktemp("hostile") / "image"
    make(path)
    return path, frames_of(path)


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused(whole: tuple[Path, list[list[Any]]], data: st.DataObject) -> None:
    path, good = whole
    frames = [list(f) for f in good]
    chosen = data.draw(st.sampled_from(frames))
    value = cbor.decode(chosen[2])
    if chosen[0] == "image.schema" and data.draw(st.booleans()):  # one level deeper: the schema of one kind
        kind = data.draw(st.sampled_from(sorted(value)))
        own = cbor.decode(value[kind])
        way = data.draw(st.sampled_from(list(places(own))))
        value[kind] = cbor.encode(put(own, way, data.draw(stored)))
    else:
        way = data.draw(st.sampled_from(list(places(value))))
        value = put(value, way, data.draw(stored))
    chosen[2] = cbor.encode(value)
    reseal(path, frames)
    try:
        with load(path) as image:
            for owner in image.owners():
                for run in image.runs(owner):
                    image.read_run(run)
            for kind in image.kinds():
                image.raw(kind)
                for _, record in image.records(kind):
                    assert schema.plan(type(record)).cls is REGISTRY[kind][0]
    except BadImage:
        event("refused")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_bytes_of_a_resealed_image_are_read_or_refused(whole: tuple[Path, list[list[Any]]], data: st.DataObject) -> None:
    path, good = whole
    frames = [list(f) for f in good]
    chosen = data.draw(st.sampled_from(frames))
    raw = bytearray(chosen[2])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    chosen[2] = bytes(raw)
    reseal(path, frames)
    try:
        with load(path) as image:
            image.owners()
            assert [len(image.records(kind)) for kind in ("test.area", "test.counter", "test.note")] == [
                len(AREAS),
                len(COUNTERS),
                len(NOTES),
            ]
    except BadImage:
        event("refused")


def test_a_state_that_is_too_large_is_not_read(path: Path) -> None:
    with open(path / "state", "r+b") as file:
        file.truncate(frame.MAX_STATE + 1)
    assert refusal(path).why == f"{frame.MAX_STATE + 1} bytes, more than the {frame.MAX_STATE} that any image has"


def test_without_a_registry_the_structure_is_checked_alike(path: Path) -> None:
    frames = frames_of(path)
    frames[0][2] = b"\xff"
    reseal(path, frames)
    with read.open(path) as image:
        with pytest.raises(BadImage) as error:
            image.raw("test.area")
        assert error.value.code == "bad_image.malformed"
