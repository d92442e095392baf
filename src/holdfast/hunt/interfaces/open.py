"""States of open files and of what they are open on: flags of open(2), positions, names that are gone, attributes, descriptors shared.

Source:  linux/fcntl.h, asm-generic/fcntl.h, linux/fs.h, linux/fadvise.h, linux/falloc.h, linux/pidfd.h, linux/openat2.h;
         open(2), openat2(2), posix_fadvise(2), fallocate(2), FS_IOC_SETFLAGS(2const), pidfd_open(2), lseek(2)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

HEADERS = ("linux/fcntl.h", "asm-generic/fcntl.h")
NAMED = "file = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT|O_EXCL, 420) ; write($file, b'0123456789abcdef', 16)"
CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
AREA = "area = mmap(0x20000000, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
# what statx(2) says of a file: links, owner, group, mode; then its size
STAT = "statx($file, b'\\0', AT_EMPTY_PATH, STATX_BASIC_STATS, $area) ; peek($area+16, 14) ; peek($area+40, 8)"
TIMES = "statx($file, b'\\0', AT_EMPTY_PATH, STATX_BASIC_STATS, $area) ; peek($area+64, 12) ; peek($area+112, 12)"
CONTENT = "pread64($file, [32], 32, 0) ; lseek($file, 0, SEEK_END)"
# a regular file by how it is reached
BASES: dict[str, str] = {
    "named": NAMED,
    "unlinked": f"{NAMED} ; unlinkat(AT_FDCWD, b'FOLDER/f\\0', 0)",
    "second-name": f"{NAMED} ; linkat(AT_FDCWD, b'FOLDER/f\\0', AT_FDCWD, b'FOLDER/g\\0', 0) ; unlinkat(AT_FDCWD, b'FOLDER/f\\0', 0)",
    "tmpfile": "file = openat(AT_FDCWD, b'FOLDER\\0', O_RDWR|O_TMPFILE, 384) ; write($file, b'0123456789abcdef', 16)",
    "memfd": "file = memfd_create(b'm\\0', MFD_ALLOW_SEALING) ; write($file, b'0123456789abcdef', 16)",
    "no-folder": (
        "mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493) ; file = openat(AT_FDCWD, b'FOLDER/d/f\\0', O_RDWR|O_CREAT, 420) ; write($file,"
        " b'0123456789abcdef', 16) ; unlinkat(AT_FDCWD, b'FOLDER/d/f\\0', 0) ; unlinkat(AT_FDCWD, b'FOLDER/d\\0', AT_REMOVEDIR)"
    ),
    "shadowed": (
        f"{NAMED} ; unlinkat(AT_FDCWD, b'FOLDER/f\\0', 0) ; other = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR|O_CREAT|O_EXCL, 420)"
        " ; write($other, b'another', 7)"
    ),
}
TWO_FDS = "lseek($two, 3, SEEK_SET) ; lseek($file, 0, SEEK_CUR)"
# descriptors by how one open file description comes to several
SHARED: dict[str, tuple[str, str]] = {
    "dup": ("two = dup($file)", TWO_FDS),
    "opened-again": ("two = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR, 0)", TWO_FDS),
    "self-fd": ("two = openat(AT_FDCWD, b'/proc/self/fd/3\\0', O_RDWR, 0)", TWO_FDS),
    "read-only": ("two = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDONLY, 0)", f"write($two, b'x', 1) ; {TWO_FDS}"),
    "other-name": (
        "linkat(AT_FDCWD, b'FOLDER/f\\0', AT_FDCWD, b'FOLDER/g\\0', 0) ; two = openat(AT_FDCWD, b'FOLDER/g\\0', O_RDWR, 0)",
        f"write($two, b'x', 1) ; pread64($file, [4], 4, 0) ; {TWO_FDS}",
    ),
    "symlink": (
        "symlinkat(b'f\\0', AT_FDCWD, b'FOLDER/s\\0') ; two = openat(AT_FDCWD, b'FOLDER/s\\0', O_RDWR, 0)",
        TWO_FDS,
    ),
    "with-child": (CHILD, "child: lseek($file, 3, SEEK_SET) ; lseek($file, 0, SEEK_CUR) ; child: close($file) ; lseek($file, 0, SEEK_CUR)"),
    "in-child": (f"{CHILD} ; close($file)", "child: lseek($file, 0, SEEK_CUR) ; child: pread64($file, [32], 32, 0)"),
    "child-opens": (
        f"{CHILD} ; child: two = openat(AT_FDCWD, b'FOLDER/f\\0', O_RDWR, 0)",
        "child: lseek($two, 3, SEEK_SET) ; lseek($file, 0, SEEK_CUR) ; child: lseek($file, 0, SEEK_CUR)",
    ),
}
# what is no regular file, by how it is opened, and what it does later
THINGS: dict[str, tuple[str, str, str]] = {
    "directory": ("", "fd = openat(AT_FDCWD, b'FOLDER\\0', O_DIRECTORY, 0)", "mkdirat($fd, b'x\\0', 448)"),
    "directory-gone": (
        "mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493)",
        "fd = openat(AT_FDCWD, b'FOLDER/d\\0', O_DIRECTORY, 0) ; unlinkat(AT_FDCWD, b'FOLDER/d\\0', AT_REMOVEDIR)",
        "mkdirat($fd, b'x\\0', 448)",
    ),
    "cwd-gone": (
        "mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493)",
        "chdir(b'FOLDER/d\\0') ; unlinkat(AT_FDCWD, b'FOLDER/d\\0', AT_REMOVEDIR)",
        "mkdirat(AT_FDCWD, b'x\\0', 448)",
    ),
    "cwd": ("mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493)", "chdir(b'FOLDER/d\\0')", "mkdirat(AT_FDCWD, b'x\\0', 448) ; getcwd([64], 64)"),
    "root": ("mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493)", "chroot(b'FOLDER/d\\0')", "getcwd([64], 64)"),
    "fifo": (
        "mknodat(AT_FDCWD, b'FOLDER/p\\0', 4480, 0)",
        "fd = openat(AT_FDCWD, b'FOLDER/p\\0', O_RDWR, 0)",
        "write($fd, b'abc', 3) ; read($fd, [8], 8)",
    ),
    "fifo-gone": (
        "mknodat(AT_FDCWD, b'FOLDER/p\\0', 4480, 0)",
        "fd = openat(AT_FDCWD, b'FOLDER/p\\0', O_RDWR, 0) ; write($fd, b'left', 4) ; unlinkat(AT_FDCWD, b'FOLDER/p\\0', 0)",
        "write($fd, b'abc', 3) ; read($fd, [8], 8)",
    ),
    "path-of-symlink": (
        "symlinkat(b'f\\0', AT_FDCWD, b'FOLDER/s\\0')",
        "fd = openat(AT_FDCWD, b'FOLDER/s\\0', O_PATH|O_NOFOLLOW, 0)",
        "readlinkat($fd, b'\\0', [16], 16)",
    ),
    "path-of-symlink-gone": (
        "symlinkat(b'f\\0', AT_FDCWD, b'FOLDER/s\\0')",
        "fd = openat(AT_FDCWD, b'FOLDER/s\\0', O_PATH|O_NOFOLLOW, 0) ; unlinkat(AT_FDCWD, b'FOLDER/s\\0', 0)",
        "readlinkat($fd, b'\\0', [16], 16)",
    ),
    "path-of-socket": ("mknodat(AT_FDCWD, b'FOLDER/k\\0', 49536, 0)", "fd = openat(AT_FDCWD, b'FOLDER/k\\0', O_PATH, 0)", ""),
    "path-of-fifo": ("mknodat(AT_FDCWD, b'FOLDER/p\\0', 4480, 0)", "fd = openat(AT_FDCWD, b'FOLDER/p\\0', O_PATH, 0)", ""),
    "path-gone": (NAMED, "fd = openat(AT_FDCWD, b'FOLDER/f\\0', O_PATH, 0) ; unlinkat(AT_FDCWD, b'FOLDER/f\\0', 0) ; close($file)", ""),
    "renamed": (NAMED, "renameat(AT_FDCWD, b'FOLDER/f\\0', AT_FDCWD, b'FOLDER/r\\0')", CONTENT.replace("$file", "3")),
    "exchanged": (
        f"{NAMED} ; fd = openat(AT_FDCWD, b'FOLDER/g\\0', O_RDWR|O_CREAT, 420)",
        "renameat2(AT_FDCWD, b'FOLDER/f\\0', AT_FDCWD, b'FOLDER/g\\0', RENAME_EXCHANGE)",
        CONTENT.replace("$file", "3"),
    ),
    "long-name": ("", f"fd = openat(AT_FDCWD, b'FOLDER/{'n' * 255}\\0', O_RDWR|O_CREAT, 420)", "write($fd, b'x', 1)"),
    "odd-name": ("", "fd = openat(AT_FDCWD, b'FOLDER/a b\\tc\\nd\\\\e (deleted)\\0', O_RDWR|O_CREAT, 420)", "write($fd, b'x', 1)"),
    "odd-name-gone": (
        "",
        (
            "fd = openat(AT_FDCWD, b'FOLDER/f (deleted)\\0', O_RDWR|O_CREAT, 420) ; write($fd, b'y', 1)"
            " ; unlinkat(AT_FDCWD, b'FOLDER/f (deleted)\\0', 0)"
        ),
        "pread64($fd, [4], 4, 0)",
    ),
}
SPECIAL = (
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/proc/self/status",
    "/proc/self/maps",
    "/proc/self/mem",
    "/proc/self/environ",
    "/proc/self/stat",
    "/proc/self/fd",
    "/proc/self",
    "/proc/self/task",
    "/proc/self/ns",
    "/proc/self/pagemap",
    "/proc/self/oom_score_adj",
    "/proc/self/comm",
    "/proc/self/attr/current",
    "/proc/1/stat",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/self/mountinfo",
    "/proc/net/tcp",
    "/proc/sys/kernel/pid_max",
    "/proc/pressure/memory",
    "/proc/uptime",
    "/proc/locks",
    "/proc/cpuinfo",
    "/proc/self/timers",
    "/proc/self/clear_refs",
    "/proc/self/fdinfo/0",
    "/sys",
    "/sys/kernel/mm",
    "/sys/kernel/profiling",
    "/sys/class/net/lo/mtu",
    "/sys/fs/cgroup",
    "/proc/self/root",
    "/proc/self/cwd",
    "/proc/self/exe",
)
POSITIONS = (1, 8, 16, 4096, 0x7FFFFFFF, 0x80000000, 0x100000000, 0x7FFFFFFFFFFFF000, 0x7FFFFFFFFFFFFFFF)


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of open files, one a recipe."""
    script = Script(constants)
    yield from script.recipes("open", [*_opened(script), *_things(), *_shared()])
    yield from script.recipes("file", [*_files(script), *_advised(script)])
    yield from script.recipes("pidfd", _pidfds(script))


