"""Jobs of `holdfast run`: what they are started with, how they end, and that they come back without any privilege."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import socket
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.engine import jobs
from tests import harness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("pty")  # terminals come back by number, which no other test may take meanwhile

HOLDFAST = os.path.join(os.path.dirname(sys.executable), "holdfast")
ROUNDS = 10


@pytest.fixture(autouse=True)
def _own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def holdfast(*words: str | Path, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command, which must end with this code."""
    done = subprocess.run(
        [HOLDFAST, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE_S,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A job that is waited for."""
    return subprocess.run(
        [HOLDFAST, "run", "--", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=harness.PATIENCE_S
    )


class Job:
    """A subject in a job called `job`, which is dumped and restored again and again; it pauses by ready() and wait()."""

    def __init__(self, folder: Path, source: str, language: str = "python") -> None:
        self.folder = folder
        self.subject = harness.start(folder, source, language, by=[HOLDFAST, "run", "--name", "job", "--"])
        self.image = folder / "image"
        self.pid = jobs.find("job")

    def dump(self, *options: str) -> dict[str, Any]:
        """Save it by its name to a new image; what the command said."""
        self.image = self.folder / f"image{len(os.listdir(self.folder))}"
        said: dict[str, Any] = json.loads(holdfast("dump", "job", "-o", self.image, "--json", *options).stdout)
        return said

    def restore(self) -> None:
        """Bring it back; nobody is its parent."""
        self.pid = json.loads(holdfast("restore", self.image, "--detach", "--json").stdout)["pid"]
        assert jobs.find("job") == self.pid

    def go(self) -> None:
        """Send it on to its next pause and wait until it is there."""
        waiting = os.open(self.subject.folder / "ready", os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.kill(self.pid, signal.SIGUSR1)
            harness.until_ready(self.subject, waiting, self.pid)
        finally:
            os.close(waiting)

    def end(self) -> list[Any]:
        """Send it on to its end; what it said."""
        init = os.pidfd_open(jobs.running()[0].init)
        try:
            send_on(self.pid)
            assert select.select([init], [], [], harness.PATIENCE_S)[0], "the init did not end"
        finally:
            os.close(init)
        return self.subject.said

    def kill(self) -> None:
        """End it, whatever it does."""
        for job in jobs.running():
            kill(job.init)
        self.subject.kill()


def kill(init: int) -> None:
    """End a job by its init, and wait until both have ended."""
    pidfd = os.pidfd_open(init)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert select.select([pidfd], [], [], harness.PATIENCE_S)[0], f"init {init} did not end"
    finally:
        os.close(pidfd)


def send_on(pid: int) -> None:
    """Send a subject on to its end, and wait until it is there."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGUSR1)
        assert select.select([pidfd], [], [], harness.PATIENCE_S)[0], f"pid {pid} did not end"
    finally:
        os.close(pidfd)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Any]:
    """Starts jobs that do not outlive the test."""
    made: list[Job] = []

    def start(source: str, language: str = "python") -> Job:
        made.append(Job(tmp_path, source, language))
        return made[-1]

    try:
        yield start
    finally:
        for one in made:
            one.kill()


# --- what a job is started with

LOOK = """
import ctypes, json, os, resource, signal, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "argv": sys.argv, "cwd": os.getcwd(), "umask": os.umask(0), "environ": sorted(os.environ.items()),
    "fds": sorted(os.listdir("/proc/self/fd")), "ids": [os.getresuid(), os.getresgid()], "nice": os.nice(0), "stat": os.stat("/").st_ino,
    "limits": [resource.getrlimit(n) for n in range(16)],
    **{key: status[key] for key in ("SigIgn", "SigBlk", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Threads")},
}))
"""


def test_a_job_is_started_with_what_its_caller_gave(tmp_path: Path) -> None:
    def prepare() -> None:
        os.umask(0o027)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGCHLD})

    words = [sys.executable, "-S", "-E", "-c", LOOK, "a b", ""]
    seen = []
    with open(tmp_path / "extra", "wb") as extra:
        for by in ([], [HOLDFAST, "run", "--"], [HOLDFAST, "run", "--host", "--"]):
            done = subprocess.run(
                [*by, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                preexec_fn=prepare,
                pass_fds=[extra.fileno()],
                cwd=tmp_path,
                timeout=harness.PATIENCE_S,
            )
            assert done.returncode == 0, done.stderr
            seen.append(json.loads(done.stdout))
    assert seen[1] == seen[0]
    assert seen[2] == seen[0]


def test_a_job_is_alone_with_its_init() -> None:
    done = run("sh", "-c", "echo $$ $PPID; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'; readlink /proc/1/fd/0 || echo none")
    own, name, count, first = done.stdout.splitlines()
    assert (own, name, int(count) <= 4, first) == ("2 1", "holdfast-init", True, "none")


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("true", 0)])
def test_a_job_ends_the_command_as_it_ends(script: str, code: int) -> None:
    assert run("sh", "-c", script).returncode == code
    assert subprocess.run([HOLDFAST, "run", "--host", "--", "sh", "-c", script]).returncode == code


