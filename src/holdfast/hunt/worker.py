"""One process that runs rounds in a sandbox, and the handle that a campaign has on it.

The process is a fresh interpreter: it shares no memory, no threads and no descriptors with the campaign but one socket, on which both
sides talk in lines of JSON. It becomes the keeper of a sandbox (hunt/sandbox.py); what talks is the inhabitant. Whatever happens to
a round, to the engine or to the worker, ends here: with a Round that says so, and a worker that can be thrown away.

    to it    {"do": [engine, recipe]}          {"list": glob}
    from it  {"ready": [missing limits]}       {"round": ...}, {"recipe": ...} ... {"end": count}, {"raised": traceback}, {"cannot": ...}
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
import traceback
from importlib import import_module

from holdfast.errors import FAMILIES, HoldfastError, InternalError
from holdfast.hunt import cgroup, place, sandbox
from holdfast.hunt.deny import denied, refusal
from holdfast.hunt.recipe import parse
from holdfast.hunt.store import round_of, told
from holdfast.kernel import cache
from holdfast.kernel.uapi.syscalls import X86_64
from holdfast.model.record import Record
from holdfast.tracee import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from holdfast.hunt.recipe import Recipe
    from holdfast.hunt.verdict import Round
    from holdfast.prog.text import Line

FOLDER = "/tmp/rounds"  # in the sandbox: its own, in memory
LEAVINGS = ("/tmp", "/dev/shm", "/dev/mqueue")
MAX_LINE = 16 << 20
START_S = 60.0  # until it is ready: an interpreter, a sandbox, the engines' own preparations
END_S = 20.0  # until everything inside is dead; only what the kernel does not let go takes longer
ROUNDS = "holdfast.hunt.rounds:Rounds"
TABLES = "holdfast.hunt.worker:tables"


class Crew(Record):
    """What a worker is started with.

    Shape:   `rounds`: who runs rounds, `module:name`, called with an engine, a folder, and
             whether the kernel's structs can be read; `tables`: who lists recipes, `module:name`
    """

    how: sandbox.Sandbox = sandbox.Sandbox()
    rounds: str = ROUNDS
    tables: str = TABLES


def crew_for(engines: tuple[str, ...], user: bool = False) -> Crew:
    """What the workers of a campaign are started with: what an engine needs to be found is kept in sight."""
    paths = [e.partition(":")[2].split()[0] for e in engines if ":" in e and e.partition(":")[2].strip()]
    keep = [_near(p) for p in paths if os.path.isabs(p)]
    clocks = any(e.startswith("criu") for e in engines)
    return Crew(sandbox.Sandbox(user=user, keep=tuple(keep), writable=(cache.folder(),), clocks=clocks))


# A program may need what lies beside it; a folder of everybody's is not beside it.
def _near(path: str) -> str:
    folder = os.path.dirname(os.path.abspath(path))
    return path if folder in ("/", "/tmp", "/run", "/var/tmp") else folder


def readable(fd: int, seconds: float) -> bool:
    """Whether a descriptor of any number has something to read, or has ended, within a time; select(2) ends at 1,023."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


class Died(Exception):
    """The worker is gone or cannot be used any more; says what is known."""


