"""A tree that notices whatever a dump does to it, and what can be seen of it from outside.

Thirteen threads compute, read clocks and wait in every way that a stop could disturb; each counts its rounds in memory that the test
reads, and counts as an error whatever it should not see: EINTR, a signal, a wrong number. A child feeds a pipe, another is
stopped. Signals are pending and blocked, SIGTRAP is ignored, and the signals that are ignored by default have handlers.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from typing import TYPE_CHECKING

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = r"""
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

enum { SPIN, CLOCK, SLEEP, POLL, FUTEX, EPOLL, READ, TICK, COND, TOGGLE, ALLOC, PING, MODES };
struct page { volatile unsigned long rounds[16], errors, error[4], children[2], ended; };
static struct page *page;
static volatile int over, word;
static int event, set, lines[2], quiet[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned long computed, sums, ponged;

static void wrong(int what, long detail)
{
	if (!__atomic_fetch_add(&page->errors, 1, __ATOMIC_SEQ_CST)) {
		page->error[0] = what;
		page->error[1] = detail;
		page->error[2] = errno;
	}
}

/* a wait that was ended with EINTR although no handler ran: what a stop does to some calls, signal(7) */
static void ended(int what)
{
	if (errno == EINTR)
		__atomic_fetch_add(&page->ended, 1, __ATOMIC_SEQ_CST);
	else
		wrong(what, errno);
}

static void on_signal(int number)
{
	wrong(100, number);
}

static unsigned long next(unsigned long x)
{
	return x * 6364136223846793005UL + 1442695040888963407UL;
}

/* the x after n steps, by squaring */
static unsigned long after(unsigned long x, unsigned long n)
{
	unsigned long a = 6364136223846793005UL, c = 1442695040888963407UL;
	for (; n; n >>= 1) {
		if (n & 1)
			x = x * a + c;
		c *= a + 1;
		a *= a;
	}
	return x;
}

static void rest(void)
{
	if (nanosleep(&(struct timespec){0, 500000}, NULL))
		wrong(101, errno);
}

static void *work(void *arg)
{
	long mode = (long)arg;
	unsigned long x = 1, expected = 0;
	struct timespec last = {0}, now, nap = {0, 300000};
	struct epoll_event got;
	sigset_t tick;
	sigemptyset(&tick);
	sigaddset(&tick, SIGRTMIN + 1);
	char name[16];
	snprintf(name, sizeof name, "mode%ld", mode);
	pthread_setname_np(pthread_self(), name);
	while (over < (mode == PING ? 2 : 1)) {
		switch (mode) {
		case SPIN:
			for (int i = 0; i < 1000; i++)
				x = next(x);
			computed++;
			sums = x;
			if (computed % 300 == 0)
				rest();
			break;
		case CLOCK:
			for (int i = 0; i < 1000; i++) {
				if (clock_gettime(CLOCK_MONOTONIC, &now))
					wrong(mode, 1);
				if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec))
					wrong(mode, 2);
				last = now;
			}
			if (page->rounds[CLOCK] % 20 == 0)
				rest();
			break;
		case SLEEP:
			if (nanosleep(&nap, NULL))
				wrong(mode, 1);
			break;
		case POLL: {
			struct pollfd one = {quiet[0], POLLIN, 0};
			int n = poll(&one, 1, 2);
			if (n)
				wrong(mode, n);
			break;
		}
		case FUTEX: {
			int seen = word;
			long n = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
			if (n < 0 && errno != EAGAIN)
				wrong(mode, errno);
			break;
		}
		case EPOLL: {
			unsigned long value;
			int n = epoll_wait(set, &got, 1, -1);
			if (n != 1)
				ended(mode);
			else if (read(event, &value, 8) == 8)
				ponged += value;
			else
				wrong(mode, 1000);
			break;
		}
		case READ: {
			unsigned long value;
			if (read(lines[0], &value, 8) != 8 || value != expected++)
				wrong(mode, value);
			break;
		}
		case TICK: {
			siginfo_t info;
			int n = sigwaitinfo(&tick, &info);
			if (n != SIGRTMIN + 1 || info.si_code != SI_TIMER)
				ended(mode);
			break;
		}
		case COND:
			pthread_mutex_lock(&lock);
			pthread_cond_wait(&cond, &lock);
			pthread_mutex_unlock(&lock);
			break;
		case TOGGLE: {
			/* opens and closes, so that what we open there has neighbours */
			int fd = open("/dev/null", O_RDONLY);
			if (fd < 0 || fcntl(fd, F_GETFD) != 0 || close(fd))
				wrong(mode, fd);
			if (page->rounds[TOGGLE] % 100 == 0)
				rest();
			break;
		}
		case ALLOC: {
			char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (p == MAP_FAILED || p[4096] || (p[4096] = 1) != 1 || munmap(p, 65536))
				wrong(mode, 1);
			if (page->rounds[ALLOC] % 100 == 0)
				rest();
			break;
		}
		case PING:
			nanosleep(&nap, NULL);
			word++;
			syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0);
			if (write(event, &(unsigned long){1}, 8) != 8)
				wrong(mode, 1);
			pthread_mutex_lock(&lock);
			pthread_cond_broadcast(&cond);
			pthread_mutex_unlock(&lock);
			break;
		}
		page->rounds[mode]++;
	}
	return NULL;
}

