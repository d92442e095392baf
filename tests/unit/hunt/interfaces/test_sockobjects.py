"""hunt.interfaces.sockobjects: addresses and lines of sockets as text."""

from __future__ import annotations

import socket

from holdfast.hunt.interfaces import sockobjects
from holdfast.hunt.interfaces.script import Script
from holdfast.hunt.interfaces.sockobjects import SOCKETS, in4, in6, lit, message, rights, sent, un
from holdfast.prog.text import Parts, Pointer, Room, parse_line
from tests.unit.hunt.interfaces.soundness import today


def value(text: str) -> object:
    return parse_line(f"call({text})").args[0]


def test_bytes_come_back_whatever_they_are() -> None:
    assert value(lit(bytes(range(256)))) == bytes(range(256))


def test_addresses_are_those_of_the_c_library() -> None:
    assert value(in4(4001)) == b"\2\0" + (4001).to_bytes(2, "big") + socket.inet_aton("127.0.0.1") + bytes(8)
    six = b"\x0a\0" + (80).to_bytes(2, "big") + (5).to_bytes(4, "big") + bytes(15) + b"\1" + b"\2\0\0\0"
    assert value(in6(80, flow=5, scope=2)) == six
    assert un(b"\0hunt") == (lit(b"\1\0\0hunt"), 7)


def test_a_message_of_descriptors_has_the_form_of_the_kernel() -> None:
    text, size = rights("$a", "$both@4:4", "$c")
    line = Script(today()).lines(sent("$fd", b"x", text, size))[0]
    header = line.args[1]
    assert isinstance(header, Parts)
    control = next(p.to for p in header.parts if isinstance(p, Pointer) and isinstance(p.to, Parts) and len(p.to.parts) == 5)
    assert size == 32
    assert isinstance(control, Parts)
    assert control.parts[0] == (28).to_bytes(8, "little") + b"\1\0\0\0" * 2
    assert control.parts[4] == bytes(4)


def test_the_buffer_for_control_messages_can_have_a_name() -> None:
    header = Script(today()).lines(message("$fd", kept="ctl"))[0].args[1]
    assert isinstance(header, Parts)
    assert Pointer(Room(128, b"", "ctl")) in header.parts


def test_every_object_is_made_by_lines_that_can_be_read() -> None:
    script = Script(today())
    for one in SOCKETS.values():
        assert script.lines(one.make), one.name
        script.lines(one.goes_on)
        script.lines(one.gets)
    assert sockobjects.PAIR0 in SOCKETS["unix-stream"].fd
