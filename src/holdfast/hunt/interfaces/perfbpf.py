"""States of counters and BPF: software events of the subject itself, maps, programs, links to nothing; carried, or refused by name.

Only what counts or stores for its own process: no event of the whole machine, no program that is attached anywhere.

Source:  linux/perf_event.h, linux/bpf.h; perf_event_open(2), bpf(2)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

LOOK = "fcntl($fd, F_GETFL, 0) ; fcntl($fd, F_GETFD, 0)"
# r0 = 0; exit
PROGRAM = "b'\\xb7\\0\\0\\0\\0\\0\\0\\0\\x95\\0\\0\\0\\0\\0\\0\\0'"


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of counters and BPF objects, one a recipe."""
    script = Script(constants)
    yield from script.recipes("perf_event_open", _counters(script))
    yield from script.recipes("bpf", _bpf(script))


def _event(config: str, *, period: int = 0, sample: int = 0, read: str = "0", flags: int = 1) -> str:
    # struct perf_event_attr of PERF_ATTR_SIZE_VER1: type, size, config, period, sample type, read format, bits (1 is disabled), rest
    return f"{{<4:PERF_TYPE_SOFTWARE> <4:72> <8:{config}> <8:{period}> <8:{sample}> <8:{read}> <8:{flags}> <8:0> <8:0> <8:0>}}"


def _counters(script: Script) -> Iterator[Row]:
    for config in script.names("PERF_COUNT_SW_", header="linux/perf_event.h"):
        yield Row(f"software.{config}", "umask(18)", f"fd = perf_event_open({_event(config)}, 0, -1, -1, 0)", LOOK)
    dummy = "PERF_COUNT_SW_DUMMY"
    for form in script.names("PERF_FORMAT_", header="linux/perf_event.h"):
        yield Row(f"format.{form}", "umask(18)", f"fd = perf_event_open({_event(dummy, read=form)}, 0, -1, -1, 0)", LOOK)
    for flag in script.names("PERF_FLAG_", header="linux/perf_event.h", but=("PERF_FLAG_PID_CGROUP",)):
        yield Row(f"flag.{flag}", "umask(18)", f"fd = perf_event_open({_event(dummy)}, 0, -1, -1, {flag})", LOOK)
    yield Row(
        "enabled", f"fd = perf_event_open({_event(dummy)}, 0, -1, -1, 0)", "ioctl($fd, PERF_EVENT_IOC_ENABLE, 0)", LOOK, "read($fd, [8], 8)"
    )
    yield Row(
        "group", f"fd = perf_event_open({_event(dummy)}, 0, -1, -1, 0)", f"two = perf_event_open({_event(dummy)}, 0, -1, $fd, 0)", LOOK
    )
    yield Row("inherited", f"fd = perf_event_open({_event(dummy, flags=3)}, 0, -1, -1, 0)", "child = clone(SIGCHLD, 0, 0, 0, 0)", LOOK)
    yield Row(
        "closed",
        "child = clone(SIGCHLD, 0, 0, 0, 0)",
        f"child: fd = perf_event_open({_event(dummy)}, 0, -1, -1, 0)",
        "child: fcntl($fd, F_GETFL, 0)",
    )


def _bpf(script: Script) -> Iterator[Row]:
    # sizes of key and value, and flags, of types that do not take four bytes of each
    shapes = {
        "QUEUE": (0, 8, 0),
        "STACK": (0, 8, 0),
        "BLOOM_FILTER": (0, 8, 0),
        "LPM_TRIE": (8, 8, 1),
        "RINGBUF": (0, 0, 0),
        "USER_RINGBUF": (0, 0, 0),
        "STACK_TRACE": (4, 8, 0),
        "ARENA": (0, 0, 1024),
        "INSN_ARRAY": (4, 16, 0),
        "RHASH": (4, 4, 1),
    }
    for name in script.names("BPF_MAP_TYPE_", header="linux/bpf.h", but=("BPF_MAP_TYPE_STRUCT_OPS",)):
        key, value, flags = shapes.get(name.removeprefix("BPF_MAP_TYPE_"), (4, 4, 0))
        most = 4096 if "RINGBUF" in name else 4
        yield Row(
            f"map.{name}",
            "umask(18)",
            f"fd = bpf(BPF_MAP_CREATE, {{<4:{name}> <4:{key}> <4:{value}> <4:{most}> <4:{flags}> <8:0> <8:0> <8:0>}}, 44)",
            LOOK,
        )
    array = "fd = bpf(BPF_MAP_CREATE, {<4:BPF_MAP_TYPE_ARRAY> <4:4> <4:8> <4:4> <4:0>}, 20)"
    yield Row(
        "map.value",
        array,
        "bpf(BPF_MAP_UPDATE_ELEM, {$fd, &{<4:1>}, &{<8:42>}, <8:0>}, 32)",
        LOOK,
        "bpf(BPF_MAP_LOOKUP_ELEM, {$fd, &{<4:1>}, &[8], <8:0>}, 32)",
    )
    yield Row(
        "map.frozen",
        array,
        "bpf(BPF_MAP_FREEZE, {$fd:4}, 4)",
        LOOK,
        "bpf(BPF_MAP_UPDATE_ELEM, {$fd, &{<4:1>}, &{<8:42>}, <8:0>}, 32)",
        security=True,
    )
    for kind in ("BPF_PROG_TYPE_SOCKET_FILTER", "BPF_PROG_TYPE_CGROUP_SKB", "BPF_PROG_TYPE_SK_MSG"):
        yield Row(
            f"program.{kind}",
            "umask(18)",
            f"fd = bpf(BPF_PROG_LOAD, {{<4:{kind}> <4:2>, &{PROGRAM}, &b'GPL\\0', <4:0> <4:0> <8:0> <4:0> <4:0>}}, 48)",
            LOOK,
        )
    load = (
        f"prog = bpf(BPF_PROG_LOAD, {{<4:BPF_PROG_TYPE_SOCKET_FILTER> <4:2>, &{PROGRAM}, &b'GPL\\0', <4:0> <4:0> <8:0> <4:0> <4:0>}}, 48)"
    )
    sockets = "socketpair(AF_UNIX=1, SOCK_DGRAM=2, 0, both:[8])"
    # a filter that lets nothing through
    yield Row(
        "program.on-socket",
        f"{sockets} ; {load}",
        "setsockopt($both@0:4, SOL_SOCKET, SO_ATTACH_BPF, {$prog:4}, 4)",
        "",
        "write($both@4:4, b'x', 1) ; recvfrom($both@0:4, [8], 8, MSG_DONTWAIT, 0, 0)",
        security=True,
    )
    yield Row(
        "program.on-socket.closed",
        f"{sockets} ; {load}",
        "setsockopt($both@0:4, SOL_SOCKET, SO_ATTACH_BPF, {$prog:4}, 4) ; close($prog)",
        "",
        "write($both@4:4, b'x', 1) ; recvfrom($both@0:4, [8], 8, MSG_DONTWAIT, 0, 0)",
        security=True,
    )
