"""The live state of real processes: states that no other interface shows, canonical names, nested namespaces, threads that come and go."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.kernel.state.snapshot import Leaf, Reader, State

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PRELUDE = """
import ctypes, fcntl, os, select, signal, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
"""
SRC = str(Path(holdfast.__file__).parents[1])


@contextlib.contextmanager
def subject(program: str) -> Iterator[int]:
    """A process that has run a program and waits for the end of its input."""
    text = f"{PRELUDE}\n{textwrap.dedent(program)}\nprint('ready', flush=True)\nsys.stdin.read()\n"
    with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "ready\n"
            yield child.pid
        finally:
            child.stdin.close()
            child.wait()


def waiting(pid: int) -> None:
    """Comes back when a process waits in read(2) of its input."""
    while not Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x0 "):
        os.sched_yield()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    held = Reader.open()
    yield held
    held.close()


def state_of(reader: Reader, program: str) -> State:
    """The state of a process that has run a program."""
    with subject(program) as pid:
        return reader.snapshot({"it": pid})


def values(state: State, part: str) -> list[object]:
    """Values of the leaves whose path holds a text, in order."""
    return [leaf.value for path, leaf in state.leaves.items() if part in path]


def test_semaphore_mode_of_an_eventfd_is_seen(reader: Reader) -> None:
    state = state_of(reader, "fd = os.eventfd(5, os.EFD_SEMAPHORE)")
    (path,) = [path for path, struct in state.objects.items() if struct == "eventfd_ctx"]
    assert (state.leaves[f"{path}.count"].value, state.leaves[f"{path}.flags"].value) == (5, 1)
    assert (state.leaves[f"{path}.flags"].struct, state.leaves[f"{path}.flags"].field) == ("eventfd_ctx", "flags")


def test_two_numbers_of_one_file_are_one_object(reader: Reader) -> None:
    state = state_of(reader, "fd = os.eventfd(0); os.dup2(fd, 100); os.dup2(fd, 101)")
    names = {state.leaves[f"it.files.fd[{fd}]"].value for fd in (100, 101)}
    assert len(names) == 1
    assert names <= {f"@{path}" for path, struct in state.objects.items() if struct == "file"}


def test_timer_slack_is_seen(reader: Reader) -> None:
    assert state_of(reader, "libc.prctl(29, 123456)").leaves["it.timer_slack_ns"].value == 123456


def test_io_priority_is_seen(reader: Reader) -> None:
    state = state_of(reader, "assert libc.syscall(251, 1, 0, 3 << 13) == 0")
    assert state.leaves["it.io_context.ioprio"].value == 3 << 13


def test_a_landlock_domain_is_seen(reader: Reader) -> None:
    program = """
        libc.prctl(38, 1, 0, 0, 0)
        ruleset = libc.syscall(444, struct.pack("Q", 1), 8, 0)
        assert libc.syscall(446, ruleset, 0) == 0
    """
    paths = {"it.real_cred.landlock.domain", "it.cred.landlock.domain"}
    inside, outside = state_of(reader, program), state_of(reader, "")
    assert {inside.leaves[p].value for p in paths} == {"@it.real_cred.landlock.domain"}
    assert {outside.leaves[p].value for p in paths} == {"null"}
    assert values(inside, "landlock.domain.num_layers") == [1]


def test_a_keyring_and_its_keys_are_seen(reader: Reader) -> None:
    program = """
        assert libc.syscall(250, 1, b"ours") > 0
        assert libc.syscall(248, b"user", b"a key", b"secret", 6, ctypes.c_long(-3)) > 0
    """
    state = state_of(reader, program)
    ring = "it.real_cred.session_keyring"
    assert state.leaves[f"{ring}.description"].value == "ours"
    assert state.leaves[f"{ring}.keys"].value == 1
    assert (state.leaves[f"{ring}.key[0].type_name"].value, state.leaves[f"{ring}.key[0].description"].value) == ("user", "a key")


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("socket.SOL_SOCKET, socket.SO_PRIORITY, 5", "sk_priority", 5),
        ("socket.IPPROTO_IP, socket.IP_TOS, 0x10", "tos", 0x10),
        ("socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 77", "keepalive_intvl", 77),
        ("socket.IPPROTO_TCP, socket.TCP_SYNCNT, 3", "icsk_syn_retries", 3),
    ],
)
def test_an_option_of_a_tcp_socket_is_seen(reader: Reader, option: str, path: str, value: int) -> None:
    state = state_of(reader, f"s = socket.socket(); s.setsockopt({option})")
    found = [leaf for name, leaf in state.leaves.items() if name.endswith(f".{path}")]
    scale = 100 if path == "keepalive_intvl" else 1  # in jiffies
    assert [leaf.value for leaf in found if isinstance(leaf.value, int) and leaf.value % value == 0 and leaf.value // value <= 10 * scale]


def test_the_receive_lowat_of_a_unix_socket_is_seen(reader: Reader) -> None:
    state = state_of(reader, "a, b = socket.socketpair(); a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 9)")
    assert sorted(v for v in values(state, ".sk_rcvlowat") if isinstance(v, int)) == [1, 9]


def test_flags_of_a_signal_action_are_seen(reader: Reader) -> None:
    program = """
        action = struct.pack("QQQQ", 1, 0x04000000 | 0x10000000, 0, 1 << 11)
        assert libc.syscall(13, 10, action, None, 8) == 0
    """
    state = state_of(reader, program)
    action = "it.sighand.action[9].sa"
    assert state.leaves[f"{action}.sa_flags"].value == 0x14000000
    assert state.leaves[f"{action}.sa_mask.sig"].value == 1 << 11
    assert state.leaves[f"{action}.sa_flags"].struct == "sigaction"


def test_file_locks_are_seen(reader: Reader, tmp_path: Path) -> None:
    program = f"""
        one = open({str(tmp_path / "one")!r}, "w")
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.lockf(one, fcntl.LOCK_EX, 5, 2)
    """
    state = state_of(reader, program)
    held = [path for path, struct in state.objects.items() if struct == "file_lock"]
    assert sorted(path.rsplit(".", 1)[1] for path in held) == ["flc_flock[0]", "flc_posix[0]"]
    posix = next(path for path in held if path.endswith("flc_posix[0]"))
    assert (state.leaves[f"{posix}.fl_start"].value, state.leaves[f"{posix}.fl_end"].value) == (2, 6)
    assert [v for p, v in ((p, leaf.value) for p, leaf in state.leaves.items()) if p.startswith(posix) and p.endswith("_pid")] == ["@it"]


def test_the_mask_of_an_inotify_mark_is_seen(reader: Reader, tmp_path: Path) -> None:
    program = f"""
        fd = libc.inotify_init1(0)
        assert libc.inotify_add_watch(fd, {os.fsencode(tmp_path)!r}, 0x100) == 1
        open({str(tmp_path / "made")!r}, "w")
    """
    state = state_of(reader, program)
    (mask,) = values(state, "mark[1].fsn_mark.mask")
    assert isinstance(mask, int)
    assert mask & 0xFFF == 0x100
    assert [leaf.value for path, leaf in state.leaves.items() if path.endswith(".event[0].name")] == [b"made"]


def test_a_dnotify_mark_is_seen(reader: Reader, tmp_path: Path) -> None:
    program = f"fd = os.open({str(tmp_path)!r}, os.O_RDONLY); fcntl.fcntl(fd, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MULTISHOT)"
    state = state_of(reader, program)
    assert [struct for struct in state.objects.values() if struct.startswith("dnotify")] == ["dnotify_mark", "dnotify_struct"]


@pytest.mark.parametrize(
    ("write", "reads", "packets"),
    [
        ("r, w = os.pipe(); os.write(w, b'hello')", "5", "0"),
        ("r, w = os.pipe(); os.write(w, b'x' * 4000); os.write(w, b'x' * 1000)", "5000", "0"),
        ("r, w = os.pipe2(os.O_DIRECT); os.write(w, b'one'); os.write(w, b'seven')", "3 5", "1 1"),
    ],
)
def test_what_reads_of_a_pipe_would_return_is_seen(reader: Reader, write: str, reads: str, packets: str) -> None:
    state = state_of(reader, f"{write}; os.dup2(r, 100)")
    private = str(state.leaves[str(state.leaves["it.files.fd[100]"].value)[1:] + ".private"].value)[1:]
    assert (state.leaves[f"{private}.reads"].value, state.leaves[f"{private}.packets"].value) == (reads, packets)


def test_seals_are_seen(reader: Reader) -> None:
    state = state_of(reader, "fd = os.memfd_create('m', os.MFD_ALLOW_SEALING); fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)")
    assert 2 in values(state, ".shmem_inode_info.seals")  # a log file on a tmpfs has seals too


def test_files_on_their_way_through_a_unix_socket_are_seen(reader: Reader) -> None:
    state = state_of(reader, "a, b = socket.socketpair(); fd = os.eventfd(9); socket.send_fds(a, [b'x'], [fd]); os.close(fd)")
    (path,) = [path for path, struct in state.objects.items() if struct == "eventfd_ctx"]
    assert path.endswith(".sk_receive_queue[0].fd[0].private")
    assert state.leaves[f"{path}.count"].value == 9


def test_the_two_queues_of_a_udp_socket_are_one_in_the_order_of_reading(reader: Reader) -> None:
    ask = "a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(('127.0.0.1', 0)); at = a.getsockname()\n"
    ask += "a.sendto(b'one', at); a.sendto(b'two', at)"
    untouched = state_of(reader, ask)
    peeked = state_of(reader, f"{ask}\na.recv(9, socket.MSG_PEEK); a.sendto(b'three', at)")
    for state, data in ((untouched, [b"one", b"two"]), (peeked, [b"one", b"two", b"three"])):
        (count,) = [path for path, leaf in state.leaves.items() if leaf.field == "sk_receive_queue"]
        assert state.leaves[count].value == len(data)
        assert [state.leaves[f"{count}[{n}].data"].value for n in range(len(data))] == data


@pytest.mark.parametrize(("more", "sources"), [("", "null"), ("UN", "null"), ("keep", "7f000005 7f000006")])
def test_an_empty_list_of_sources_is_as_good_as_none(reader: Reader, more: str, sources: str) -> None:
    state = state_of(
        reader,
        f"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        host = socket.inet_aton("127.0.0.1")
        s.setsockopt(0, 35, socket.inet_aton("224.1.2.3") + host)
        for option in ((38,) if {more!r} else ()) + ((37,) if {more!r} == "UN" else ()):
            for source in ("127.0.0.6", "127.0.0.5"):
                s.setsockopt(0, option, socket.inet_aton("224.1.2.3") + host + socket.inet_aton(source))
        """,
    )
    assert values(state, ".mc_list.sflist") == [sources]


