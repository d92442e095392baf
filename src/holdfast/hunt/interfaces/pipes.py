"""States of pipes and fifos: flags, sizes, what is in them, packets, pages that were spliced, ends that are closed.

Source:  linux/fcntl.h; pipe(7), pipe(2), splice(2), tee(2), vmsplice(2), fifo(7)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

PIPE = "pipe2(both:[8], 0)"
QUIET = "fcntl($both@0:4, F_SETFL, O_NONBLOCK)"
AREA = "area = mmap(0x20000000, 0x210000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
GOT = "ioctl($both@0:4, FIONREAD, [4])"
READS = f"{QUIET} ; read($both@0:4, [3], 3) ; read($both@0:4, [64], 64) ; read($both@0:4, [64], 64)"
FILE = "file = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT|O_EXCL, 420) ; write($file, b'0123456789abcdef', 16)"
# splice(2) flags stand in no header of the kernel's user interface
FLAGS = ("SPLICE_F_MOVE=1", "SPLICE_F_NONBLOCK=2", "SPLICE_F_MORE=4", "SPLICE_F_GIFT=8")


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of pipes and fifos, one a recipe."""
    script = Script(constants)
    yield from script.recipes("pipe", _pipes())
    yield from script.recipes("splice", _spliced())
    yield from script.recipes("fifo", _fifos())


