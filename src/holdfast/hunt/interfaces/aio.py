"""States of asynchronous I/O: contexts of io_setup(2) and rings of io_uring_setup(2), which an engine carries or must refuse by name.

Source:  linux/aio_abi.h, linux/io_uring.h; io_setup(2), io_submit(2), io_getevents(2), io_uring_setup(2), io_uring_register(2)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

FILE = "file = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT|O_EXCL, 420) ; write($file, b'0123456789abcdef', 16)"
EVENTS = "io_getevents($ring@0:8, 0, 4, [128], 0)"
PIPE = "pipe2(both:[8], 0)"


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of asynchronous I/O, one a recipe."""
    script = Script(constants)
    yield from script.recipes("aio", _contexts())
    yield from script.recipes("io_uring", _rings(script))


def _contexts() -> Iterator[Row]:
    setup = "io_setup(8, ring:[8])"
    # struct iocb: data, key and flags, opcode, priority, descriptor, buffer, length, offset, reserved, flags, resfd
    read = "io_submit($ring@0:8, 1, {&{<8:77> <8:0> <2:IOCB_CMD_PREAD> <2:0>, $file:4, $area, <8:8> <8:0> <8:0> <8:0>}})"
    area = "area = mmap(0x20000000, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
    for size in (1, 8, 128, 1024):
        yield Row(f"setup={size}", "umask(18)", f"io_setup({size}, ring:[8])", EVENTS, "io_destroy($ring@0:8)")
    yield Row("two", "umask(18)", f"{setup} ; io_setup(4, more:[8])", EVENTS, "io_destroy($more@0:8)")
    yield Row("done-unread", f"{FILE} ; {area} ; {setup}", read, "", f"{EVENTS} ; peek($area, 8)")
    yield Row("done-and-read", f"{FILE} ; {area} ; {setup}", f"{read} ; {EVENTS}", "", f"{EVENTS} ; {read} ; {EVENTS}")
    poll = "io_submit($ring@0:8, 1, {&{<8:78> <8:0> <2:IOCB_CMD_POLL> <2:0>, $both@0:4, <8:1> <8:0> <8:0> <8:0> <8:0>}})"
    yield Row(
        "poll-waits",
        f"{PIPE} ; {setup}",
        poll,
        EVENTS,
        "write($both@4:4, b'x', 1) ; io_getevents($ring@0:8, 1, 4, [128], {<8:1> <8:0>})",
    )
    yield Row("child", "child = clone(SIGCHLD, 0, 0, 0, 0)", "child: io_setup(8, [8])", "", "getpid()")


def _rings(script: Script) -> Iterator[Row]:
    setup = "fd = io_uring_setup(4, [120])"
    for flag in script.names("IORING_SETUP_", header="linux/io_uring.h"):
        more = {
            "IORING_SETUP_SQ_AFF": "|IORING_SETUP_SQPOLL",
            "IORING_SETUP_TASKRUN_FLAG": "|IORING_SETUP_COOP_TASKRUN",
            "IORING_SETUP_HYBRID_IOPOLL": "|IORING_SETUP_IOPOLL",
            "IORING_SETUP_DEFER_TASKRUN": "|IORING_SETUP_SINGLE_ISSUER",
        }.get(flag, "")
        yield Row(f"setup.{flag}", "umask(18)", f"fd = io_uring_setup(4, [120 <4:0> <4:8> <4:{flag}{more}>])", "fcntl($fd, F_GETFL, 0)")
    for entries in (1, 4, 128):
        yield Row(f"entries={entries}", "umask(18)", f"fd = io_uring_setup({entries}, [120])", "fcntl($fd, F_GETFL, 0)")
    mapped = "ring = mmap(0, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, $fd, 0)"
    yield Row("mapped", setup, mapped, "fcntl($fd, F_GETFL, 0)", "munmap($ring, 4096)")
    yield Row("mapped.closed", f"{setup} ; {mapped}", "close($fd)", "", "munmap($ring, 4096)")
    area = "area = mmap(0x20000000, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
    for what, (number, argument, count) in {
        "buffers": (0, "{$area, <8:8192>}", 1),
        "files": (2, "{<4:0> <4:1>}", 2),
        "eventfd": (4, "{$event:4}", 1),
        "eventfd-async": (7, "{$event:4}", 1),
        "personality": (9, "0", 0),
    }.items():
        yield Row(
            f"register.{what}",
            f"{setup} ; {area} ; event = eventfd2(0, 0)",
            f"io_uring_register($fd, {number}, {argument}, {count})",
            "fcntl($fd, F_GETFL, 0)",
        )