def test_a_file_that_was_opened_in_a_sandbox_says_so(reader: Reader, tmp_path: Path) -> None:
    program = f"""
        libc.prctl(38, 1, 0, 0, 0)
        outside = os.open({str(tmp_path)!r}, os.O_RDONLY)
        ruleset = libc.syscall(444, struct.pack("Q", 1 << 14), 8, 0)
        assert libc.syscall(446, ruleset, 0) == 0
        inside = os.open({str(tmp_path / "file")!r}, os.O_RDWR | os.O_CREAT)
        os.dup2(outside, 100); os.close(outside); os.dup2(inside, 101); os.close(inside)
    """
    state = state_of(reader, program)
    rights = [state.leaves[f"it.files.fd[{fd}].landlock.allowed_access"].value for fd in (100, 101)]
    assert [isinstance(r, int) and r >> 14 & 1 for r in rights] == [1, 0]


def test_seals_of_huge_pages_are_seen(reader: Reader) -> None:
    state = state_of(reader, "fd = os.memfd_create('h', os.MFD_HUGETLB | os.MFD_ALLOW_SEALING); fcntl.fcntl(fd, 1033, 2)")
    assert values(state, ".hugetlbfs_inode_info.seals") == [2]


def test_a_message_queue_is_seen(reader: Reader) -> None:
    program = """
        rt = ctypes.CDLL("librt.so.1")
        name = b"/holdfast.%d" % os.getpid()
        queue = rt.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None)
        assert rt.mq_unlink(name) == 0
        assert rt.mq_send(queue, b"hello", 5, 3) == 0
    """
    state = state_of(reader, program)
    assert values(state, ".mqueue_inode_info.attr.mq_curmsgs") == [1]