def _opened(script: Script) -> Iterator[Row]:
    get = "fcntl($fd, F_GETFL, 0) ; fcntl($fd, F_GETFD, 0)"
    after = "write($fd, b'xy', 2) ; lseek($fd, 0, SEEK_CUR) ; lseek($fd, 0, SEEK_END)"
    for flag in script.names("O_", header=HEADERS):
        for how in ("O_RDONLY", "O_RDWR"):
            yield Row(f"file.{how}={flag}", NAMED, f"fd = openat(AT_FDCWD, b'FOLDER/f\\0', {how}|{flag}, 420)", get, after)
        yield Row(f"dir.{flag}", NAMED, f"fd = openat(AT_FDCWD, b'FOLDER\\0', {flag}, 420)", get)
        yield Row(f"null.{flag}", NAMED, f"fd = openat(AT_FDCWD, b'/dev/null\\0', O_RDWR|{flag}, 420)", get)
    for flags in ("O_WRONLY", "O_WRONLY|O_APPEND", "O_ACCMODE", "O_WRONLY|O_SYNC|O_NONBLOCK|O_NOATIME|O_CLOEXEC"):
        yield Row(f"file.{flags.replace('|', '_')}", NAMED, f"fd = openat(AT_FDCWD, b'FOLDER/f\\0', {flags}, 420)", get, after)
    for flags in ("O_PATH|O_DIRECTORY", "O_PATH|O_CLOEXEC", "O_PATH|O_NOFOLLOW"):
        yield Row(
            f"dir.{flags.replace('|', '_')}",
            NAMED,
            f"fd = openat(AT_FDCWD, b'FOLDER\\0', {flags}, 420)",
            get,
            "openat($fd, b'f\\0', O_RDONLY, 0)",
        )
    for flag in script.names("RESOLVE_", header="linux/openat2.h"):
        how = f"{{<8:O_RDWR> <8:0> <8:{flag}>}}"
        yield Row(
            f"openat2.{flag}",
            f"{NAMED} ; at = openat(AT_FDCWD, b'FOLDER\\0', O_DIRECTORY, 0)",
            f"fd = openat2($at, b'f\\0', {how}, 24)",
            get,
            after,
        )
    for path in SPECIAL:
        yield Row(f"special.{path}", "", f"fd = openat(AT_FDCWD, b'{path}\\0', O_RDONLY|O_NONBLOCK, 0)", get, "fcntl($fd, F_GETFL, 0)")
    for path in ("/proc/self/status", "/proc/self/maps", "/proc/mounts", "/proc/self/comm", "/proc/1/stat", "/sys/class/net/lo/mtu"):
        yield Row(
            f"special.{path}.half-read",
            f"fd = openat(AT_FDCWD, b'{path}\\0', O_RDONLY, 0)",
            "read($fd, [2], 2)",
            "lseek($fd, 0, SEEK_CUR)",
            "pread64($fd, [1], 1, 0)",
        )
    for path in ("/proc/self/mem", "/proc/self/comm", "/proc/self/oom_score_adj", "/dev/zero", "/dev/full", "/dev/urandom"):
        yield Row(f"special.{path}.writable", "", f"fd = openat(AT_FDCWD, b'{path}\\0', O_RDWR, 0)", get, "lseek($fd, 0, SEEK_CUR)")
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"):
        yield Row(
            f"namespace.{kind}",
            "",
            f"fd = openat(AT_FDCWD, b'/proc/self/ns/{kind}\\0', O_RDONLY|O_CLOEXEC, 0)",
            get,
            "ioctl($fd, NS_GET_NSTYPE, 0)",
        )
    left = "fd = openat(AT_FDCWD, b'/proc/self/ns/uts\\0', O_RDONLY, 0) ; unshare(CLONE_NEWUTS)"
    yield Row("namespace.uts.left", "umask(18)", left, get, "setns($fd, CLONE_NEWUTS)")