def test_a_script_without_a_first_line_is_run_by_the_shell(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("echo $1\n")
    (tmp_path / "script").chmod(0o755)
    assert run(str(tmp_path / "script"), "word").stdout == "word\n"


@pytest.mark.parametrize("words", [["no-such-command"], ["/etc/passwd"], ["/"], ["/nowhere/x"]])
def test_what_cannot_be_started_is_said(words: list[str]) -> None:
    for way in ([], ["--host"]):
        done = holdfast("run", *way, "--", *words, code=2)
        assert done.stderr.startswith("usage.command: ")


def test_a_name_is_given_once(job: Any) -> None:
    job("pause()")
    done = holdfast("run", "--name", "job", "--", "true", code=2)
    assert done.stderr.startswith("usage.name: a job called job runs")


# --- the init

ORPHAN = """
read, write = os.pipe()
gate, open_gate = os.pipe()
child = os.fork()
if child == 0:
    inner = os.fork()
    if inner == 0:
        os.read(gate, 1)
        os._exit(3)
    os.write(write, inner.to_bytes(4, "little"))
    os._exit(0)
inner = int.from_bytes(os.read(read, 4), "little")
os.waitpid(child, 0)
with open(f"/proc/{inner}/stat") as f:
    say(f.read().rpartition(")")[2].split()[1])
pidfd = os.pidfd_open(inner)
os.write(open_gate, b"x")
select.select([pidfd], [], [])
while os.path.exists(f"/proc/{inner}"):
    os.sched_yield()
say("reaped")
ready()
wait()
"""


def test_orphans_go_to_the_init_and_are_reaped(job: Any) -> None:
    assert job(ORPHAN).end() == ["1", "reaped"]


def test_what_a_job_left_running_ends_with_it() -> None:
    read, write = os.pipe()
    done = subprocess.run(
        [HOLDFAST, "run", "--", "sh", "-c", "sleep 1000 & exit 4"], stdin=subprocess.DEVNULL, pass_fds=[write], timeout=harness.PATIENCE_S
    )
    os.close(write)
    assert done.returncode == 4
    assert select.select([read], [], [], harness.PATIENCE_S)[0]
    assert os.read(read, 1) == b""
    os.close(read)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH]
)
def test_a_signal_reaches_the_job_once(job: Any, number: signal.Signals) -> None:
    made = job(f"""
        signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}, signal.SIGALRM])
        ready()
        say(signal.sigwait([{int(number)}]))
        say(signal.sigtimedwait([{int(number)}], 0) is None)
        ready()
        wait()
        """)
    waiting = os.open(made.subject.folder / "ready", os.O_RDONLY | os.O_NONBLOCK)
    made.subject.process.send_signal(number)
    harness.until_ready(made.subject, waiting)
    os.close(waiting)
    assert made.end() == [int(number), True]


def test_a_job_cannot_signal_its_init(job: Any) -> None:
    made = job("""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(1, signal.SIGTERM)
        try:
            os.kill(1, signal.SIGKILL)
        except PermissionError:
            pass
        say(signal.sigtimedwait([signal.SIGTERM], 0) is None)
        pause()
        """)
    assert made.end() == [True]


def test_a_key_on_the_terminal_reaches_the_job_once() -> None:
    parent, child = pty.openpty()
    program = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "print('there', flush=True)\n"
        "signal.sigwait([signal.SIGINT])\n"
        "print('once' if signal.sigtimedwait([signal.SIGINT], 0) is None else 'twice', flush=True)\n"
    )

    def on_terminal() -> None:
        import fcntl  # in the child only

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [HOLDFAST, "run", "--", sys.executable, "-S", "-c", program],
        stdin=child,
        stdout=child,
        stderr=child,
        preexec_fn=on_terminal,  # noqa: PLW1509 - this process has no thread of ours
    )
    os.close(child)
    seen = b""
    pressed = False
    try:
        while True:
            try:
                seen += os.read(parent, 100)
            except OSError:
                break  # EIO: nobody has the terminal any more
            if b"there" in seen and not pressed:
                os.write(parent, b"\x03")
                pressed = True
        assert (process.wait(harness.PATIENCE_S), b"once" in seen) == (0, True), seen
    finally:
        process.kill()
        process.wait()
        os.close(parent)


# --- saved and brought back

