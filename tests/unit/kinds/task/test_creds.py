"""task.creds. Text captured on Linux 6.18."""

from __future__ import annotations

import struct

import pytest

from holdfast.errors import Refused
from holdfast.kernel import flagtables
from holdfast.kernel.source import Link
from holdfast.kinds.task.creds import KIND, Creds
from tests.unit.kinds import captured

ROOT = tuple(sorted(flagtables.BITS["capability"].keys() - {"CAP_SYS_RESOURCE"}))
PLAIN = Creds(0, 0, 0, 0, 0, 0, 0, 0, (), (), ROOT, ROOT, ROOT, (), (), False)


def status(**lines: str) -> dict[str, bytes | OSError]:
    text = captured.STATUS
    for key, value in lines.items():
        text = captured.line(text, key, value)
    return {"status": text}


def test_the_kernels_text_gives_the_record() -> None:
    files = status(Uid="1\t2\t3\t4", Gid="5\t6\t7\t8", Groups="9 10 ", CapInh="0" * 15 + "3", CapAmb="0" * 15 + "1", NoNewPrivs="1")
    got = captured.dumped(KIND, captured.process(files).leader, {("prctl", 27): 0x14})
    want = PLAIN.replace(
        ruid=1,
        euid=2,
        suid=3,
        fsuid=4,
        rgid=5,
        egid=6,
        sgid=7,
        fsgid=8,
        groups=(9, 10),
        ambient=("CAP_CHOWN",),
        inheritable=("CAP_CHOWN", "CAP_DAC_OVERRIDE"),
    )
    assert got == want.replace(securebits=("SECBIT_KEEP_CAPS", "SECBIT_NO_SETUID_FIXUP"), no_new_privs=True)


@pytest.mark.parametrize(
    ("its", "ours", "said"), [(b"4294967295", None, []), (b"7", b"7", []), (b"7", b"5", ["Loss"]), (b"7", None, ["Loss"])]
)
def test_a_login_that_is_not_ours_is_told(its: bytes, ours: bytes | None, said: list[str]) -> None:
    host: dict[str, bytes | OSError] = {} if ours is None else {"self/sessionid": ours}
    assert captured.verdicts(KIND, captured.process({"sessionid": its}, host=host).leader) == said


def test_ids_of_another_user_namespace_are_asked_of_the_thread() -> None:
    files = {**status(Groups="70000 "), "ns/user": Link(b"user:[4026532999]"), "setgroups": b"allow\n"}
    replies: dict[tuple[str | int, ...], int | tuple[int, bytes]] = {
        ("setfsuid",): 44,
        ("setfsgid",): 55,
        ("getgroups",): (1, (7).to_bytes(4, "little")),
    }
    got = captured.dumped(KIND, captured.process(files).leader, replies)
    assert (got.fsuid, got.fsgid, got.groups) == (44, 55, (7,))


def test_groups_that_cannot_be_set_are_no_part_of_the_record() -> None:
    assert captured.dumped(KIND, captured.process({"setgroups": b"deny\n"}).leader).groups is None


def test_an_unknown_securebit_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process().leader, {("prctl", 27): 1 << 20})
    assert caught.value.code == "refused.task.securebits"


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        captured.dumped(KIND, captured.process(status(CapPrm=f"{1 << 50:016x}")).leader)
    assert caught.value.code == "refused.task.capability"


def test_a_restore_goes_down_to_the_records_sets_in_two_steps() -> None:
    rec = PLAIN.replace(
        groups=(1, 2),
        permitted=("CAP_CHOWN", "CAP_DAC_READ_SEARCH"),
        effective=("CAP_DAC_READ_SEARCH",),
        inheritable=("CAP_CHOWN",),
        ambient=("CAP_CHOWN",),
        securebits=("SECBIT_NOROOT",),
        no_new_privs=True,
    )
    [part] = captured.written(KIND, rec, captured.THREAD)
    assert (part.gives, part.ends) == ({"creds"}, {"caps"})
    names = [c[0] for c in part.calls]
    assert names.index("setgroups") < names.index("setresgid") < names.index("setresuid") < names.index("capset")
    first, last = (struct.unpack("<6I", c[2]) for c in part.calls if c[0] == "capset")
    assert (first, last) == ((4 | 256, 5 | 256, 1, 0, 0, 0), (4, 5, 1, 0, 0, 0))
    assert [c[2] for c in part.calls if c[:2] == ("prctl", 24)] == [24]
    assert [c[:4] for c in part.calls if c[:2] == ("prctl", 47)] == [("prctl", 47, 4, 0), ("prctl", 47, 2, 0)]
    assert [c[2] for c in part.calls if c[:2] == ("prctl", 28)] == [4, 1]
    assert part.calls[-1] == ("prctl", 38, 1, 0, 0, 0)


def test_a_filesystem_id_is_checked_by_asking_again() -> None:
    [part] = captured.written(KIND, PLAIN.replace(fsuid=9), captured.THREAD)
    at = part.calls.index(("setfsuid", 9))
    assert (part.calls[at + 1], part.checks[at + 1]) == (("setfsuid", 2**32 - 1), 9)