def _things() -> Iterator[Row]:
    for name, (make, state, after) in THINGS.items():
        get = "fcntl($fd, F_GETFL, 0) ; lseek($fd, 0, SEEK_CUR)" if "fd = " in make + state else ""
        yield Row(f"thing.{name}", make or "umask(18)", state, get, after)
    names = " ; ".join(f"mkdirat(AT_FDCWD, b'FOLDER/d/{c}\\0', 448)" for c in "abcdefgh")
    make = f"mkdirat(AT_FDCWD, b'FOLDER/d\\0', 493) ; {names} ; fd = openat(AT_FDCWD, b'FOLDER/d\\0', O_DIRECTORY, 0)"
    for size in (24, 48, 72, 120, 4096):
        state = f"getdents64($fd, [{size}], {size})"
        yield Row(
            f"thing.directory.half-read={size}",
            make,
            state,
            "lseek($fd, 0, SEEK_CUR)",
            f"getdents64($fd, [512], 512) ; lseek($fd, 0, SEEK_SET) ; {state}",
        )
    for at in (1, 2, 5, 0x7FFFFFFF):
        yield Row(
            f"thing.directory.position={at}", make, f"lseek($fd, {at}, SEEK_SET)", "lseek($fd, 0, SEEK_CUR)", "getdents64($fd, [512], 512)"
        )