THREADS = """
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counts[8];
static void *work(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		counts[(long)arg]++;
		pthread_mutex_unlock(&lock);
		usleep(500);
	}
	return NULL;
}
static void subject(void)
{
	pthread_t made;
	pid_t tid = gettid(), pid = getpid();
	for (long i = 0; i < 8; i++)
		pthread_create(&made, NULL, work, (void *)i);
	for (int round = 0; round < ROUNDS; round++) {
		pause_here();
		long now[8];
		memcpy(now, counts, sizeof now);
		for (int i = 0; i < 8; i++)
			while (*(volatile long *)&counts[i] == now[i])
				usleep(100);
		say("[%d, %d, %d]", round, getpid() == pid, gettid() == tid);
	}
	pause_here();
}
""".replace("ROUNDS", str(ROUNDS))

PROCESSES = f"""
import multiprocessing, threading
counts = [0, 0]
def count(i):
    while True:
        counts[i] += 1
        time.sleep(0.001)
for i in range(2):
    threading.Thread(target=count, args=(i,), daemon=True).start()
def square(asked, answered):
    while (n := asked.get()) is not None:
        answered.put((n * n, os.getpid()))
context = multiprocessing.get_context("fork")
asked, answered = context.Queue(), context.Queue()
workers = [context.Process(target=square, args=(asked, answered)) for _ in range(3)]
for w in workers:
    w.start()
for n in range({ROUNDS}):
    ready(); wait()
    before = list(counts)
    asked.put(n)
    say(answered.get()[0])
    while any(a == b for a, b in zip(before, counts)):
        time.sleep(0.001)
for w in workers:
    asked.put(None)
for w in workers:
    w.join()
    say(w.exitcode)
ready(); wait()
"""


@pytest.mark.parametrize("language", [pytest.param("c", marks=pytest.mark.tool("gcc")), "python"])
def test_a_job_goes_on_ten_times_from_its_own_restored_self(job: Any, language: str) -> None:
    made = job(THREADS if language == "c" else PROCESSES, language)
    for _ in range(ROUNDS):
        made.dump()
        made.restore()
        made.go()
    said = made.end()
    assert said == ([[n, 1, 1] for n in range(ROUNDS)] if language == "c" else [n * n for n in range(ROUNDS)] + [0, 0, 0])


def test_the_first_command_ends_when_its_job_was_saved(job: Any) -> None:
    made = job("pause()")
    made.dump()
    assert made.subject.process.wait(harness.PATIENCE_S) == 128 + signal.SIGKILL
    assert jobs.running() == []


def test_a_job_left_running_and_its_restored_self_run_at_once_with_the_same_pids(job: Any) -> None:
    made = job("""
        part = os.urandom(1 << 20)
        memory = bytearray(part * 24)
        pause()
        say(memory == part * 24)
        say(os.getpid())
        """)
    said = made.dump("--leave-running")
    assert (said["left_running"], said["how"]) == (True, "twin")
    again = json.loads(holdfast("restore", made.image, "--detach", "--json").stdout)
    assert again["warnings"] == [f"the job has no name: a job called job runs: pid {made.pid}"]
    assert made.end() == [True, 2]
    (made.subject.folder / "said").unlink()
    send_on(again["pid"])
    assert made.subject.said == [True, 2]


