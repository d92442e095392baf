"""What fd.regular, fd.path, fd.directory, fd.dev_node, fd.unlinked and fd.memfd promise, kept by a real dump and restore."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.errors import Refused
from tests import harness

if TYPE_CHECKING:
    from pathlib import Path


def test_offset_and_flags_survive(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    trip = harness.roundtrip(
        tmp_path,
        f"""
        name = {str(tmp_path / "x")!r}
        fds = [os.open(name, flags) for flags in (os.O_RDONLY, os.O_RDONLY | os.O_SYNC, os.O_RDWR | os.O_NONBLOCK)]
        for i, fd in enumerate(fds):
            os.lseek(fd, 3 + i, os.SEEK_SET)
        pause()
        say([[os.read(fd, 2).decode(), fcntl.fcntl(fd, fcntl.F_GETFL)] for fd in fds])
        """,
    )
    assert trip.said == trip.control
    assert [row[0] for row in trip.said[0]] == ["34", "45", "56"]


def test_how_long_what_is_written_will_live_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        named = os.open("named", os.O_RDWR | os.O_CREAT)
        gone = os.open("gone", os.O_RDWR | os.O_CREAT)
        os.unlink("gone")
        fds = [named, gone, os.memfd_create("memory")]
        for i, fd in enumerate(fds):
            fcntl.fcntl(fd, 1036, struct.pack("<Q", i + 2))
        pause()
        say([struct.unpack("<Q", fcntl.fcntl(fd, 1035, bytes(8)))[0] for fd in fds])
        """,
    )
    assert trip.said == trip.control == [[2, 3, 4]]


def test_an_offset_shared_by_two_numbers_and_a_child_stays_shared(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    trip = harness.roundtrip(
        tmp_path,
        f"""
        one = os.open({str(tmp_path / "x")!r}, os.O_RDONLY)
        two = os.dup(one)
        os.set_inheritable(two, True)
        other = os.open({str(tmp_path / "x")!r}, os.O_RDONLY)
        child = os.fork()
        if not child:
            wait()
            os.read(one, 1)
            os._exit(0)
        pause()
        os.kill(child, signal.SIGUSR1)
        say(os.waitpid(child, 0)[1])
        say([os.read(fd, 2).decode() for fd in (one, two, other)])
        say([os.get_inheritable(fd) for fd in (one, two, other)])
        """,
    )
    assert trip.said == trip.control == [0, ["12", "34", "01"], [False, True, False]]


def test_a_log_that_grew_is_appended_to(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        f"""
        fd = os.open({str(tmp_path / "log")!r} + os.path.basename(os.getcwd()), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, b"before ")
        pause()
        os.write(fd, b"after ")
        say(0)
        """,
        leave_running=True,
    )
    assert trip.said == trip.left == trip.control == [0]
    assert (tmp_path / "logcontrol.d").read_bytes() == b"before after "
    assert (tmp_path / "logsubject.d").read_bytes() == b"before after after "


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("append", "fd.regular.changed"),
        ("remove", "fd.regular.missing"),
        ("replace", "fd.regular.replaced"),
    ],
)
def test_a_database_that_changed_since_refuses_the_restore_and_leaves_nothing(tmp_path: Path, change: str, code: str) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"0123456789")
    subject = harness.start(tmp_path, f"fd = os.open({str(data)!r}, os.O_RDWR)\npause()")
    try:
        holdfast.dump(subject.pid, tmp_path / "image")
    finally:
        subject.kill()
    if change == "append":
        with data.open("ab") as f:
            f.write(b"x")
    elif change == "remove":
        data.unlink()
    else:
        (tmp_path / "new").write_bytes(b"9876543210")
        (tmp_path / "new").rename(data)
    with pytest.raises(Refused) as e:
        holdfast.restore(tmp_path / "image")
    assert [r.code for r in e.value.refusals] == [code]
    assert not os.path.exists(f"/proc/{subject.pid}")


def test_places_folders_and_devices_survive(tmp_path: Path) -> None:
    for n in range(30):
        (tmp_path / f"some name {n}").touch()
    trip = harness.roundtrip(
        tmp_path,
        f"""
        folder = {str(tmp_path)!r}
        place = os.open(folder, os.O_PATH)
        listing = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        devices = [os.open("/dev/" + n, os.O_RDWR) for n in ("null", "zero", "full")]
        random = os.open("/dev/urandom", os.O_RDONLY)
        pause()
        say(os.fstat(place).st_ino == os.fstat(listing).st_ino == os.stat(folder).st_ino)
        say(sorted(n for n in os.listdir(listing) if n.startswith("some")))
        say([os.readlink("/proc/self/fd/%d" % fd) for fd in (place, listing, *devices, random)])
        say([len(os.read(fd, 10)) for fd in (*devices, random)])
        """,
    )
    assert trip.said == trip.control