def _shared() -> Iterator[Row]:
    for name, (state, after) in SHARED.items():
        yield Row(f"shared.{name}", NAMED, state, "" if name == "in-child" else "lseek($file, 0, SEEK_CUR)", after)
    for number in (4, 10, 63, 64, 127, 128, 255, 256, 1023):
        yield Row(
            f"shared.dup3={number}",
            NAMED,
            f"dup3($file, {number}, O_CLOEXEC)",
            f"fcntl({number}, F_GETFD, 0)",
            f"lseek({number}, 3, SEEK_SET) ; lseek($file, 0, SEEK_CUR)",
        )
    yield Row("shared.stdin", NAMED, "dup2($file, 0)", "lseek(0, 0, SEEK_CUR)", "lseek(0, 3, SEEK_SET) ; lseek($file, 0, SEEK_CUR)")
    yield Row("shared.closed-stdio", NAMED, "close_range(0, 2, 0)", "fcntl(0, F_GETFD, 0)", "dup($file)")
    yield Row(
        "shared.CLOSE_RANGE_CLOEXEC", NAMED, "close_range(1, 3, CLOSE_RANGE_CLOEXEC)", "fcntl(1, F_GETFD, 0) ; fcntl(3, F_GETFD, 0)", ""
    )
    yield Row(
        "shared.passed",
        f"{NAMED} ; pair = socketpair(AF_UNIX=1, SOCK_DGRAM=2, 0, both:[8])",
        "sendmsg($both@0:4, {<8:0> <4:0> <4:0>, &{&b'hi', <8:2>}, <8:1>, &{<8:20> <4:1> <4:1>, $file:4, <4:0>}, <8:24> <8:0>}, 0) ;"
        " close($file)",
        "",
        "recvmsg($both@4:4, {<8:0> <4:0> <4:0>, &{&[8], <8:8>}, <8:1>, &[24], <8:24> <8:0>}, 0) ; lseek(3, 0, SEEK_CUR)",
    )