def test_a_queued_signal_and_its_value_are_seen(reader: Reader) -> None:
    program = """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        libc.sigqueue(os.getpid(), signal.SIGUSR2, ctypes.c_void_p(77))
    """
    state = state_of(reader, program)
    queued = "it.signal.shared_pending.list[0].info"
    assert state.leaves[f"{queued}.si_value"].value == 77
    assert state.leaves[f"{queued}.si_pid"].value == "@it"


def test_a_seccomp_filter_is_seen_with_its_instructions(reader: Reader) -> None:
    program = """
        libc.prctl(38, 1, 0, 0, 0)
        code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
        assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))) == 0
    """
    state = state_of(reader, program)
    assert state.leaves["it.seccomp.filter_count.counter"].value == 1
    assert state.leaves["it.seccomp.filter.prog.orig_prog.filter"].value == b"\x06\0\0\0\0\0\xff\x7f"


def test_threads_have_labels_in_the_order_of_their_ids(reader: Reader) -> None:
    state = state_of(reader, "e = threading.Event()\nfor _ in range(3): threading.Thread(target=e.wait, daemon=True).start()")
    assert [path for path, struct in state.objects.items() if struct == "task_struct"] == ["it", "it/1", "it/2", "it/3"]
    assert {state.leaves[f"it/{n}.mm"].value for n in (1, 2, 3)} == {"@it.mm"}
    assert {state.leaves[f"it/{n}.tgid"].value for n in (1, 2, 3)} == {"@it"}


