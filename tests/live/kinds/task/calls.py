"""What subjects of the task kinds have in common: raw system calls, by number."""

from __future__ import annotations

import textwrap

CALLS = """
import threading
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def call(number, *args):
    got = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if got == -1:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return got

def prctl(option, *args):
    return call(157, option, *args, *[0] * (4 - len(args)))

def pid_value(option):
    out = ctypes.c_int()
    prctl(option, ctypes.byref(out))
    return out.value

def status(key, tid=0):
    with open(f"/proc/{os.getpid()}/task/{tid or os.getpid()}/status", "rb") as f:
        return next(n.split(b":", 1)[1].strip().decode("latin-1") for n in f if n.startswith(key.encode() + b":"))

def read(path):
    with open(path, "rb") as f:
        return f.read().decode("latin-1")

def keep_output():
    # for a subject that will no longer find, or no longer be allowed to open, what it speaks through
    global _out, ready
    _out = os.open(_out, os.O_WRONLY | os.O_CREAT, 0o600)
    fifo = os.open(_fifo, os.O_WRONLY)

    def ready():
        os.write(fifo, b"x")
        os.close(fifo)
"""


def with_calls(source: str) -> str:
    """A subject's source with `call`, `prctl`, `pid_value`, `status`, `read` and `keep_output` before it."""
    return CALLS + textwrap.dedent(source)