def test_a_removed_file_keeps_its_contents(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        f"""
        name = {str(tmp_path / "gone")!r}
        one = os.open(name, os.O_RDWR | os.O_CREAT, 0o640)
        data = bytes(range(256)) * 1000
        os.write(one, data)
        os.lseek(one, 1 << 24, os.SEEK_SET)
        os.write(one, b"end")
        two = os.open(name, os.O_RDONLY)
        os.utime(one, ns=(1_000_000_001, 2_000_000_002))
        os.unlink(name)
        pause()
        st = os.fstat(one)
        say([st.st_nlink, st.st_size, oct(st.st_mode), st.st_mtime_ns, os.readlink("/proc/self/fd/%d" % two)])
        say(os.pread(two, len(data) + 10, 0) == data + bytes(10))
        say(os.pread(two, 10, 1 << 24).decode())
        os.pwrite(one, b"shared", 5)
        say(os.pread(two, 6, 5).decode())
        say(sorted(n for n in os.listdir(os.path.dirname(name)) if "gone" in n or "holdfast" in n))
        """,
    )
    assert trip.said == trip.control


def test_a_file_that_never_had_a_name_can_be_given_one(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        f"""
        folder = {str(tmp_path)!r}
        fd = os.open(folder, os.O_RDWR | os.O_TMPFILE, 0o600)
        os.write(fd, b"contents")
        pause()
        name = folder + "/named" + os.path.basename(os.getcwd())
        proc = os.open("/proc/self/fd", os.O_PATH)
        os.link(str(fd), name, src_dir_fd=proc, follow_symlinks=True)
        say(open(name).read())
        """,
    )
    assert trip.said == trip.control == ["contents"]
    assert len(trip.losses) == 1


def test_a_memfd_keeps_contents_seals_and_mappings(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        import mmap
        fd = os.memfd_create("a name", os.MFD_ALLOW_SEALING)
        os.write(fd, b"contents" * 1000)
        os.ftruncate(fd, 1 << 16)
        view = mmap.mmap(fd, 1 << 16)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        pause()
        say([fcntl.fcntl(fd, fcntl.F_GET_SEALS), os.fstat(fd).st_size, os.readlink("/proc/self/fd/%d" % fd)])
        say([view[:8].decode(), view[7992:8008].decode()])
        view[0:4] = b"CONT"
        say(os.pread(fd, 8, 0).decode())
        """,
    )
    assert trip.said == trip.control


def test_a_memfd_sealed_against_writing_keeps_its_contents(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        import mmap
        fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
        os.write(fd, b"contents")
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 0xf)
        view = mmap.mmap(fd, 8, mmap.MAP_PRIVATE, mmap.PROT_READ)
        pause()
        say([fcntl.fcntl(fd, fcntl.F_GET_SEALS), view[:].decode()])
        try:
            os.pwrite(fd, b"x", 0)
        except PermissionError as e:
            say(str(e))
        """,
    )
    assert trip.said == trip.control


def test_an_open_file_of_proc_or_of_a_terminal_is_refused_and_the_program_runs_on(tmp_path: Path) -> None:
    codes = harness.refused(tmp_path, 'fd = os.open("/proc/self/mem", os.O_RDWR)\npause()\nsay(os.pread(fd, 0, 0).decode())')
    assert codes == ["file.unclaimed"]


def test_files_of_proc_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        mine, all_ = os.open("/proc/self/stat", os.O_RDONLY), os.open("/proc/uptime", os.O_RDONLY)
        child = os.fork()
        if not child:
            wait()
            say(os.pread(mine, 20, 0).split()[0] == b"%d" % os.getppid())
            os._exit(not _said[0])
        pause()
        os.kill(child, signal.SIGUSR1)
        say(os.waitpid(child, 0)[1])
        say(os.pread(mine, 20, 0).split()[0] == b"%d" % os.getpid())
        say(float(os.pread(all_, 100, 0).split()[0]) > 0)
        """,
    )
    assert trip.said == trip.control == [0, True, True]