def _files(script: Script) -> Iterator[Row]:
    for base, make in BASES.items():
        full = f"{make} ; {AREA}"
        yield Row(f"{base}.open", "umask(18)", make, "fcntl($file, F_GETFL, 0)", CONTENT)
        for at in POSITIONS if base in ("named", "unlinked") else (8, 4096):
            yield Row(
                f"{base}.position={at}",
                make,
                f"lseek($file, {at}, SEEK_SET)",
                "lseek($file, 0, SEEK_CUR)",
                "read($file, [4], 4) ; lseek($file, 0, SEEK_CUR)",
            )
        for size in (0, 8, 4096, 4097, 1 << 30):
            yield Row(
                f"{base}.size={size}",
                full,
                f"ftruncate($file, {size})",
                STAT,
                f"{CONTENT} ; lseek($file, 0, SEEK_DATA) ; lseek($file, 0, SEEK_HOLE)",
            )
        sparse = "pwrite64($file, b'far', 3, 1048576) ; pwrite64($file, b'mid', 3, 65536)"
        yield Row(
            f"{base}.sparse",
            full,
            sparse,
            STAT + " ; peek($area+48, 8)",
            "lseek($file, 1, SEEK_HOLE) ; lseek($file, 70000, SEEK_DATA) ; pread64($file, [4], 4, 1048576) ; pread64($file, [4], 4, 65536)",
        )
        for mode in (0, 1, 0o200, 0o444, 0o777, 0o1777, 0o2755, 0o4755, 0o6777):
            if mode in (0, 0o4755) or base in ("named", "unlinked"):
                yield Row(
                    f"{base}.mode={mode:o}",
                    full,
                    f"fchmod($file, {mode})",
                    STAT,
                    "fchown($file, 0, 0) ; openat(AT_FDCWD, b'FOLDER/f\\0', O_RDONLY, 0)",
                )
        for user, group in ((1000, -1), (-1, 1000), (1, 1), (65534, 65534)):
            yield Row(f"{base}.owner={user}.{group}", full, f"fchown($file, {user}, {group})", STAT)
        for what, then in {
            "old": "<8:1> <8:5> <8:2> <8:6>",
            "new": "<8:4102444800> <8:0> <8:4102444801> <8:999999999>",
            "zero": "<8:0> <8:0> <8:0> <8:0>",
        }.items():
            yield Row(f"{base}.times={what}", full, f"utimensat($file, 0, {{{then}}}, 0)", TIMES)
        for kind in ("user.h", "trusted.h", "security.h"):
            get = f"fgetxattr($file, b'{kind}\\0', [16], 16)"
            yield Row(
                f"{base}.xattr={kind}",
                make,
                f"fsetxattr($file, b'{kind}\\0', b'value\\0more', 10, 0)",
                get,
                "flistxattr($file, [128], 128)",
            )
        cap = "<4:0x2000001> <4:1024> <4:0> <4:0> <4:0>"  # VFS_CAP_REVISION_2, effective, CAP_NET_BIND_SERVICE: capabilities(7)
        yield Row(
            f"{base}.xattr=security.capability",
            make,
            f"fsetxattr($file, b'security.capability\\0', {{{cap}}}, 20, 0)",
            "fgetxattr($file, b'security.capability\\0', [24], 24)",
            security=True,
        )
        acl = "<4:2> <2:1> <2:6> <4:-1> <2:2> <2:7> <4:1000> <2:4> <2:4> <4:-1> <2:16> <2:7> <4:-1> <2:32> <2:0> <4:-1>"
        yield Row(
            f"{base}.xattr=system.posix_acl_access",
            make,
            f"fsetxattr($file, b'system.posix_acl_access\\0', {{{acl}}}, 44, 0)",
            "fgetxattr($file, b'system.posix_acl_access\\0', [64], 64)",
            security=True,
        )
    for flag in script.names("FS_", header="linux/fs.h"):
        if flag.endswith("_FL"):
            for base in (
                ("named", "unlinked", "memfd")
                if flag in ("FS_APPEND_FL", "FS_IMMUTABLE_FL", "FS_NODUMP_FL", "FS_NOATIME_FL")
                else ("named",)
            ):
                yield Row(
                    f"{base}.FS_IOC_SETFLAGS={flag}",
                    BASES[base],
                    f"ioctl($file, FS_IOC_SETFLAGS, {{<8:{flag}>}})",
                    "ioctl($file, FS_IOC_GETFLAGS, [8])",
                    "pwrite64($file, b'zz', 2, 0) ; ftruncate($file, 4) ; ioctl($file, FS_IOC_SETFLAGS, {<8:0>})",
                    security=flag in ("FS_APPEND_FL", "FS_IMMUTABLE_FL"),
                )
        elif flag.startswith("FS_XFLAG_"):
            yield Row(
                f"named.FS_IOC_FSSETXATTR={flag}",
                NAMED,
                f"ioctl($file, FS_IOC_FSSETXATTR, {{<4:{flag}> <8:0> <8:0> <8:0>}})",
                "ioctl($file, FS_IOC_FSGETXATTR, [28])",
            )
    for number in (1, 0x80000000):
        yield Row(
            f"named.FS_IOC_SETVERSION={number}",
            NAMED,
            f"ioctl($file, FS_IOC_SETVERSION, {{<8:{number}>}})",
            "ioctl($file, FS_IOC_GETVERSION, [8])",
        )


