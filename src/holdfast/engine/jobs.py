"""Jobs by name: a folder of our own with one small file for each, which says who the job's first process is.

A file holds, in decimal: pid of the job's init (0: it has none, it runs on the host), pid of its first process, and when that one was
started (clock ticks after boot), so that a pid that was given to another process since is not mistaken for it. The folder belongs
to this user and nobody else can write it; links are not followed.
"""

from __future__ import annotations

import fcntl
import os

from holdfast.errors import KernelLacks, UsageError
from holdfast.kernel.procfs.stat import parse_stat
from holdfast.model.record import Record

FOLDER = "holdfast"
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
LONGEST = 64


class Job(Record):
    """A job that runs; pids are ours."""

    name: str
    pid: int
    init: int
    started: int


def folder() -> str:
    """Where the names of this user's jobs are kept."""
    user = os.geteuid()
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    for place in (given, f"/run/user/{user}"):
        if place.startswith("/") and _mine(place):
            return f"{place}/{FOLDER}"
    return f"/tmp/{FOLDER}-{user}"


def _mine(place: str) -> bool:
    try:
        return os.stat(place).st_uid == os.geteuid()
    except OSError:
        return False


def _open(make: bool) -> int | None:
    # the folder, which must be ours alone: in /tmp another user may have made it first
    path = folder()
    if make:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise _unsafe(path, f"{os.strerror(cause.errno or 0)}") from cause
    st = os.fstat(fd)
    if st.st_uid != os.geteuid() or st.st_mode & 0o077:
        os.close(fd)
        raise _unsafe(path, f"it belongs to user {st.st_uid} with mode {st.st_mode & 0o7777:o}")
    fcntl.flock(fd, fcntl.LOCK_EX)  # one at a time, so that nobody takes away a name that was given again meanwhile
    return fd


def _unsafe(path: str, why: str) -> KernelLacks:
    return KernelLacks(
        "job_folder",
        f"the names of jobs cannot be kept in {path}",
        where=path,
        why=f"it must be a folder of this user that nobody else can use: {why}",
        do="remove it, or set XDG_RUNTIME_DIR to a folder of this user",
    )


def check(name: str) -> str:
    """The name, if a job can have it.

    Raises:  usage.name: it is empty, a number, too long, or has letters that a file name should not
    """
    if not name or len(name) > LONGEST or name[0] in ".-" or not LETTERS.issuperset(name) or name.isdigit():
        raise UsageError(
            "name",
            f"{name!r} cannot be the name of a job",
            why=f"a name has 1 to {LONGEST} letters, digits, dots, dashes or underscores, begins with none of .-, and is not a number",
            do="choose another name",
        )
    return name


def _started(pid: int) -> int:
    # 0: it is not there, or has ended and waits for its parent
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as f:
            stat = parse_stat(f.read(1 << 12))
    except OSError:
        return 0
    return 0 if stat.state in "ZX" else stat.starttime


def register(name: str, pid: int, init: int = 0) -> Job:
    """Give a job its name.

    Raises:  usage.name: a job with that name runs
             kernel_lacks.job_folder: the folder of names is not ours alone
    """
    job = Job(check(name), pid, init, _started(pid))
    folder_fd = _open(make=True)
    if folder_fd is None:
        raise _unsafe(folder(), "it was removed")
    temporary = f".{os.getpid()}.{pid}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder_fd)
        try:
            try:
                os.write(fd, b"%d %d %d\n" % (job.init, job.pid, job.started))
            finally:
                os.close(fd)
            while True:
                try:
                    os.link(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
                    return job
                except FileExistsError:
                    other = _read(folder_fd, name)
                    if other is not None:
                        raise _taken(other) from None
        finally:
            os.unlink(temporary, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)


def _taken(job: Job) -> UsageError:
    return UsageError("name", f"a job called {job.name} runs: pid {job.pid}", where=f"{folder()}/{job.name}", do="choose another name")


def free(name: str) -> None:
    """Nothing, if the name can be given.

    Raises:  usage.name: a job with that name runs, or no job can have it
    """
    fd = _open(make=False)
    if fd is None:
        check(name)
        return
    try:
        other = _read(fd, check(name))
    finally:
        os.close(fd)
    if other is not None:
        raise _taken(other)


def _read(folder_fd: int, name: str) -> Job | None:
    # a job that has ended is forgotten
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    except OSError:
        return None
    try:
        words = os.read(fd, 256).split()
    finally:
        os.close(fd)
    try:
        init, pid, started = map(int, words)
    except ValueError:
        init, pid, started = 0, 0, -1
    if started > 0 and _started(pid) == started:
        return Job(name, pid, init, started)
    try:
        os.unlink(name, dir_fd=folder_fd)
    except FileNotFoundError:
        pass
    return None


def forget(name: str) -> None:
    """Take the name of a job that has ended away; nothing where it runs."""
    fd = _open(make=False)
    if fd is not None:
        _read(fd, name)
        os.close(fd)


def running() -> list[Job]:
    """Every job with a name, sorted by name."""
    fd = _open(make=False)
    if fd is None:
        return []
    try:
        found = [_read(fd, name) for name in sorted(os.listdir(fd)) if not name.startswith(".")]
    finally:
        os.close(fd)
    return [job for job in found if job is not None]


def find(name: str) -> int:
    """The pid of a job's first process.

    Raises:  usage.target: no job with that name runs
    """
    for job in running():
        if job.name == name:
            return job.pid
    known = " ".join(job.name for job in running())
    raise UsageError(
        "target",
        f"no job called {name} runs",
        where=folder(),
        why=f"these run: {known}" if known else "no job with a name runs",
        do="give a pid, or start it with holdfast run --name",
    )