def _pipes() -> Iterator[Row]:
    flags = " ; ".join(f"fcntl($both@{at}:4, {get}, 0)" for at in (0, 4) for get in ("F_GETFL", "F_GETFD"))
    for flag in ("0", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECT", "O_CLOEXEC|O_NONBLOCK|O_DIRECT"):
        yield Row(
            f"flag.{flag.replace('|', '_')}",
            "umask(18)",
            f"pipe2(both:[8], {flag})",
            flags,
            f"{QUIET} ; write($both@4:4, b'abc', 3) ; {READS}",
        )
    for name, sizes in {
        "one": (1,),
        "three": (1, 2, 3),
        "page": (4096,),
        "over-page": (4097,),
        "pages": (4096, 1, 4096),
        "many": (7,) * 20,
    }.items():
        writes = " ; ".join(f"write($both@4:4, $area, {size})" for size in sizes)
        fill = f"{PIPE} ; {AREA} ; poke($area, b'the first bytes') ; poke($area+4080, b'and the last of a page')"
        yield Row(f"content.{name}", fill, writes, GOT, f"{READS} ; read($both@0:4, $area+8192, 8192) ; peek($area+12200, 128)")
    full = "write($both@4:4, $area, 65536)"
    more = "fcntl($both@4:4, F_SETFL, O_NONBLOCK) ; write($both@4:4, b'x', 1)"
    yield Row(
        "content.full", f"{PIPE} ; {AREA}", full, GOT, f"{more} ; read($both@0:4, $area, 4096) ; write($both@4:4, $area, 4096) ; {more}"
    )
    for size in (4096, 8192, 1 << 20):
        state = f"fcntl($both@4:4, F_SETPIPE_SZ, {size}) ; write($both@4:4, $area, {size})"
        yield Row(f"content.full-of={size}", f"{PIPE} ; {AREA}", state, f"{GOT} ; fcntl($both@0:4, F_GETPIPE_SZ, 0)", more)
    yield Row("content.half-read", PIPE, "write($both@4:4, b'0123456789', 10) ; read($both@0:4, [4], 4)", GOT, READS)
    yield Row("content.emptied", PIPE, "write($both@4:4, b'0123', 4) ; read($both@0:4, [4], 4)", GOT, READS)
    packets = "write($both@4:4, b'first', 5) ; write($both@4:4, b'second', 6) ; write($both@4:4, b'', 0)"
    yield Row("packets.queued", "pipe2(both:[8], O_DIRECT)", packets, GOT, READS)
    yield Row(
        "packets.long",
        f"pipe2(both:[8], O_DIRECT) ; {AREA}",
        "write($both@4:4, $area, 5000)",
        GOT,
        f"{QUIET} ; read($both@0:4, $area, 8192) ; read($both@0:4, $area, 8192)",
    )
    mixed = (
        "write($both@4:4, b'stream', 6) ; fcntl($both@4:4, F_SETFL, O_DIRECT) ; write($both@4:4, b'packet', 6) ; write($both@4:4,"
        " b'other', 5)"
    )
    yield Row("packets.mixed", PIPE, f"{mixed} ; fcntl($both@4:4, F_SETFL, 0) ; write($both@4:4, b'again', 5)", GOT, READS)
    broken = "rt_sigprocmask(SIG_BLOCK, {<8:-1>}, 0, 8)"
    yield Row("closed.write", PIPE, "write($both@4:4, b'left', 4) ; close($both@4:4)", GOT, READS)
    yield Row(
        "closed.read",
        f"{PIPE} ; {broken}",
        "close($both@0:4)",
        "fcntl($both@4:4, F_GETFL, 0)",
        "write($both@4:4, b'x', 1) ; rt_sigpending([8], 8)",
    )
    yield Row(
        "closed.read.content",
        f"{PIPE} ; {broken}",
        "write($both@4:4, b'left', 4) ; close($both@0:4)",
        "ioctl($both@4:4, FIONREAD, [4])",
        "write($both@4:4, b'x', 1)",
    )
    child = "child = clone(SIGCHLD, 0, 0, 0, 0)"
    yield Row("shared.child", f"{PIPE} ; {child}", "child: write($both@4:4, b'from child', 10)", GOT, READS)
    yield Row(
        "shared.only-child-writes",
        f"{PIPE} ; {child}",
        "close($both@4:4) ; child: write($both@4:4, b'from child', 10)",
        GOT,
        f"{READS} ; child: close($both@4:4) ; {READS}",
    )
    again = "more = openat(AT_FDCWD, b'/proc/self/fd/3\\0', O_RDONLY|O_NONBLOCK, 0)"
    yield Row(
        "opened-again", PIPE, again, "fcntl($more, F_GETFL, 0)", "write($both@4:4, b'abc', 3) ; read($more, [8], 8) ; read($more, [8], 8)"
    )
    both = "more = openat(AT_FDCWD, b'/proc/self/fd/3\\0', O_RDWR, 0) ; close($both@4:4)"
    yield Row("opened-both-ways", PIPE, both, "fcntl($more, F_GETFL, 0)", f"write($more, b'abc', 3) ; {READS}")
    yield Row(
        "mode",
        PIPE,
        "fchmod($both@0:4, 0) ; fchown($both@0:4, 1000, 1000)",
        "fcntl($both@0:4, F_GETFL, 0)",
        "openat(AT_FDCWD, b'/proc/self/fd/3\\0', O_RDONLY|O_NONBLOCK, 0)",
    )
    yield Row("flag.O_NOTIFICATION_PIPE", "umask(18)", "pipe2(both:[8], O_NOTIFICATION_PIPE=128)", flags)
    for n in (1, 2, 31):
        yield Row(
            f"many={n}",
            "umask(18)",
            " ; ".join([f"pipe2(p{i}:[8], 0) ; write($p{i}@4:4, b'{i:02d}', 2)" for i in range(n)]),
            "",
            " ; ".join(f"read($p{i}@0:4, [2], 2)" for i in range(n)),
        )


def _spliced() -> Iterator[Row]:
    two = "pipe2(two:[8], 0)"
    for flag in FLAGS:
        name = flag.partition("=")[0]
        yield Row(
            f"file.{name}",
            f"{PIPE} ; {FILE}",
            f"splice($file, {{<8:0>}}, $both@4:4, 0, 10, {flag})",
            GOT,
            f"pwrite64($file, b'ZZ', 2, 0) ; {READS}",
        )
        vector = "{&b'gift of pages', <8:13>}"
        yield Row(f"vmsplice.{name}", PIPE, f"vmsplice($both@4:4, {vector}, 1, {flag})", GOT, READS)
        yield Row(
            f"pipe.{name}",
            f"{PIPE} ; {two} ; write($two@4:4, b'moved', 5)",
            f"splice($two@0:4, 0, $both@4:4, 0, 3, {flag})",
            GOT,
            f"{READS} ; read($two@0:4, [8], 2)",
        )
        yield Row(
            f"tee.{name}",
            f"{PIPE} ; {two} ; write($two@4:4, b'copied', 6)",
            f"tee($two@0:4, $both@4:4, 4, {flag})",
            GOT,
            f"{READS} ; read($two@0:4, [8], 6)",
        )
    pages = f"{PIPE} ; {AREA} ; poke($area, b'shared page')"
    # what was spliced is the page, not a copy: a later store shows in the pipe (vmsplice(2))
    yield Row(
        "vmsplice.page-stored-to",
        pages,
        "vmsplice($both@4:4, {$area, <8:4096>}, 1, 0)",
        GOT,
        "poke($area, b'STORED TO') ; read($both@0:4, [16], 16)",
    )
    yield Row(
        "vmsplice.page-unmapped",
        pages,
        "vmsplice($both@4:4, {$area, <8:4096>}, 1, 0) ; munmap($area, 4096)",
        GOT,
        "read($both@0:4, [16], 16)",
    )
    yield Row("vmsplice.segments", pages, "vmsplice($both@4:4, {$area, <8:5>, $area+6, <8:4>}, 2, 0)", GOT, READS)
    yield Row(
        "file.unlinked",
        f"{PIPE} ; {FILE}",
        "splice($file, {<8:4>}, $both@4:4, 0, 8, 0) ; unlinkat(AT_FDCWD, b'FOLDER/f\\0', 0) ; close($file)",
        GOT,
        READS,
    )
    yield Row("file.sendfile", f"{PIPE} ; {FILE}", "sendfile($both@4:4, $file, {<8:2>}, 6)", GOT, READS)
    yield Row(
        "tee.and-read",
        f"{PIPE} ; {two} ; write($two@4:4, b'copied', 6)",
        "tee($two@0:4, $both@4:4, 6, 0) ; read($two@0:4, [6], 6)",
        GOT,
        READS,
    )
    zero = "zero = openat(AT_FDCWD, b'/dev/zero\\0', O_RDONLY, 0)"
    yield Row("device.zero", f"{PIPE} ; {zero}", "splice($zero, 0, $both@4:4, 0, 8192, 0)", GOT, READS)


def _fifos() -> Iterator[Row]:
    make = "mknodat(AT_FDCWD, b'FOLDER/p\\0', 4480, 0)"
    path = "AT_FDCWD, b'FOLDER/p\\0'"
    reads = "read($in, [8], 8) ; read($in, [8], 8)"
    both = f"in = openat({path}, O_RDONLY|O_NONBLOCK, 0) ; out = openat({path}, O_WRONLY, 0)"
    flags = "fcntl($in, F_GETFL, 0)"
    yield Row(
        "reader-only",
        make,
        f"in = openat({path}, O_RDONLY|O_NONBLOCK, 0)",
        flags,
        f"{reads} ; out = openat({path}, O_WRONLY|O_NONBLOCK, 0) ; write($out, b'abc', 3) ; {reads}",
    )
    yield Row("both", make, both, flags, f"write($out, b'abc', 3) ; {reads} ; close($out) ; {reads}")
    yield Row("content", make, f"{both} ; write($out, b'content', 7)", flags, reads)
    yield Row("content.writer-gone", make, f"{both} ; write($out, b'content', 7) ; close($out)", flags, f"{reads} ; {reads}")
    yield Row(
        "content.unlinked",
        make,
        f"{both} ; write($out, b'content', 7) ; unlinkat({path}, 0)",
        flags,
        f"{reads} ; write($out, b'more', 4) ; {reads}",
    )
    yield Row(
        "content.renamed",
        make,
        f"{both} ; write($out, b'content', 7) ; renameat({path}, AT_FDCWD, b'FOLDER/q\\0')",
        flags,
        f"{reads} ; openat(AT_FDCWD, b'FOLDER/q\\0', O_WRONLY|O_NONBLOCK, 0)",
    )
    yield Row(
        "content.two-readers",
        make,
        f"{both} ; more = openat({path}, O_RDONLY|O_NONBLOCK, 0) ; write($out, b'content', 7)",
        flags,
        f"read($more, [3], 3) ; {reads}",
    )
    yield Row("size", make, f"{both} ; fcntl($out, F_SETPIPE_SZ, 8192)", f"{flags} ; fcntl($in, F_GETPIPE_SZ, 0)")
    yield Row("packets", make, f"{both} ; fcntl($out, F_SETFL, O_DIRECT) ; write($out, b'one', 3) ; write($out, b'two', 3)", flags, reads)
    yield Row(
        "in-child",
        f"{make} ; child = clone(SIGCHLD, 0, 0, 0, 0)",
        f"in = openat({path}, O_RDONLY|O_NONBLOCK, 0) ; child: out = openat({path}, O_WRONLY, 0) ; child: write($out, b'from', 4)",
        flags,
        f"{reads} ; child: close($out) ; {reads}",
    )