def test_restore_stays_as_the_parent_and_ends_as_the_job_ends(job: Any) -> None:
    made = job("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\nready()\nsay(signal.sigwait([signal.SIGTERM]))\nos._exit(9)")
    made.dump()
    process = subprocess.Popen([HOLDFAST, "restore", made.image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"OK pid")
    process.send_signal(signal.SIGTERM)
    assert process.wait(harness.PATIENCE_S) == 9
    process.stdout.close()


@pytest.mark.tool("redis-server")
def test_redis_goes_on_ten_times(tmp_path: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, open(tmp_path / "log", "wb") as log:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(harness.PATIENCE_S)
        first = subprocess.Popen(
            [HOLDFAST, "run", "--name", "job", "--", "redis-server", "--port", str(port), "--save", "", "--supervised", "systemd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "PATH": f"{os.environ['PATH']}:/usr/bin"},
        )
        try:
            while b"READY=1" not in told.recv(1 << 12):
                pass
            assert ask(port, "SET", "name", "value") == "+OK"
            for n in range(ROUNDS):
                image = tmp_path / f"image{n}"
                holdfast("dump", "job", "-o", image)
                first.wait(harness.PATIENCE_S)
                holdfast("restore", image, "--detach")
                assert ask(port, "INCR", "n") == f":{n + 1}"
                assert ask(port, "GET", "name") == "value"
        finally:
            first.kill()
            first.wait()
            for one in jobs.running():
                kill(one.init)


def ask(port: int, *words: str) -> str:
    """The last line of an answer of redis; the connection is closed on both sides when this returns."""
    with socket.create_connection(("127.0.0.1", port), timeout=harness.PATIENCE_S) as s:
        s.sendall((" ".join(words) + "\r\nQUIT\r\n").encode())
        answer = b""
        while part := s.recv(1 << 12):
            answer += part
    *lines, quit_answer = answer.decode().splitlines()
    assert quit_answer == "+OK"
    return lines[-1]


# --- what its init adopted

# a process whose parent has ended: `how` runs in it; the subject knows its pid, and when it is there
ADOPTED = """
def orphan(how):
    line, far = os.pipe()
    middle = os.fork()
    if middle == 0:
        how(far)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(far)
    pid = int(os.read(line, 20))
    os.close(line)
    while int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]) != 1:
        os.sched_yield()
    return pid

def serve(far):
    # counts how often it is asked, by SIGUSR2 from its init's other child, and says it in a file
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.write(far, b"%d" % os.getpid())
    os.close(far)
    count = 0
    while True:
        signal.sigwait([signal.SIGUSR2])
        count += 1
        with open(f"count.{os.getpid()}.{count}", "w") as f:
            f.write(f"{os.getppid()} {os.getsid(0)} {os.getpgrp()}")

def ask(pid, count):
    os.kill(pid, signal.SIGUSR2)
    name = f"count.{pid}.{count}"
    while not os.path.exists(name) or not os.path.getsize(name):
        os.sched_yield()
    return [int(n) for n in open(name).read().split()]
"""
PLAIN = """
def how(far):
    if os.fork() == 0:
        serve(far)
"""
DAEMON = """
def how(far):
    # as daemon(7) says: the session's leader ends
    os.setsid()
    if os.fork() == 0:
        serve(far)
"""
LEADER = """
def how(far):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                signal.pause()
        serve(far)
"""
GROUP = """
def how(far):
    # a group of the job's session whose leader has ended
    os.setpgid(0, 0)
    if os.fork() == 0:
        serve(far)
"""


@pytest.mark.parametrize("how", [PLAIN, DAEMON, LEADER, GROUP], ids=["plain", "daemon", "leader", "group"])
def test_what_the_init_adopted_comes_back_to_it(job: Any, how: str) -> None:
    made = job(
        ADOPTED
        + how
        + """
pid = orphan(how)
before = ask(pid, 1)
ready()
wait()
again = ask(pid, 2)
ready()
wait()
third = ask(pid, 3)
say([before[0], before == again == third, pid in before[1:]])
"""
    )
    said = made.dump()
    assert len(said["pids"]) == (3 if how is LEADER else 2)
    assert said["refusals"] == []
    made.restore()
    made.go()
    made.dump()
    made.restore()
    assert made.end() == [[1, True, how is LEADER]]


def test_two_daemons_of_one_session_come_back_to_it(job: Any) -> None:
    made = job(
        ADOPTED
        + """
def how(far):
    os.setsid()
    if os.fork() == 0:
        serve(far)
    second, ended = os.pipe()
    if os.fork() == 0:
        os.setpgid(0, 0)
        with open("second", "w") as f:
            f.write(str(os.getpid()))
        serve(os.open("/dev/null", os.O_WRONLY))
    while not os.path.exists("second") or not os.path.getsize("second"):
        os.sched_yield()
first = orphan(how)
second = int(open("second").read())
before = [ask(first, 1), ask(second, 1)]
ready()
wait()
say([before == [ask(first, 2), ask(second, 2)], before[0][1] == before[1][1], before[1][2] == second])
"""
    )
    assert len(made.dump()["pids"]) == 3
    made.restore()
    assert made.end() == [[True, True, True]]


# --- refused, and failing cleanly


def test_another_users_process_is_refused_by_name(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("machine cannot: root may trace every process; .ci/run runs this as an ordinary user")
    done = holdfast("dump", "1", "-o", tmp_path / "image", code=10)
    assert "refused.task.ptrace" in done.stderr + done.stdout
    assert not (tmp_path / "image").exists()


CLEAN = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
print(code)
"""


@pytest.mark.parametrize("how", ["raise", "kill"])
@pytest.mark.parametrize("point", ["stub", "born", "cleared", "filled", "rounds", "registers", "verified"])
def test_a_restore_that_fails_leaves_nothing(job: Any, point: str, how: str) -> None:
    made = job("if os.fork() == 0:\n    signal.pause()\npause()\nsay(1)")
    made.dump()
    done = subprocess.run(
        [sys.executable, "-S", "-c", CLEAN, HOLDFAST, "restore", str(made.image), "--detach"],
        env={**os.environ, "HOLDFAST_FAULT": f"restore.{point}:{how}"},
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE_S,  # a process that was left would be waited for in vain
    )
    assert done.stdout == ("70\n" if how == "raise" else "-9\n"), done.stderr
    assert jobs.running() == []
    made.restore()
    assert made.end() == [1]
