"""A program with something to lose: memory, threads that count, a child behind a pipe, a log, a timer. `holdfast demo` dumps it.

    python3 program.py FOLDER MIB

It knows nothing of Holdfast. Every 20 ms a timer's signal makes it write one line to its log and one number into the pipe to its child,
which keeps a log of its own. Two threads each extend a chain of digests, which only comes out right if every link was made once
and in order.
On SIGUSR1 it writes down where it got to, what its memory holds, and ends.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading

TICK_S = 0.02
BLOCK = 1 << 20


def block(number: int) -> bytearray:
    """One MiB that follows from its number and looks like noise."""
    return bytearray(hashlib.shake_128(b"block %d" % number).digest(BLOCK))


def link(before: bytes, number: int) -> bytes:
    """The next link of a chain."""
    return hashlib.sha256(b"%s %d" % (before, number)).digest()


def digest(blocks: list[bytearray]) -> str:
    """The digest of all blocks, in order."""
    whole = hashlib.blake2b(digest_size=16)
    for one in blocks:
        whole.update(one)
    return whole.hexdigest()


def child(source: int, path: str) -> None:
    """Log every number that comes through the pipe, until it is closed."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while data := os.read(source, 8):
        os.write(log, b"%d\n" % int.from_bytes(data, "little"))
    os._exit(0)


class Worker(threading.Thread):
    """A thread that extends its chain, and rewrites a block of its own at every link."""

    def __init__(self, number: int) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.state = (0, b"worker %d" % number)  # links made, last link: one value, so that a reader sees both of one moment
        self.memory = bytearray(BLOCK)
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.001):
            count, last = self.state
            last = link(last, count + 1)
            at = count * 32 % BLOCK
            self.memory[at : at + 32] = last
            self.state = (count + 1, last)


def main(folder: str, mib: int) -> int:
    """The whole life of the program."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        child(read, os.path.join(folder, "child.log"))
    os.close(read)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM, signal.SIGUSR1))  # threads inherit it: only sigwait takes them
    log = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    blocks = [block(i) for i in range(mib)]
    os.write(log, f"memory {digest(blocks)}\n".encode())
    workers = [Worker(i) for i in range(2)]
    for worker in workers:
        worker.start()
    signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)
    os.write(log, b"ready\n")
    tick = 0
    while signal.sigwait((signal.SIGALRM, signal.SIGUSR1)) == signal.SIGALRM:
        tick += 1
        os.write(write, tick.to_bytes(8, "little"))
        os.write(log, f"tick {tick} {' '.join(str(w.state[0]) for w in workers)}\n".encode())
    signal.setitimer(signal.ITIMER_REAL, 0)
    for worker in workers:
        worker.stop.set()
        worker.join()
        count, last = worker.state
        os.write(log, f"chain {worker.number} {count} {last.hex()}\n".encode())
    os.write(log, f"memory {digest(blocks)}\n".encode())
    os.close(write)
    _, status = os.waitpid(pid, 0)
    os.write(log, f"end {tick} {status}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