def _advised(script: Script) -> Iterator[Row]:
    for advice in script.names("POSIX_FADV_", header="linux/fadvise.h"):
        for base in ("named", "unlinked", "memfd"):
            yield Row(f"{base}.fadvise={advice}", BASES[base], f"fadvise64($file, 0, 0, {advice})", "", CONTENT)
    for mode in script.names("FALLOC_FL_", header="linux/falloc.h"):
        for keep in ("", "|FALLOC_FL_KEEP_SIZE"):
            name = f"{mode}{keep}".replace("|", "_")
            yield Row(
                f"named.fallocate={name}",
                f"{NAMED} ; {AREA}",
                f"fallocate($file, {mode}{keep}, 0, 65536)",
                STAT + " ; peek($area+48, 8)",
                CONTENT,
            )
            yield Row(
                f"memfd.fallocate={name}",
                f"{BASES['memfd']} ; {AREA}",
                f"fallocate($file, {mode}{keep}, 0, 65536)",
                STAT + " ; peek($area+48, 8)",
                CONTENT,
            )
    yield Row("named.fallocate=0", f"{NAMED} ; {AREA}", "fallocate($file, 0, 4096, 65536)", STAT + " ; peek($area+48, 8)", CONTENT)


def _pidfds(script: Script) -> Iterator[Row]:
    get = "fcntl($fd, F_GETFL, 0) ; pidfd_send_signal($fd, 0, 0, 0)"
    # with PIDFD_NONBLOCK a wait does not wait
    ended = "waitid(P_PID, $child, 0, WEXITED|WNOWAIT, 0)"
    after = f"pidfd_send_signal($fd, SIGKILL, 0, 0) ; {ended} ; waitid(P_PIDFD, $fd, [128], WEXITED, 0)"
    for flag in (
        "0",
        *script.names("PIDFD_", header="linux/pidfd.h", but=("PIDFD_SELF", "PIDFD_INFO", "PIDFD_GET", "PIDFD_COREDUMP", "PIDFD_SIGNAL")),
    ):
        yield Row(f"child.{flag}", CHILD, f"fd = pidfd_open($child, {flag})", get, after)
    yield Row("self", "me = getpid()", "fd = pidfd_open($me, 0)", "fcntl($fd, F_GETFL, 0)", "pidfd_send_signal($fd, 0, 0, 0)")
    yield Row(
        "zombie",
        f"{CHILD}",
        "fd = pidfd_open($child, 0) ; kill($child, SIGKILL)",
        get,
        "waitid(P_PIDFD, $fd, [128], WEXITED, 0) ; waitid(P_PIDFD, $fd, [128], WEXITED, 0)",
    )
    yield Row(
        "reaped",
        f"{CHILD}",
        "fd = pidfd_open($child, 0) ; kill($child, SIGKILL) ; wait4($child, 0, 0, 0)",
        "fcntl($fd, F_GETFL, 0)",
        "pidfd_send_signal($fd, 0, 0, 0) ; poll({$fd:4, <2:1> <2:0>}, 1, 0)",
    )
    yield Row(
        "clone.CLONE_PIDFD",
        "umask(18)",
        "child = clone(SIGCHLD|CLONE_PIDFD, 0, made:[4], 0, 0)",
        "fcntl($made@0:4, F_GETFL, 0)",
        "pidfd_send_signal($made@0:4, SIGKILL, 0, 0) ; wait4($child, 0, 0, 0)",
    )
    yield Row("two", CHILD, "fd = pidfd_open($child, 0) ; two = pidfd_open($child, PIDFD_NONBLOCK)", get, after)
    yield Row(
        "in-child",
        f"me = getpid() ; {CHILD}",
        "child: fd = pidfd_open($me, 0)",
        "child: fcntl($fd, F_GETFL, 0)",
        "child: pidfd_send_signal($fd, 0, 0, 0)",
    )
