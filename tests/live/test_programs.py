"""Real programs go on from where they were, ten times in a row from their own restored selves, and answer as if nothing had been.

Each program counts its steps in a file that the test has mapped too. Ten moments are drawn by lot from the steps; at each the program
is dumped, ended by the dump, and restored; then the next moment is waited for in what was restored. What it answers at its end equals what
the same program answers that was never dumped. HOLDFAST_SEED names other moments.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import pytest

import holdfast
from holdfast.errors import Refused
from tests import harness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast import Dumped, Options

SEED = int(os.environ.get("HOLDFAST_SEED", "20261123"))
TIMES = 10
PR_SET_CHILD_SUBREAPER = 36
libc = ctypes.CDLL(None)
SLACK = 20
ENDLESS = 1 << 62
# what the next moment may have changed
PASSING = {"sock.unix.pending", "sock.tcp.pending", "fd.pty.pending", "task.controlling_terminal.foreground"}
TRIES = 1000
PYTHON = """
import json, mmap, os, sys, time
_fd = os.open("steps", os.O_RDWR)
_steps = mmap.mmap(_fd, 4096)
os.close(_fd)

def step():
    n = int.from_bytes(_steps[:8], "little") + 1
    _steps[:8] = n.to_bytes(8, "little")
    while n >= int.from_bytes(_steps[8:16], "little"):
        time.sleep(0.001)

def answer(value):
    with open("answers", "w") as f:
        json.dump(value, f)