class Worker:
    """A handle on a worker; `fileno` is readable when it has said something or has ended."""

    def __init__(self, crew: Crew) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        held, self._lifeline = os.pipe()
        self._log = os.memfd_create("worker", os.MFD_CLOEXEC)
        order = json.dumps(
            {"how": dict(crew.how.items()), "rounds": crew.rounds, "tables": crew.tables, "said": its.fileno(), "held": held}
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from holdfast.hunt.worker import main; main()", order],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=(its.fileno(), held),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        its.close()
        os.close(held)
        self._socket, self._buffer = ours, b""
        self._init = -1
        self.missing: tuple[str, ...] = ()

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    @property
    def pid(self) -> int:
        """The keeper, as we see it."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until it can be given rounds.

        Raises:  kernel_lacks.sandbox: no sandbox can be built here; Died: it ended instead
        """
        self.missing = tuple(self.answer(START_S)["ready"])

    def send(self, message: dict[str, Any]) -> None:
        """Say something to it; a worker that is gone is noticed by the next answer."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return

    def answer(self, seconds: float) -> dict[str, Any]:
        """The next thing it says.

        Raises:  Died: it says nothing more, or nothing within the time; kernel_lacks.sandbox; the error that it told
        """
        ends = time.monotonic() + seconds
        while (message := self.heard()) is None:
            if not readable(self._socket.fileno(), ends - time.monotonic()):
                raise Died(f"no answer within {seconds:g} s")
        return message

    def heard(self) -> dict[str, Any] | None:
        """What it has said, if that is a whole line; call it when `fileno` is readable.

        Raises:  Died, and as answer()
        """
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            if not readable(self._socket.fileno(), 0.0):
                return None
            try:
                got = self._socket.recv(1 << 20)
            except OSError:
                got = b""
            if not got or len(self._buffer) > MAX_LINE:
                raise Died(self.last_words())
            self._buffer += got
            line, end, rest = self._buffer.partition(b"\n")
            if not end:
                return None
        self._buffer = rest
        message: dict[str, Any] = json.loads(line)
        if "ready" in message:
            self._watch_init()
        if "cannot" in message:
            raise sandbox.lacks(message)
        if "error" in message:
            raise error_of(message["error"])
        if "raised" in message:
            raise Died(message["raised"])
        return message

    # The init outlives a keeper that somebody killed by a moment: end() waits for it too.
    def _watch_init(self) -> None:
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as f:
                self._init = os.pidfd_open(int(f.read().split()[0]))
        except (OSError, IndexError):
            self._init = -1  # it is gone already, or the kernel has no such file (CONFIG_PROC_CHILDREN)

    def last_words(self) -> str:
        """How it ended, as far as that is known: waits for the end."""
        code = self.end()
        size = os.fstat(self._log).st_size if self._log >= 0 else 0
        words = os.pread(self._log, 1500, max(0, size - 1500)).decode(errors="replace").strip() if size else ""
        how = "the worker could not be ended" if code is None else f"the worker ended with {code}" + (", killed" if code > 128 else "")
        return f"{how}; {words}" if words else how

    def end(self) -> int | None:
        """End it and everything that it started; its exit code, None if the kernel does not let something go."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return None
        if self._init >= 0 and not readable(self._init, END_S):
            return None
        cgroup.forget(self._process.pid)
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """End it, and give back its descriptors."""
        if self.end() is None:
            self._process.returncode = -9  # given up: what hangs in the kernel is not waited for
        self._socket.close()
        for fd in (self._log, self._init):
            if fd >= 0:
                os.close(fd)
        self._log = self._init = -1


def main() -> None:
    """The worker's process: the keeper of its own sandbox; never returns."""
    order = json.loads(sys.argv[1])
    how = sandbox.Sandbox(**{**order["how"], "keep": tuple(order["how"]["keep"]), "writable": tuple(order["how"]["writable"])})
    for fd in (order["said"], order["held"]):
        os.set_inheritable(fd, False)
    line = socket.socket(fileno=order["said"])
    os._exit(
        sandbox.inhabit(
            how, lambda missing: _serve(line, missing, order["rounds"], order["tables"], not how.user), order["held"], order["said"]
        )
    )


def _named(text: str) -> Any:
    module, _, name = text.partition(":")
    return getattr(import_module(module), name)


# In a user namespace nobody may read the kernel's memory: that oracle is then left out.
def _serve(line: socket.socket, missing: Sequence[str], rounds: str, tables: str, kernel_state: bool) -> None:
    runners: dict[str, Any] = {}
    os.makedirs(FOLDER, exist_ok=True)
    sandbox.adopt_orphans()

    def say(message: dict[str, Any]) -> None:
        line.sendall(json.dumps(message).encode() + b"\n")

    say({"ready": list(missing)})
    there = {folder: frozenset(_entries(folder)) for folder in LEAVINGS}
    with line.makefile("rb") as orders:
        for order in map(json.loads, orders):
            try:
                if "list" in order:
                    found = list(_named(tables)(order["list"]))
                    for recipe in found:
                        say({"recipe": recipe.text()})
                    say({"end": len(found)})
                    continue
                engine, text = order["do"]
                recipe = parse(text)
                why = denied(recipe)
                if why:
                    raise _CannotWork(refusal(recipe, why).parts())
                if engine not in runners:
                    folder = f"{FOLDER}/{len(runners)}"
                    os.mkdir(folder)
                    runners[engine] = _runner(_named(rounds), engine, folder, kernel_state)
                round_ = runners[engine].run(recipe)
                tidy(there)
                say({"round": told(round_)})
            except _CannotWork as error:
                say({"error": error.args[0]})
            except HoldfastError as error:
                if "list" in order:
                    say({"error": error.parts()})
                else:
                    say({"raised": str(error)})
                    return
            except Exception:  # noqa: BLE001 - told to the campaign, which throws this worker away
                say({"raised": traceback.format_exc()})
                return
    for runner in runners.values():
        runner.close()


def _runner(factory: Any, engine: str, folder: str, kernel_state: bool) -> Any:
    from holdfast.hunt.engines.registry import engine_of  # here, after the sandbox is built: an engine may look around

    try:
        return factory(engine_of(engine), folder, kernel_state)
    except HoldfastError as error:
        raise _CannotWork(error.parts()) from error


class _CannotWork(Exception):
    # no round can be run here, whichever it is: the campaign ends
    pass


def error_of(parts: dict[str, str]) -> HoldfastError:
    """The error that was told by its parts."""
    family, _, code = parts["code"].partition(".")
    cls = next((f for f in FAMILIES if f.family == family), InternalError)
    return cls(code, parts["what"], where=parts["where"], why=parts["why"], do=parts["do"])


def _entries(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def tidy(there: Mapping[str, frozenset[str]]) -> None:
    """Remove what rounds leave behind that outlives processes: files in the sandbox's own folders, and SysV IPC objects.

    Shape:   `there`: folders, and what is to stay in them
    """
    for folder, stays in there.items():
        for name in _entries(folder):
            path = f"{folder}/{name}"
            if name in stays or path == place.FOLDER or os.path.ismount(path):
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
                continue
            try:
                os.unlink(path)
            except PermissionError:
                continue  # a file that a recipe made immutable dies with the sandbox
    for kind, remove in (("shm", "shmctl"), ("sem", "semctl"), ("msg", "msgctl")):
        try:
            with open(f"/proc/sysvipc/{kind}", encoding="ascii") as f:
                rows = f.read().splitlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without them
        for row in rows:
            ptrace.syscall(X86_64[remove], int(row.split()[1]), 0, 0)  # IPC_RMID, and the index that semctl wants, are 0


def result(message: dict[str, Any]) -> Round:
    """The round that a worker's answer holds."""
    return round_of(message["round"])


def tables(only: Sequence[str]) -> Iterable[Recipe]:
    """Every recipe of every interface table that one of the words asks for; all where there is no word."""
    from holdfast.hunt.interfaces import harvest, registry  # a worker that only runs rounds has no use for the tables

    asker = Asker(f"{FOLDER}/subject", os.path.join(cache.folder("asked"), f"{_here()}.json"))
    try:
        return registry.all_recipes(harvest.load(), asker, only)
    finally:
        asker.close()


# What answers hang on: this boot with its parameters, and the user and capabilities of a subject.
def _here() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        boot = f.read().strip()
    with open("/proc/self/status", encoding="ascii", errors="replace") as f:
        able = next(line.split()[1] for line in f if line.startswith("CapEff:"))
    with open("/proc/self/uid_map", encoding="ascii") as f:
        return f"{boot}-{able}-{'.'.join(f.read().split())}"


class Asker:
    """Answers what tables ask: runs lines and then a getter in a fresh subject; each question once.

    Shape:   `kept` is a file that answers are taken from, and put into by close()
    """

    def __init__(self, program: str, kept: str = "") -> None:
        self._program, self._kept = program, kept
        self._answers: dict[str, bytes | int | None] = {}
        if kept and os.path.exists(kept):
            with open(kept, encoding="utf-8") as f:
                self._answers = {k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in json.load(f).items()}
        self._known = len(self._answers)

    def __call__(self, lines: Sequence[Line], getter: Line) -> bytes | int | None:
        """What the getter wrote, or its result where it writes nothing; None where a line fails."""
        key = "\n".join(map(str, (*lines, getter)))
        if key not in self._answers:
            self._answers[key] = self._ask((*lines, getter))
        return self._answers[key]

    def _ask(self, lines: Sequence[Line]) -> bytes | int | None:
        from holdfast.hunt.subject import Subject, end_tree  # a worker that only runs rounds asks nothing

        subject = Subject.start(self._program)
        answer: bytes | int | None = None
        try:
            for line in lines:
                seen = subject.run((line,))[0]
                if seen.error:
                    return None
                answer = seen.data[0] if seen.data else seen.result
        except HoldfastError:
            return None  # it died, or hangs
        finally:
            end_tree(subject.pid)
        return answer

    def close(self) -> None:
        """Keep the answers."""
        if self._kept and len(self._answers) > self._known:
            plain = {k: v.hex() if isinstance(v, bytes) else v for k, v in self._answers.items()}
            cache.write(self._kept, json.dumps(plain).encode())