def test_two_snapshots_of_an_idle_process_are_equal(reader: Reader) -> None:
    with subject("fds = [os.eventfd(1), *os.pipe(), *os.openpty()]; s = socket.socket()") as pid:
        waiting(pid)
        one, two = reader.snapshot({"it": pid}), reader.snapshot({"it": pid})
    assert differences(one, two) == []
    assert one.objects == two.objects
    assert one.gaps == two.gaps


def differences(one: State, two: State) -> list[tuple[Leaf | None, Leaf | None]]:
    """Leaves that are not the same in both."""
    paths = {**one.leaves, **two.leaves}
    return [(one.leaves.get(p), two.leaves.get(p)) for p in paths if one.leaves.get(p) != two.leaves.get(p)]


def test_no_leaf_is_a_kernel_address_of_the_direct_map(reader: Reader) -> None:
    state = state_of(reader, "fds = [os.eventfd(1), *os.pipe(), *os.openpty()]; s = socket.socket()")
    shown = [
        path
        for path, leaf in state.leaves.items()
        if isinstance(leaf.value, int) and 0xFFFF_8000_0000_0000 <= leaf.value < 0xFFFF_FF00_0000_0000
    ]
    assert shown == []


def test_a_process_that_is_gone_is_said_to_be_gone(reader: Reader) -> None:
    with subject("") as pid:
        pass
    with pytest.raises(ProcessLookupError):
        reader.snapshot({"it": pid})


def test_it_works_in_a_nested_pid_namespace() -> None:
    program = """
        import json, os, subprocess, sys
        sys.path.insert(0, sys.argv[1])
        from holdfast.kernel.state.snapshot import Reader
        reader = Reader.open()
        child = subprocess.Popen(["sleep", "1000"])
        try:
            state = reader.snapshot({"leader": 1, "child": child.pid})
            print(json.dumps([child.pid < 50, state.leaves["child.pid"].value, state.leaves["child.real_parent"].value]))
        finally:
            child.kill()
            child.wait()
    """
    # the outer one is forked by unshare, the inner one too: two levels below the test
    command = ["unshare", "-pf", "unshare", "-pf", "--mount-proc", sys.executable, "-c", textwrap.dedent(program), SRC]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [True, "@child", "@leader"]


def test_threads_that_come_and_go_never_break_it(reader: Reader) -> None:
    program = """
        import random
        end = threading.Event()
        def churn(seed):
            pick = random.Random(seed)
            while not end.is_set():
                fds = [os.eventfd(0) for _ in range(pick.randrange(4))]
                thread = threading.Thread(target=lambda: [os.close(fd) for fd in fds])
                thread.start()
                thread.join()
        for n in range(40):
            threading.Thread(target=churn, args=(n,), daemon=True).start()
    """
    with subject(program) as pid:
        for _ in range(60):
            state = reader.snapshot({"it": pid})
            assert state.leaves["it.tgid"].value == "@it"


def test_a_process_that_dies_in_between_is_gone_or_whole(reader: Reader) -> None:
    for _ in range(40):
        child = subprocess.Popen(["true"])
        try:
            while True:
                try:
                    reader.snapshot({"it": child.pid})
                except ProcessLookupError:
                    break
                if child.poll() is not None:
                    break
        finally:
            child.wait()


def test_a_small_process_is_read_within_its_time(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        try:
            reader.snapshot({"it": child.pid})
            start = time.perf_counter()
            state = reader.snapshot({"it": child.pid})
            took = time.perf_counter() - start
        finally:
            child.kill()
    with capsys.disabled():
        sys.stdout.write(f" [{len(state.leaves)} leaves, {len(state.objects)} objects in {took * 1e3:.1f} ms] ")
    assert len(state.leaves) > 1000