static void subject(void)
{
	pthread_t threads[MODES];
	int fd = open("progress", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, 4096))
		abort();
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	pipe(lines);
	pipe(quiet);
	event = eventfd(0, 0);
	set = epoll_create1(0);
	struct epoll_event in = {EPOLLIN, {.u64 = 7}};
	epoll_ctl(set, EPOLL_CTL_ADD, event, &in);
	pid_t feeder = fork();
	if (!feeder) {
		close(lines[0]);
		for (unsigned long i = 0; write(lines[1], &i, 8) == 8; i++)
			nanosleep(&(struct timespec){0, 300000}, NULL);
		_exit(5);
	}
	pid_t stopped = fork();
	if (!stopped) {
		close(lines[0]);
		close(lines[1]);
		raise(SIGSTOP);
		_exit(6);
	}
	close(lines[1]);
	page->children[0] = feeder;
	page->children[1] = stopped;
	waitpid(stopped, NULL, WUNTRACED);
	signal(SIGTRAP, SIG_IGN);
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	for (int i = 1; i < 32; i++)
		if (i != SIGKILL && i != SIGSTOP && i != SIGTRAP && i != SIGSEGV && i != SIGBUS && i != SIGILL && i != SIGABRT && i != SIGTERM)
			sigaction(i, &action, NULL);
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGRTMIN + 1);
	sigaddset(&blocked, SIGRTMIN + 5);
	sigaddset(&blocked, SIGTRAP);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	for (int i = 0; i < 3; i++)
		sigqueue(getpid(), SIGRTMIN + 5, (union sigval){.sival_int = i});
	pthread_kill(pthread_self(), SIGRTMIN + 5);
	timer_t timer;
	struct sigevent when = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	timer_create(CLOCK_MONOTONIC, &when, &timer);
	struct itimerspec every = {{0, 2000000}, {0, 2000000}};
	timer_settime(timer, 0, &every, NULL);
	char *big = NULL;
	if (getenv("VICTIM_BYTES")) {
		/* so much that a dump that leaves us running makes a twin */
		size_t size = atol(getenv("VICTIM_BYTES"));
		big = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(big, 0x5a, size);
	}
	for (long i = 0; i < MODES; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	for (int i = 0; i < MODES; i++)
		while (!page->rounds[i])
			sched_yield();
	ready();
	wait_for_go();
	over = 1;
	for (int i = 0; i < MODES; i++) {
		if (i == PING)
			continue;
		pthread_join(threads[i], NULL);
	}
	over = 2;
	pthread_join(threads[PING], NULL);
	say("{\"errors\": %lu, \"what\": %lu, \"detail\": %ld, \"errno\": %lu}", page->errors, page->error[0], (long)page->error[1],
		page->error[2]);
	say("%d", after(1, computed * 1000) == sums);
	for (int i = 0; i < 4; i++) {
		siginfo_t info;
		struct timespec none = {0, 0};
		sigset_t one;
		sigemptyset(&one);
		sigaddset(&one, SIGRTMIN + 5);
		int n = sigtimedwait(&one, &info, &none);
		say("[%d, %d]", n == SIGRTMIN + 5, i ? info.si_value.sival_int : -1);
	}
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	close(lines[0]);
	int status;
	waitpid(feeder, &status, 0);
	say("%d", status);
	int was = waitpid(stopped, &status, WNOHANG | WUNTRACED);
	kill(stopped, SIGCONT);
	waitpid(stopped, &status, 0);
	say("[%d, %d]", was, status);
}
"""
MODES = 12
# what an undisturbed victim says: no error, the sum right, the thread's own signal first, then the process's in order; its children's ends
SAID = [
    {"errors": 0, "what": 0, "detail": 0, "errno": 0},
    1,
    [1, -1],
    [1, 0],
    [1, 1],
    [1, 2],
    13,  # SIGPIPE
    [0, 6 << 8],
]
TIMER_BIT = 1 << 34  # SIGRTMIN + 1 of glibc is signal 35; it comes and goes
WAITED_FOR = TIMER_BIT | 1 << 9  # not blocked while sigwait(3) waits for them


class Victim:
    """A running victim."""

    def __init__(self, folder: Path, size: int = 0, env: dict[str, str] | None = None) -> None:
        self.subject = harness.start(folder, SOURCE, "c", env={**(env or {}), **({"VICTIM_BYTES": str(size)} if size else {})})
        self.pid = self.subject.pid
        fd = os.open(self.subject.folder / "progress", os.O_RDONLY)
        self._page = mmap.mmap(fd, 4096, prot=mmap.PROT_READ)
        os.close(fd)
        self.pids = [self.pid, *self.words()[21:23]]

    def words(self) -> tuple[int, ...]:
        """Rounds of 16 modes, errors, four words about the first, two children, waits that were ended by a stop."""
        return struct.unpack_from("<24Q", self._page)

    @property
    def rounds(self) -> tuple[int, ...]:
        """How many rounds each thread has done."""
        return self.words()[:MODES]

    @property
    def errors(self) -> tuple[int, ...]:
        """Number of errors; of the first: mode, detail, errno."""
        return self.words()[16:20]

    @property
    def ended(self) -> int:
        """How many endless waits returned EINTR although no handler had run."""
        return self.words()[23]

    def advance(self, rounds: int = 3) -> None:
        """Wait until every thread has done some rounds more."""
        begun = self.rounds
        deadline = time.monotonic() + harness.PATIENCE_S
        while not all(now >= was + rounds for now, was in zip(self.rounds, begun, strict=True)):
            if time.monotonic() > deadline:
                stuck = [i for i, (now, was) in enumerate(zip(self.rounds, begun, strict=True)) if now < was + rounds]
                raise AssertionError(f"threads {stuck} do not go on: {look(self.pids)}")
            os.sched_yield()

    def end(self) -> list[object]:
        """Let it finish; what it said."""
        self._page.close()
        self.subject.go()
        self.subject.end()
        return self.subject.said

    def kill(self) -> None:
        """End it and its children."""
        if self.subject.process.poll() is None:
            for pid in self.pids[1:]:
                os.kill(pid, 9)
        self.subject.kill()


def look(pids: list[int]) -> dict[str, object]:
    """What /proc says of processes, but for what moves by itself."""
    out: dict[str, object] = {}
    for pid in pids:
        out[f"{pid} maps"] = _maps(pid)
        out[f"{pid} fds"] = _descriptors(pid)
        for tid in sorted(map(int, os.listdir(f"/proc/{pid}/task"))):
            out[f"{pid}/{tid}"] = _status(f"/proc/{pid}/task/{tid}")
    return out


def changes(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """What differs between two looks, for a person."""
    out = []
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            out += [f"{key} {k}: {was.get(k)} -> {now.get(k)}" for k in {*was, *now} if was.get(k) != now.get(k)]
        elif isinstance(was, list) and isinstance(now, list):
            out += [f"{key} gone: {x}" for x in was if x not in now] + [f"{key} new: {x}" for x in now if x not in was]
        else:
            out.append(f"{key}: {was} -> {now}")
    return out


def _maps(pid: int) -> list[str]:
    # ALLOC's area comes and goes; its permissions are its own, so that it has no neighbour to be merged with
    with open(f"/proc/{pid}/maps") as f:
        lines = [line.split() for line in f]
    areas = []
    for words in lines:
        start, end = (int(x, 16) for x in words[0].split("-"))
        if len(words) == 5 and end - start == 65536 and words[1] == "rwxp":
            continue
        areas.append(" ".join(words))
    return areas


def _descriptors(pid: int) -> dict[int, str]:
    out = {}
    for fd in sorted(map(int, os.listdir(f"/proc/{pid}/fd"))):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if link != "/dev/null" or fd < 3:  # TOGGLE's own
            out[fd] = link
    return out


def _status(folder: str) -> dict[str, object]:
    keys = (
        "State",
        "TracerPid",
        "SigPnd",
        "ShdPnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "Uid",
        "CapEff",
        "Seccomp",
        "Threads",
        "NSsid",
        "NSpgid",
        "PPid",
    )
    with open(f"{folder}/status") as f:
        found = dict(line.rstrip("\n").split(":\t", 1) for line in f)
    out: dict[str, object] = {k: found[k] for k in keys}
    state = found["State"][0]
    out["State"] = "runs" if state in "RSD" else state
    for key in ("SigPnd", "ShdPnd"):
        out[key] = f"{int(found[key], 16) & ~TIMER_BIT:x}"
    out["SigBlk"] = f"{int(found['SigBlk'], 16) | WAITED_FOR:x}"
    return out


def strangers(before: set[int], session_of: int) -> list[int]:
    """Processes that were not there before and have the victim's program: twins."""
    exe = os.readlink(f"/proc/{session_of}/exe")
    out = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in before:
            try:
                if os.readlink(f"/proc/{name}/exe") == exe:
                    out.append(int(name))
            except OSError:
                continue
    return out


def processes() -> set[int]:
    """Every process there is."""
    return {int(n) for n in os.listdir("/proc") if n.isdecimal()}


def wait_for_guards(before: set[int]) -> None:
    """Wait until no guard of a dump is left that was not there before."""
    deadline = time.monotonic() + harness.PATIENCE_S
    while (guard := next((pid for pid in processes() - before if _is_guard(pid)), 0)) != 0:
        try:
            pidfd = os.pidfd_open(guard)
        except ProcessLookupError:
            continue
        try:
            assert harness.ends(pidfd, deadline - time.monotonic()), f"the guard {guard} does not end"
        finally:
            os.close(pidfd)


def _is_guard(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read().split(b"\0")
        with open(f"/proc/{pid}/stat", "rb") as f:
            state = f.read().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in b"ZX" and (words[0] == b"holdfast-guard" or any(b"holdfast.tracee.guard" in w for w in words))
