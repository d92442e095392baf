"""kernel/state/credentials.py: where Landlock's part of a blob is, and the keys of a keyring, in memory made by hand."""

from __future__ import annotations

import struct

import pytest

from holdfast.kernel.state import credentials
from tests.unit.kernel.state import fake
from tests.unit.kernel.state.fake import KERNEL, FakeMemory

CAPABILITY, SELINUX, SMACK, TOMOYO, APPARMOR, YAMA, LANDLOCK = 100, 101, 102, 103, 104, 105, 110
SIZES = {"cred_security_struct": (0, 28), "file_security_struct": (0, 20), "aa_file_ctx": (0, 24), "landlock_file_security": (0, 24)}


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_offsets", {})
    monkeypatch.setattr(credentials, "_unknown", set())


@pytest.mark.parametrize(
    ("modules", "of_cred", "of_file"),
    [
        ((CAPABILITY, LANDLOCK, YAMA, APPARMOR), 0, 0),
        ((CAPABILITY, SELINUX, LANDLOCK), 32, 24),
        ((CAPABILITY, YAMA, TOMOYO, APPARMOR, LANDLOCK), 8, 24),
        ((CAPABILITY, SELINUX, APPARMOR, LANDLOCK), 40, 48),
        ((CAPABILITY, SELINUX), None, None),
        ((), None, None),
        ((CAPABILITY, SMACK, LANDLOCK), None, 8),  # the size of Smack's part of a credential is not known here
    ],
)
def test_landlock_s_part_is_behind_those_of_the_modules_before_it(
    monkeypatch: pytest.MonkeyPatch, modules: tuple[int, ...], of_cred: int | None, of_file: int | None
) -> None:
    monkeypatch.setattr(credentials, "active_modules", lambda: modules)
    found = fake.walk(FakeMemory(), fake.layouts({}, SIZES))
    assert (credentials.landlock_offset(found), credentials.landlock_file_offset(found)) == (of_cred, of_file)


@pytest.mark.parametrize(("started", "offset"), [(1, 16), (0, None)])
def test_where_no_list_of_modules_is_to_be_had_its_own_sizes_say(monkeypatch: pytest.MonkeyPatch, started: int, offset: int | None) -> None:
    monkeypatch.setattr(credentials, "active_modules", lambda: ())
    memory = FakeMemory()
    memory.word(KERNEL + 4, 16, 4)
    memory.word(KERNEL + 0x100, started, 1)
    names = {KERNEL: "landlock_blob_sizes", KERNEL + 0x100: "landlock_initialized"}
    found = fake.walk(memory, fake.layouts({}, {"lsm_blob_sizes.lbs_cred": (4, 4)}), names)
    assert (credentials.landlock_offset(found), credentials.landlock_is_unknown()) == (offset, False)


def test_where_nobody_says_it_is_unknown_and_not_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "active_modules", lambda: ())
    found = fake.walk(FakeMemory(), fake.layouts({}, {}))
    assert (credentials.landlock_offset(found), credentials.landlock_is_unknown(), found.gaps) == (None, True, {"cred.security"})


def test_an_older_kernel_has_selinux_s_part_under_its_older_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "active_modules", lambda: (SELINUX, LANDLOCK))
    found = fake.walk(FakeMemory(), fake.layouts({}, {"task_security_struct": (0, 24)}))
    assert (credentials.landlock_offset(found), credentials.landlock_file_offset(found)) == (24, None)


ARRAY = {"assoc_array_node.slots": (16, 128), "assoc_array_shortcut.next_node": (16, 8)}
NODE, SHORTCUT, INNER = KERNEL + 0x1000, KERNEL + 0x2000, KERNEL + 0x3000


def key(n: int) -> int:
    return KERNEL + 0x10000 + n * 0x100


def node(memory: FakeMemory, at: int, slots: list[int]) -> None:
    memory.put(at, bytes(16) + struct.pack("<16Q", *slots, *[0] * (16 - len(slots))))


def test_keys_are_found_behind_nodes_and_shortcuts() -> None:
    memory = FakeMemory()
    node(memory, NODE, [key(1), key(2) | 2, 0, SHORTCUT | 3])  # a key, a keyring, nothing, a way past bits that all share
    memory.put(SHORTCUT, bytes(16))
    memory.word(SHORTCUT + 16, INNER | 1)
    node(memory, INNER, [key(3), key(4)])
    found = fake.walk(memory, fake.layouts({}, ARRAY))
    assert sorted(credentials.keys(found, NODE | 1)) == [key(n) for n in (1, 2, 3, 4)]
    assert credentials.keys(found, 0) == []
    assert credentials.keys(found, key(1)) == [key(1)]


def test_a_ring_of_nodes_ends() -> None:
    memory = FakeMemory()
    node(memory, NODE, [key(1), NODE | 1])
    assert len(credentials.keys(fake.walk(memory, fake.layouts({}, ARRAY)), NODE | 1)) < credentials._MOST_KEYS


KEYS = {
    **ARRAY, "task_struct.cred": (0, 8), "cred.session_keyring": (8, 8), "key.description": (0, 8), "key.type": (8, 8), "key.keys": (16, 8),
    "key_type.name": (0, 8),
}  # fmt: skip
TASK, CRED, TYPE = KERNEL + 0x4000, KERNEL + 0x5000, KERNEL + 0x6000


def keyring(memory: FakeMemory, at: int, name: str, held: list[int]) -> None:
    text = at + 0x80
    memory.put(text, name.encode().ljust(64, b"\0") + bytes(256))
    memory.word(at, text)
    memory.word(at + 8, TYPE)
    memory.word(at + 16, at + 0x1000 + 1 if held else 0)
    if held:
        node(memory, at + 0x1000, held)


@pytest.mark.parametrize(
    ("name", "linked", "ours", "shared"),
    [
        ("mine", None, False, False),
        ("mine", None, True, True),
        ("_uid_ses.1000", None, False, True),
        ("_ses", None, False, False),
        ("_ses", "_uid.1000", False, True),
        ("_ses", "a secret", False, False),
    ],
    ids=[
        "a name of its own",
        "the reader's too",
        "the user's",
        "without a name, empty",
        "a login's with the user's",
        "a login's with a key",
    ],
)
def test_a_keyring_is_shared_or_the_task_s_own(name: str, linked: str | None, ours: bool, shared: bool) -> None:
    memory = FakeMemory(task=TASK)
    ring, other = KERNEL + 0x20000, KERNEL + 0x30000
    memory.word(TASK, CRED)
    memory.word(CRED + 8, ring if ours else other)
    memory.word(TYPE, TYPE + 8)
    memory.put(TYPE + 8, b"user".ljust(256, b"\0"))
    keyring(memory, ring, name, [other | 2] if linked else [])
    keyring(memory, other, linked or "other", [])
    assert credentials.shared_keyring(fake.walk(memory, fake.layouts({}, KEYS)), ring) is shared