"""


class Program:
    """A program in a folder of its own; its first process is our child, before a restore and after."""

    def __init__(self, folder: Path, argv: Sequence[str]) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "steps").write_bytes(bytes(4096))
        with (folder / "steps").open("r+b") as f:
            self._steps = mmap.mmap(f.fileno(), 4096)
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        finally:
            os.close(log)
        self.pid = self.process.pid
        self.pids: tuple[int, ...] = (self.pid,)
        self.restored: Any = None

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def steps(self) -> int:
        """How many steps it has done."""
        return int(struct.unpack_from("<Q", self._steps)[0])

    def until(self, steps: int) -> None:
        """Wait until it has done so many steps; it goes on, but not far."""
        self.bound(steps + SLACK)
        pidfd = os.pidfd_open(self.pid)
        deadline = time.monotonic() + harness.PATIENCE_S
        try:
            while self.steps < steps:
                assert not select.select([pidfd], [], [], 0.0005)[0], f"it ended at step {self.steps} of {steps}; its log:\n{self.log}"
                assert time.monotonic() < deadline, f"it is at step {self.steps} of {steps}; its log:\n{self.log}"
        finally:
            os.close(pidfd)

    def bound(self, steps: int) -> None:
        """Let it do no more than so many steps: however slow we are, it is still there when we come."""
        struct.pack_into("<Q", self._steps, 8, steps)

    def cycle(self, options: Options | None = None) -> None:
        """Dump it, which ends it, and restore it; where something is under way that cannot be carried, try again, as the refusal says."""
        image = self.folder.parent / f"{self.folder.name}.image"
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # the orphans come to us: not every init waits for its children at once
        try:
            dumped = self._dump(image, options)
            self._collect()
        finally:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        assert {int(p) for p in dumped.pids} >= {self.pid}
        if self.restored is None:
            assert self.process.wait() == -signal.SIGKILL
        else:
            assert self.restored.wait() == -signal.SIGKILL
        self.restored = holdfast.restore(image)
        self.pids = self.restored.pids
        assert self.restored.pid == self.pid
        for name in sorted(os.listdir(image)):
            (image / name).unlink()
        image.rmdir()

    def _dump(self, image: Path, options: Options | None) -> Dumped:
        for _ in range(TRIES - 1):
            try:
                return holdfast.dump(self.pid, image, options=options)
            except Refused as e:
                if not {r.code for r in e.refusals} <= PASSING:
                    raise
                os.sched_yield()
        return holdfast.dump(self.pid, image, options=options)

    # Whoever ended and came to us, now or while a dump was tried again, but not the first process: its end is looked at.
    def _collect(self) -> None:
        with open("/proc/thread-self/children") as f:
            children = [int(word) for word in f.read().split()]
        for pid in children:
            with open(f"/proc/{pid}/stat") as f:
                state = f.read().rpartition(")")[2].split()[0]
            if pid != self.pid and state == "Z":
                os.waitpid(pid, 0)

    def answers(self) -> Any:
        """What it answered, when it has ended well."""
        harness.finish(self.pid, self.log)
        status = self.process.wait() if self.restored is None else self.restored.wait()
        assert status == 0, f"it ended with {status}; its log:\n{self.log}"
        return json.loads((self.folder / "answers").read_text())

    def kill(self) -> None:
        """End it, whatever it does."""
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # it has been waited for
        self.process.poll()


def python(source: str) -> list[str]:
    return [sys.executable, "-c", PYTHON + textwrap.dedent(source)]


def go_on(folder: Path, argv: Sequence[str], steps: int, options: Options | None = None) -> tuple[Any, Any]:
    """The answers of a run never dumped, and of one dumped and restored ten times at moments drawn by lot."""
    untouched = Program(folder / "untouched", argv)
    try:
        untouched.bound(ENDLESS)
        expected = untouched.answers()
    finally:
        untouched.kill()
    lots = random.Random(f"{SEED} {folder.name}")
    moments = sorted(lots.sample(range(1, steps - SLACK), TIMES))
    program = Program(folder / "program", argv)
    try:
        for n, moment in enumerate(moments):
            try:
                program.until(moment)
                program.cycle(options)
            except BaseException as e:
                e.add_note(f"HOLDFAST_SEED={SEED}, moments {moments}, at the {n + 1}th")
                raise
        program.bound(ENDLESS)
        return expected, program.answers()
    finally:
        program.kill()


# --- python3


@pytest.mark.root
def test_python_threads_go_on(tmp_path: Path) -> None:
    expected, got = go_on(
        tmp_path,
        python(
            """
            import queue, threading
            jobs, results, lock, event = queue.Queue(), queue.Queue(), threading.Lock(), threading.Event()
            total = 0
            def work():
                global total
                while (n := jobs.get()) is not None:
                    event.wait()
                    with lock:
                        total += n
                    results.put(n * n)
            workers = [threading.Thread(target=work) for _ in range(8)]
            for w in workers:
                w.start()
            timers = []
            squares = 0
            for n in range(300):
                jobs.put(n)
                t = threading.Timer(0.001, event.set)
                t.start()
                squares += results.get()
                t.join()
                event.clear()
                step()
            event.set()
            for w in workers:
                jobs.put(None)
            for w in workers:
                w.join()
            answer([total, squares])
            """
        ),
        300,
    )
    assert got == expected == [44850, 8955050]


@pytest.mark.root
def test_python_multiprocessing_goes_on(tmp_path: Path) -> None:
    expected, got = go_on(
        tmp_path,
        python(
            """
            import multiprocessing as mp
            import multiprocessing.resource_tracker
            from multiprocessing import shared_memory

            def square(n):
                return n * n

            def worker(jobs, results, lock, value):
                while (n := jobs.get()) is not None:
                    with lock:
                        value.value += n
                    results.put(n + 1)

            ctx = mp.get_context("fork")
            lock, value = ctx.Lock(), ctx.Value("q", 0, lock=False)
            jobs, results = ctx.Queue(), ctx.Queue()
            workers = [ctx.Process(target=worker, args=(jobs, results, lock, value)) for _ in range(2)]
            for w in workers:
                w.start()
            memory = shared_memory.SharedMemory(create=True, size=8192)
            here, there = ctx.Pipe()
            sums = 0
            with ctx.Pool(3) as pool:
                for n in range(120):
                    jobs.put(n)
                    sums += results.get()
                    sums += sum(pool.map(square, range(n, n + 5)))
                    here.send({"n": n})
                    sums += there.recv()["n"]
                    memory.buf[n] = n
                    step()
                pool.close()
                pool.join()
            for w in workers:
                jobs.put(None)
            for w in workers:
                w.join()
            contents = sum(memory.buf[:120])
            memory.close()
            memory.unlink()
            mp.resource_tracker._resource_tracker._stop()  # so that it is gone when we are
            answer([sums, value.value, contents, [w.exitcode for w in workers]])
            """
        ),
        120,
    )
    assert got == expected
    assert got[1:] == [7140, 7140, [0, 0]]


@pytest.mark.root
def test_python_asyncio_goes_on(tmp_path: Path) -> None:
    # clients of the loopback server see a reset when they are restored, as they would from any server, and ask again
    expected, got = go_on(
        tmp_path,
        python(
            """
            import asyncio, signal, socket
            async def serve(reader, writer):
                while line := await reader.readline():
                    writer.write(line.upper())
                    await writer.drain()
                writer.close()
            async def ask(address, text):
                for _ in range(100):
                    try:
                        reader, writer = await (asyncio.open_connection(*address) if isinstance(address, tuple) else
                                                asyncio.open_unix_connection(address))
                        writer.write(text.encode() + b"\\n")
                        await writer.drain()
                        line = await reader.readline()
                        writer.close()
                        if line:
                            return line.decode().strip()
                    except ConnectionError:
                        continue
                raise TimeoutError
            async def main():
                server = await asyncio.start_server(serve, "127.0.0.1", 0)
                local = await asyncio.start_unix_server(serve, os.path.abspath("socket"))
                address = server.sockets[0].getsockname()
                loop = asyncio.get_running_loop()
                ticks = 0
                async def tick():
                    nonlocal ticks
                    while True:
                        await asyncio.sleep(0.002)
                        ticks += 1
                ticker = asyncio.create_task(tick())
                said = []
                for n in range(120):
                    said += await asyncio.gather(*(ask(a, f"n{n}") for a in (address, os.path.abspath("socket"), address)))
                    said.append(await loop.run_in_executor(None, lambda: n * 2))
                    step()
                ticker.cancel()
                server.close()
                local.close()
                return said, ticks > 0
            answer(asyncio.run(main()))
            """
        ),
        120,
        holdfast.Options(reset_tcp=True),
    )
    assert got == expected


# --- sqlite3


@pytest.mark.root
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_sqlite_goes_on_in_the_middle_of_a_transaction(tmp_path: Path, journal: str) -> None:
    expected, got = go_on(
        tmp_path,
        python(
            f"""
            import sqlite3
            db = sqlite3.connect("db", isolation_level=None)
            db.execute("pragma journal_mode={journal}")
            db.execute("pragma cache_size=10")  # so that pages are written before the commit
            db.execute("create table t (n integer primary key, x text)")
            for part in range(4):
                db.execute("begin immediate")
                for n in range(part * 100, part * 100 + 100):
                    db.execute("insert into t values (?, ?)", (n, str(n) * 200))
                    step()
                other = sqlite3.connect("db", isolation_level=None, timeout=0)
                try:
                    other.execute("begin immediate")
                    locked = False
                except sqlite3.OperationalError:
                    locked = True
                other.close()
                assert locked
                db.execute("rollback" if part == 2 else "commit")
            sums = db.execute("select count(*), sum(n), sum(length(x)) from t").fetchall()
            answer([db.execute("pragma integrity_check").fetchall(), sums, sorted(os.listdir("."))])
            """
        ),
        400,
    )
    assert got == expected
    assert got[0] == [["ok"]]


# --- bash


@pytest.mark.root
@pytest.mark.xdist_group("pty")  # a terminal comes back by its number, which no other test may have taken
def test_bash_goes_on_with_a_pipeline_and_a_background_job_on_a_terminal(tmp_path: Path) -> None:
    expected, got = go_on(
        tmp_path,
        python(
            """
            import pty, termios
            child, master = pty.fork()
            if not child:
                os.environ.update(PS1="", TERM="dumb", HISTFILE="")
                os.execvp("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
            mode = termios.tcgetattr(master)
            mode[3] &= ~termios.ECHO
            termios.tcsetattr(master, termios.TCSANOW, mode)
            text = ""
            def line():
                global text
                while "\\n" not in text:
                    text += os.read(master, 4096).decode()
                out, text = text.split("\\n", 1)
                return out.strip()
            def say(command):
                os.write(master, command.encode() + b"\\n")
            say("set -m; n=0")
            say("(for i in {1..100}; do echo $i; sleep 0.002; done | while read x; do echo $((x*x)); done | sort -n | tail -n 3 "
                "> squares; echo background $? >> squares) &")
            heard = []
            for i in range(100):
                say(f"n=$((n+{i})); echo {i} | tr 0-9 a-j | rev; echo n $n")
                while not (got := line()).startswith("n "):
                    if got and set(got) <= set("abcdefghij"):  # and not what bash says of its jobs
                        heard.append(got)
                heard.append(got)
                step()
            say("wait %1; jobs; echo n end; exit 7")
            while line() != "n end":
                pass
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answer([heard, open("squares").read().split(), status])
            """
        ),
        100,
    )
    assert got == expected
    assert got[1:] == [["9604", "9801", "10000", "background", "0"], 7]


# --- a C program with a hundred threads

THREADS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 100, ROUNDS = 40, GROUP = 10 };
static volatile unsigned long *steps;
static pthread_mutex_t locks[GROUP], everything = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned[GROUP];
static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static int turn[GROUP];
static unsigned long sums[GROUP], total, errors;
static __thread unsigned long mine;

static void *work(void *arg)
{
	long me = (long)arg, group = me / GROUP, place = me % GROUP;
	pthread_barrier_wait(&barrier);
	for (int round = 0; round < ROUNDS; round++) {
		/* the threads of a group take turns, in order */
		pthread_mutex_lock(&locks[group]);
		while (turn[group] != round * GROUP + place)
			pthread_cond_wait(&turned[group], &locks[group]);
		turn[group]++;
		sums[group] = sums[group] * 31 + me * round;
		pthread_cond_broadcast(&turned[group]);
		pthread_mutex_unlock(&locks[group]);
		if (nanosleep(&(struct timespec){0, 1000 * (me + 1)}, NULL))
			__atomic_fetch_add(&errors, 1, __ATOMIC_SEQ_CST);
		pthread_rwlock_rdlock(&shared);
		mine += total >= mine ? 1 : 1000000;
		pthread_rwlock_unlock(&shared);
		if (place == 0) {
			pthread_rwlock_wrlock(&shared);
			total++;
			pthread_rwlock_unlock(&shared);
		}
		pthread_mutex_lock(&everything);
		++*steps;
		pthread_mutex_unlock(&everything);
		while (steps[0] >= steps[1])
			if (nanosleep(&(struct timespec){0, 1000000}, NULL))
				__atomic_fetch_add(&errors, 1, __ATOMIC_SEQ_CST);
	}
	return (void *)mine;
}

int main(void)
{
	int fd = open("steps", O_RDWR);
	steps = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	pthread_t threads[THREADS];
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < GROUP; i++) {
		pthread_mutex_init(&locks[i], NULL);
		pthread_cond_init(&turned[i], NULL);
	}
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			abort();
	FILE *f = fopen("answers", "w");
	fprintf(f, "[%lu", 0UL);
	for (int i = 0; i < THREADS; i++) {
		void *rounds;
		pthread_join(threads[i], &rounds);
		fprintf(f, ", %d", (unsigned long)rounds % 1000000 == ROUNDS || (unsigned long)rounds >= ROUNDS);
	}
	for (int i = 0; i < GROUP; i++)
		fprintf(f, ", %lu", sums[i]);
	fprintf(f, ", %lu, %lu, %lu]", total, errors, *steps);
	fclose(f);
	return 0;
}
"""


@pytest.mark.root
@pytest.mark.tool("gcc")
def test_a_hundred_threads_go_on(tmp_path: Path) -> None:
    (tmp_path / "threads.c").write_text(THREADS)
    subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", tmp_path / "threads", tmp_path / "threads.c"], check=True)
    expected, got = go_on(tmp_path, [str(tmp_path / "threads")], 4000)
    assert got == expected
    assert got[-3:] == [400, 0, 4000]


# --- redis


class Client:
    """A client of redis by its own protocol, enough for a test."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=harness.PATIENCE_S)
        self._file = self._socket.makefile("rb")

    def ask(self, *words: object) -> Any:
        """Send one command; its answer."""
        parts = [str(w).encode() for w in words]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self._answer()

    def _answer(self) -> Any:
        line = self._file.readline()
        if not line:
            raise ConnectionResetError
        kind, rest = line[:1], line[1:].strip()
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._file.read(size + 2)[:-2].decode()
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        assert kind != b"-", rest
        return int(rest) if kind == b":" else rest.decode()

    def close(self) -> None:
        """Go, once redis has closed its end: until then it stands in CLOSE_WAIT, and a dump refuses it."""
        with self._socket, self._file, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._file.read()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def redis(tmp_path: Path) -> Any:
    port = free_port()
    argv = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "yes", "--unixsocket", str(tmp_path / "redis.sock")]
    server = Program(tmp_path / "redis", [*argv, "--hz", "50"])
    deadline = time.monotonic() + harness.PATIENCE_S
    try:
        while True:
            try:
                Client(port).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, server.log
                assert server.process.poll() is None, server.log
        yield server, port
    finally:
        server.kill()


@pytest.mark.root
@pytest.mark.tool("redis-server")
def test_redis_with_a_client_from_outside_is_refused_by_name(redis: tuple[Program, int], tmp_path: Path) -> None:
    server, port = redis
    client = Client(port)
    client.ask("SET", "key", "value")
    with pytest.raises(Refused) as e:
        holdfast.dump(server.pid, tmp_path / "image")
    assert [r.code for r in e.value.refusals] == ["sock.tcp.established"]
    assert "--reset-tcp" in e.value.refusals[0].do or "reset_tcp" in e.value.refusals[0].do
    assert client.ask("GET", "key") == "value"
    client.close()


@pytest.mark.root
@pytest.mark.tool("redis-server")
def test_redis_goes_on_and_its_clients_come_back(redis: tuple[Program, int]) -> None:
    server, port = redis
    lots = random.Random(f"{SEED} redis")
    moments = sorted(lots.sample(range(20, 2000), TIMES))
    client = Client(port)
    expected: dict[str, str] = {}
    started = client.ask("INFO", "server").split("run_id:")[1].split()[0]
    for n in range(2000):
        client.ask("SET", f"key:{n % 700}", n)
        expected[f"key:{n % 700}"] = str(n)
        client.ask("RPUSH", "list", n)
        if n in moments:
            server.cycle(holdfast.Options(reset_tcp=True))
            with pytest.raises(ConnectionError):
                client.ask("PING")
            client.close()
            client = Client(port)
            # the same server: not one that read its file again
            assert client.ask("INFO", "server").split("run_id:")[1].split()[0] == started
    keys = sorted(expected)
    assert client.ask("MGET", *keys) == [expected[k] for k in keys]
    assert client.ask("LRANGE", "list", 0, -1) == [str(n) for n in range(2000)]
    assert client.ask("DBSIZE") == len(keys) + 1
    client.close()
