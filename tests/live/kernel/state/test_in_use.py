"""What no interface shows is seen in use, by name, and a process that uses nothing of it is seen to use nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.kernel.state.in_use import in_use
from holdfast.kernel.state.snapshot import Reader
from tests.live.kernel.state.test_snapshot import subject

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LANDLOCK = """
libc.prctl(38, 1, 0, 0, 0)
ruleset = libc.syscall(444, struct.pack("Q", 1), 8, 0)
assert libc.syscall(446, ruleset, 0) == 0
os.close(ruleset)
"""
RING = """
fd = libc.syscall(425, 4, ctypes.create_string_buffer(120))
assert fd > 0
update = struct.pack("<IIQ", 0xFFFFFFFF, 0, fd)  # struct io_uring_rsrc_update: any slot
assert libc.syscall(427, fd, 20, update, 1) == 1  # IORING_REGISTER_RING_FDS
os.close(fd)
"""
PERF = """
attr = struct.pack("<IIQQ", 1, 64, 1, 0) + bytes(40)  # a software event: the task's clock
fd = libc.syscall(298, attr, 0, -1, -1, 0)
assert fd > 0
"""
UNDO = """
key = libc.semget(0, 1, 0o600)
assert key >= 0
assert libc.semop(key, struct.pack("<HhH", 0, 1, 0x1000), 1) == 0
import atexit; atexit.register(lambda: libc.semctl(key, 0, 0))
"""
KEY = "assert libc.syscall(248, b'user', b'k', b'v', 1, ctypes.c_long({})) > 0"
LDT = """
assert libc.syscall(154, 1, struct.pack("<IIII", 0, 0x1000, 0xFFF, 1), 16) == 0
"""
IN_QUEUE = """
a, b = socket.socketpair()
a.send(b"x", socket.MSG_OOB)
"""
TAKEN = """
a, b = socket.socketpair()
a.send(b"abc!", socket.MSG_OOB)
b.recv(1, socket.MSG_OOB)
"""
TELLS_WHAT_IS_LEFT = """
a, b = socket.socketpair()
a.setsockopt(socket.SOL_SOCKET, 84, 1)  # SO_INQ
"""
CUT = """
s = socket.socket(socket.AF_INET6, {})
s.setsockopt(socket.IPPROTO_IPV6, 24, 1280)  # IPV6_MTU
"""
CORKED = """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"half", socket.MSG_MORE, ("127.0.0.1", 9))
"""
MD5 = """
s = socket.socket()
key = struct.pack("<HHI120x", 2, 0, 0x0100007F) + struct.pack("<BBHI", 0, 0, 3, 0) + b"key".ljust(80, b"\\0")
s.setsockopt(socket.IPPROTO_TCP, 14, key)
"""
DISPATCH = """
selector = ctypes.create_string_buffer(1)
assert libc.prctl(59, 1, ctypes.c_long(0), ctypes.c_long(0), ctypes.c_void_p(ctypes.addressof(selector))) == 0
"""
LDISC = """
master, slave = os.openpty()
fcntl.ioctl(slave, 0x5423, struct.pack("i", 27))  # TIOCSETD, N_NULL
"""
LOCKED = """
master, slave = os.openpty()
fcntl.ioctl(slave, 0x5457, struct.pack("4I", 1, 0, 0, 0) + bytes(20))  # TIOCSLCKTRMIOS: the first input flag
"""
ERRORS = """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
s.sendto(b"x", ("127.0.0.1", 1))
"""
SHARED_POLICY = """
import mmap
fd = os.memfd_create("m")
os.truncate(fd, 4096)
area = mmap.mmap(fd, 4096)
at = ctypes.c_char.from_buffer(area)
assert libc.syscall(237, ctypes.c_void_p(ctypes.addressof(at)), 4096, 2, struct.pack("Q", 1), 64, 0) == 0
del at
area.close()
"""
ATTRIBUTE = """
fd = os.pidfd_open(os.getpid())
if libc.fsetxattr(fd, b"trusted.x", b"y", 1, 0) != 0: sys.exit(str(ctypes.get_errno()))
"""


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    held = Reader.open()
    yield held
    held.close()


def found(reader: Reader, program: str) -> set[str]:
    """`struct.field` of everything that a process with this program is seen to use."""
    with subject(program) as pid:
        return {f"{one.struct}.{one.field}".rstrip(".") for one in in_use(reader, {"it": pid})}


@pytest.mark.parametrize(
    ("program", "name"),
    [
        pytest.param(LANDLOCK, "landlock_cred_security.domain", id="a Landlock domain"),
        pytest.param("assert libc.syscall(250, 1, b'ours') > 0", "cred.session_keyring", id="a session keyring of its own"),
        pytest.param(
            KEY.format(-1),
            "cred.session_keyring",
            id="a key in the thread keyring",
        ),
        pytest.param(
            KEY.format(-2),
            "cred.session_keyring",
            id="a key in the process keyring",
        ),
        pytest.param("assert libc.syscall(250, 14, 3) >= 0", "cred.jit_keyring", id="another keyring for new keys"),
        pytest.param(RING, "task_struct.io_uring", id="a ring without a descriptor"),
        pytest.param(PERF, "task_struct.perf_event_ctxp", id="a counter"),
        pytest.param(UNDO, "sysv_sem.undo_list", id="semaphore adjustments"),
        pytest.param(LDT, "mm_struct.context.ldt", id="a local descriptor table"),
        pytest.param(IN_QUEUE, "unix_sock.oob_skb", id="an out of band byte"),
        pytest.param(TAKEN, "sk_buff.cb", id="an urgent byte that was taken"),
        pytest.param(CUT.format("socket.SOCK_STREAM"), "ipv6_pinfo.frag_size", id="a smaller size of packets of TCP"),
        pytest.param(CUT.format("socket.SOCK_DGRAM"), "ipv6_pinfo.frag_size", id="a smaller size of packets of UDP"),
        pytest.param(CORKED, "udp_sock.pending", id="half a datagram"),
        pytest.param(MD5, "tcp_sock.md5sig_info", id="a TCP-MD5 key"),
        pytest.param(LDISC, "tty_ldisc.ops", id="another line discipline"),
        pytest.param(LOCKED, "tty_struct.termios_locked", id="locked settings of a terminal"),
        pytest.param(ERRORS, "sock.sk_write_queue", id="an error that nobody read"),
        pytest.param(SHARED_POLICY, "shmem_inode_info.policy", id="a memory policy of a file without a mapping"),
        pytest.param(ATTRIBUTE, "pidfs_attr.xattrs", id="an attribute of a pidfd"),
        pytest.param(DISPATCH, "task_struct.syscall_dispatch", id="syscall user dispatch"),
    ],
)
def test_it_is_seen_in_use(reader: Reader, program: str, name: str) -> None:
    assert found(reader, program) == {name}


def test_a_unix_socket_that_tells_what_is_left_is_seen(reader: Reader) -> None:
    one, two = socket.socketpair()
    with one, two:
        try:
            one.setsockopt(socket.SOL_SOCKET, 84, 1)
        except OSError as error:
            pytest.skip(f"machine cannot: its unix sockets have no SO_INQ, which came with 6.17 ({error})")
    assert found(reader, TELLS_WHAT_IS_LEFT) == {"unix_sock.recvmsg_inq"}


def test_a_watch_by_dnotify_is_seen_with_its_descriptor(reader: Reader, tmp_path: Path) -> None:
    program = f"fd = os.open({str(tmp_path)!r}, os.O_RDONLY); os.dup2(fd, 100); os.close(fd); fcntl.fcntl(100, fcntl.F_NOTIFY, 0x80000004)"
    with subject(program) as pid:
        (one,) = in_use(reader, {"it": pid})
    assert (one.struct, one.pid, one.tid) == ("dnotify_mark", pid, pid)
    assert one.what.startswith("descriptor 100: ")


@pytest.mark.parametrize(
    ("put", "found"), [("os.splice(fd, w, 4)", 1), ("os.sendfile(w, fd, 0, 4)", 1), ("os.write(w, os.read(fd, 4))", 0)]
)
def test_a_page_in_a_pipe_that_is_still_a_files_is_seen(reader: Reader, tmp_path: Path, put: str, found: int) -> None:
    (tmp_path / "file").write_bytes(b"0123")
    with subject(f"fd = os.open({str(tmp_path / 'file')!r}, os.O_RDONLY); r, w = os.pipe(); {put}") as pid:
        seen = in_use(reader, {"it": pid})
    assert [(one.struct, one.field) for one in seen] == [("pipe_buffer", "ops")] * found


def test_a_memory_policy_of_an_area_is_seen_with_its_address(reader: Reader) -> None:
    program = """
        import mmap
        area = mmap.mmap(-1, 4096)
        at = ctypes.addressof(ctypes.c_char.from_buffer(area))
        if libc.syscall(237, ctypes.c_long(at), 4096, 2, struct.pack("Q", 1), 64, 0) != 0: sys.exit(str(ctypes.get_errno()))
    """
    with subject(program) as pid:
        (one,) = in_use(reader, {"it": pid})
    assert (one.struct, one.field) == ("vm_area_struct", "vm_policy")
    assert one.what.startswith("area at 0x7")


def test_a_file_from_inside_a_sandbox_is_seen_outside_of_it(reader: Reader, tmp_path: Path) -> None:
    program = f"""
        a, b = socket.socketpair()
        if os.fork() == 0:
            libc.prctl(38, 1, 0, 0, 0)
            ruleset = libc.syscall(444, struct.pack("Q", 1 << 14), 8, 0)
            assert libc.syscall(446, ruleset, 0) == 0
            socket.send_fds(b, [b"x"], [os.open({str(tmp_path / "file")!r}, os.O_RDWR | os.O_CREAT)])
            os._exit(0)
        os.wait()
        _, fds, _, _ = socket.recv_fds(a, 1, 1)
    """
    assert found(reader, program) == {"landlock_file_security.allowed_access"}


@pytest.mark.parametrize(
    ("sysctl", "value", "name"),
    [("kernel/pid_max", "70000", "pid_namespace.pid_max"), ("vm/memfd_noexec", "1", "pid_namespace.memfd_noexec_scope")],
)
def test_a_setting_of_its_own_pid_namespace_is_seen(reader: Reader, sysctl: str, value: str, name: str) -> None:
    program = f"""
        assert libc.unshare(0x20000000) == 0  # CLONE_NEWPID
        r, w = os.pipe()
        if os.fork() == 0:
            open("/proc/sys/{sysctl}", "w").write("{value}")
            os.write(w, b"x")
            os.close(w)
            signal.pause()
        os.close(w)
        assert os.read(r, 1) == b"x"
    """
    ours = Path(f"/proc/sys/{sysctl}").read_text()
    with subject(program) as pid:
        (child,) = (int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        try:
            assert [f"{one.struct}.{one.field}" for one in in_use(reader, {"it": child})] == [name]
            assert in_use(reader, {"it": pid}) == ()
        finally:
            os.kill(child, signal.SIGKILL)
    assert Path(f"/proc/sys/{sysctl}").read_text() == ours


def test_a_map_of_project_ids_in_its_own_user_namespace_is_seen(reader: Reader) -> None:
    program = """
        assert libc.unshare(0x10000000) == 0  # CLONE_NEWUSER
    """
    with subject(program) as pid:
        before = {one.field for one in in_use(reader, {"it": pid})}
        Path(f"/proc/{pid}/projid_map").write_text("0 0 10")
        after = {one.field for one in in_use(reader, {"it": pid})}
    assert (before, after) == (set(), {"projid_map"})


def test_only_the_thread_that_uses_it_is_named(reader: Reader) -> None:
    program = """
        def body():
            libc.prctl(38, 1, 0, 0, 0)
            ruleset = libc.syscall(444, struct.pack("Q", 1), 8, 0)
            assert libc.syscall(446, ruleset, 0) == 0
            os.close(ruleset)
            done.set()
            threading.Event().wait()
        done = threading.Event()
        threading.Thread(target=body, daemon=True).start()
        done.wait()
    """
    with subject(program) as pid:
        (one,) = in_use(reader, {"it": pid})
        threads = sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))
    assert (one.pid, one.tid, one.struct) == (pid, threads[1], "landlock_cred_security")


def test_a_plain_process_uses_nothing(reader: Reader) -> None:
    program = """
        fds = [os.eventfd(1), *os.pipe(), *os.openpty(), os.memfd_create("m")]
        socks = [socket.socket(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), *socket.socketpair(), socket.socket(16, 3, 0)]
        for word in b"one", b"two": socks[2].send(word)
        socks[0].listen()
        poll = select.epoll(); poll.register(fds[0])
        for _ in range(3): threading.Thread(target=threading.Event().wait, daemon=True).start()
    """
    assert found(reader, program) == set()


def test_a_process_that_is_gone_is_said_to_be_gone(reader: Reader) -> None:
    with subject("") as pid:
        pass
    with pytest.raises(ProcessLookupError):
        in_use(reader, {"it": pid})


def test_a_small_process_is_asked_within_its_time(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        try:
            in_use(reader, {"it": child.pid})
            start = time.perf_counter()
            seen = in_use(reader, {"it": child.pid})
            took = time.perf_counter() - start
        finally:
            child.kill()
    with capsys.disabled():
        os.write(1, f" [asked in {took * 1e3:.2f} ms] ".encode())
    assert seen == ()
