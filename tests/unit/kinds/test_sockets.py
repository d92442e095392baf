"""What the kinds of sockets share: addresses, sockets by inode, inherited ones, other network namespaces."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel import sockdiag
from holdfast.kernel.source import Live
from holdfast.kinds import files, sockets
from holdfast.kinds.evidence import Options, ProcessEvidence, TreeEvidence
from holdfast.kinds.fd import inherited
from holdfast.kinds.sock import tcp, unix
from holdfast.kinds.sockets import Address
from holdfast.model.ids import Fd, NsPid, ObjectId, Pid
from tests.unit.kinds import native

if TYPE_CHECKING:
    from collections.abc import Iterator

# captured: getsockname of a TCP socket at 127.0.0.1:8080, of a UDP socket at [fe80::1%2]:53
V4 = bytes.fromhex("02001f907f0000010000000000000000")
V6 = bytes.fromhex("0a00003500000000fe80000000000000000000000000000102000000")


@pytest.mark.parametrize(
    ("raw", "parsed", "shown"),
    [
        (V4, Address(bytes((127, 0, 0, 1)), 8080), "127.0.0.1:8080"),
        (V6, Address(bytes.fromhex("fe800000000000000000000000000001"), 53, 0, 2), "[fe80::1%2]:53"),
    ],
)
def test_an_address_is_read_written_and_shown(raw: bytes, parsed: Address, shown: str) -> None:
    assert (sockets.address(raw), parsed.pack(), str(parsed)) == (parsed, raw, shown)


@pytest.mark.parametrize(
    ("address", "is_set"), [(Address(bytes(4), 0), False), (Address(bytes(4), 1), True), (Address(bytes(15) + b"\1", 0), True)]
)
def test_an_address_is_set_by_host_or_port(address: Address, is_set: bool) -> None:
    assert address.is_set is is_set


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, two = socket.socketpair()
    yield one, two
    one.close()
    two.close()


def test_sockets_are_found_by_inode(pair: tuple[socket.socket, socket.socket]) -> None:
    evidence = native.tree(pair[0].fileno(), 0, pair[1].fileno())
    found = sockets.by_inode(evidence)
    native.close(evidence)
    assert {ino: file.id for ino, file in found.items()} == {
        os.fstat(pair[0].fileno()).st_ino: ObjectId("file:0"),
        os.fstat(pair[1].fileno()).st_ino: ObjectId("file:2"),
    }


def test_what_is_asked_of_one_tree_is_asked_once_and_of_the_next_anew(pair: tuple[socket.socket, socket.socket]) -> None:
    asked = []
    for _ in range(2):
        evidence = native.tree(pair[0].fileno())
        for _ in range(2):
            sockets.once(evidence.files[0], "word", lambda: asked.append(1))
        native.close(evidence)
    assert len(asked) == 2


@pytest.mark.parametrize(("number", "allowed", "kind"), [(0, True, "fd.inherited"), (0, False, "sock.unix"), (3, True, "sock.unix")])
def test_a_standard_descriptor_that_leads_out_is_inherited_where_that_is_allowed(
    pair: tuple[socket.socket, socket.socket], number: int, allowed: bool, kind: str
) -> None:
    evidence = native.tree(pair[0].fileno(), options=Options(external_stdio=allowed))
    evidence.files[0].holders = [(evidence.processes[0], Fd(number), False)]
    evidence.files[0]._borrowed = native.lend(pair[0].fileno())
    claims = [k.name for k in (inherited.KIND, unix.KIND, tcp.KIND) if k.verbs["detect"](evidence.files[0]) is not None]
    native.close(evidence)
    assert claims == [kind]


def test_a_pair_within_the_tree_does_not_lead_out(pair: tuple[socket.socket, socket.socket]) -> None:
    evidence = native.tree(pair[0].fileno(), pair[1].fileno())
    led = [sockets.leads_out(file) for file in evidence.files]
    native.close(evidence)
    assert led == [False, False]


def test_numbers_of_users_in_our_own_namespace_are_as_they_are(pair: tuple[socket.socket, socket.socket]) -> None:
    evidence = native.tree(pair[0].fileno())
    found = [files.inner(evidence.processes[0], table, 12345) for table in ("uid_map", "gid_map")]
    native.close(evidence)
    assert found == [12345, 12345]


ELSEWHERE = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.bind("\\0elsewhere")
sock.listen(3)
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.root
def test_sockets_of_another_network_namespace_are_asked_there() -> None:
    argv = ["unshare", "--net", sys.executable, "-c", ELSEWHERE]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        here = os.readlink("/proc/self/ns/net")
        tree = TreeEvidence(ObjectId("tree"), Options(), Live("/proc"))
        process = ProcessEvidence(ObjectId("process:1"), tree.host.at(str(child.pid)), tree, Pid(child.pid), NsPid(child.pid), None)
        names = {s.name for s in sockdiag.unix_sockets(sockets.diag(process)).values()}
        process.source.close()
        tree.host.close()
        assert child.stdin is not None
        child.stdin.close()
    assert (names, os.readlink("/proc/self/ns/net")) == ({b"\0elsewhere"}, here)
