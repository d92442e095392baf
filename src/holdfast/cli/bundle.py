"""All modules of one hot command in one file, so that a start reads one file and not 170, and runs them without the import machinery.

Importing the modules of a dump one by one costs 30 ms: looking for each, a lock, a spec, opening, reading. Out of one file it costs
a quarter. The file lies in the package's own __pycache__ and is worth as much trust as the .pyc files there: who may write one may write
the other. Each module in it goes with the size and the time of its source and is used only while they are the same; anything else is
imported as ever. So a stale or missing bundle costs time and nothing else. Which kinds there are is still read from the folders
(kinds/registry.py): a kind that is not in the bundle is not lost.

Two things of a bundle are read only when they are wanted, because most of the code of a command is for what its target does not have:

    a kind      that says by a Link watch what the files that it is about look like, until there is such a file; and so does whatever
                only such kinds import
    a function  that is not small and that no command before has called. Where it would be stands one of a line, `wake`, that
                fetches the code at the first call. A bundle remembers what was called: one that had to fetch much is written anew

Modules of others that a command imports (struct, blake3) are found by a bundle too, and run where they are imported.

Form: 16 bytes of magic and size; that many bytes of marshal: the parts, the modules of others, what was worked out of the parts, and where
the names of what was called are; then what is read late, at places that count from here.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FunctionType
    from typing import Any

    Place = tuple[int, int]  # offset and size among what is read late
    # name, source, its time in ns, its size, code or where it is, what it waits for, what it needs of those that wait; in the order in
    # which the modules finished, so each after those that it imports. It waits for: None, nothing; else the prefixes of its Link
    # watches, empty for one that only others that wait import.
    Part = tuple[str, str, int, int, CodeType | Place, tuple[str, ...] | None, tuple[str, ...]]
    # source or library, its time in ns, its size; code, or None for a library
    Other = tuple[str, int, int, CodeType | None]

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAGIC = b"holdfst5"
MANY = 20  # functions fetched by one command, after which its bundle is written anew
Module = type(sys)

_file = -1  # stays open: what is read late is in it, and another may take its name
_late = 0  # where that begins
_called: Place = (0, 0)
_woken: set[str] = set()


def path(command: str) -> str:
    """Where the bundle of a command lies, for this interpreter."""
    return os.path.join(PACKAGE, "__pycache__", f"{command}.{sys.implementation.cache_tag}.bundle")


def load(command: str) -> dict[str, Part]:
    """Put the modules of a command's bundle in place; those that were used."""
    global _file, _late, _called
    try:
        _file = os.open(path(command), os.O_RDONLY | os.O_CLOEXEC)
        head = os.read(_file, 16)
        if head[:8] != MAGIC:
            return {}
        size = int.from_bytes(head[8:], "little")
        _late = 16 + size
        parts, others, ready, _called = marshal.loads(os.read(_file, size))  # noqa: S302 - trusted as a .pyc is, and no more
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    sys.meta_path.insert(0, _Others(others))
    used: dict[str, Part] = {}
    waiting: dict[str, Part] = {}
    modules = sys.modules
    stat = os.stat
    fresh = True
    for part in parts:
        name, source, changed, size, code, prefixes, needs = part
        if name in modules:
            used[name] = part
            continue
        try:
            now = stat(source)
        except OSError:
            fresh = False
            continue
        if now.st_mtime_ns != changed or now.st_size != size:
            fresh = False
            continue
        if prefixes is not None and all(n in waiting for n in needs):
            waiting[name] = part
            continue
        if not _run(name, source, code):
            return used
        used[name] = part
    if waiting:
        _wait(waiting)
        used.update(waiting)
    if fresh and ready:
        modules["holdfast.image.schema"].__dict__["ready"].update(ready)
    return used


def _run(name: str, source: str, code: CodeType | Place) -> bool:
    modules = sys.modules
    package = source.endswith("__init__.py")
    above, _, last = name.rpartition(".")
    spec = ModuleSpec(name, _LOADER, origin=source, is_package=package)  # type: ignore[arg-type]
    spec.has_location = True
    module = Module(name)
    space = module.__dict__
    space["__spec__"], space["__loader__"], space["__file__"] = spec, _LOADER, source
    if package:
        space["__path__"] = spec.submodule_search_locations = [os.path.dirname(source)]
        space["__package__"] = name
    else:
        space["__package__"] = above
    modules[name] = module
    try:
        exec(_fetch(code) if isinstance(code, tuple) else code, space)  # noqa: S102 - this is what an import is
    except Exception:  # noqa: BLE001 - what it imports was changed: the import proper, which follows, says so in the right place
        del modules[name]
        return False
    parent = modules.get(above)
    if parent is None:  # it is stale, and was not needed until now
        __import__(above)
        parent = modules[above]
    setattr(parent, last, module)
    return True


def _fetch(place: Place) -> Any:
    at, size = place
    return marshal.loads(os.pread(_file, size, _late + at))  # noqa: S302 - trusted as a .pyc is


def _wait(waiting: dict[str, Part]) -> None:
    from holdfast.kinds import registry  # of the bundle, where this is called

    def bring(wanted: list[str]) -> None:
        for name in wanted:
            for each in (*waiting[name][6], name):
                if each not in sys.modules:
                    _run(each, waiting[each][1], waiting[each][4])

    registry.defer({name: part[5] for name, part in waiting.items() if part[5]}, bring)


def wake(module: str, name: str, line: int, at: int, size: int) -> Callable[..., Any]:
    """The function of a module that begins in a line, with its own code from now on.

    Needs:   it is called by the code that stands in its place
    """
    function = pick(sys.modules[module], name, line)
    if function is None:  # somebody has bound the name anew and calls the old function, which the garbage collector knows
        import gc  # as good as never

        stub = sys._getframe(1).f_code
        function = next(f for f in gc.get_referrers(stub) if isinstance(f, _Function) and f.__code__ is stub)
    function.__code__ = _fetch((at, size))
    _woken.add(f"{module}:{name}")
    return function


def pick(owner: object, name: str, line: int) -> FunctionType | None:
    """The function of a module, or of a class in it, that begins in a line; None if there is none.

    Shape:   plain or under staticmethod, classmethod or property
    """
    *classes, last = name.split(".")
    for word in classes:
        owner = owner.__dict__.get(word)
        if owner is None:
            return None
    value = owner.__dict__.get(last)
    for one in (value, *[getattr(value, word, None) for word in ("__func__", "fget", "fset", "fdel")]):
        if isinstance(one, _Function) and one.__code__.co_firstlineno == line:
            return one
    return None


_Function: type[FunctionType] = type(pick)  # type: ignore[assignment]  # types.FunctionType, without types


class _Others:
    # finds modules of others, as long as they are what they were; an entry of sys.meta_path
    def __init__(self, others: dict[str, Other]) -> None:
        self._others = others

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        found = self._others.get(name)
        if found is None:
            return None
        file, changed, size, code = found
        try:
            now = os.stat(file)
        except OSError:
            return None
        if now.st_mtime_ns != changed or now.st_size != size:
            return None
        spec = ModuleSpec(name, _Run(code) if code is not None else ExtensionFileLoader(name, file), origin=file)  # type: ignore[arg-type]
        spec.has_location = True
        if file.endswith("__init__.py"):
            spec.submodule_search_locations = [os.path.dirname(file)]
        return spec


class _Run:
    # the loader of one module whose code is at hand
    def __init__(self, code: CodeType) -> None:
        self._code = code

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: object) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - this is what an import is


class _Loader:
    # what __loader__ is: for tools that ask a module for its source
    @staticmethod
    def get_source(name: str) -> str:
        file = sys.modules[name].__file__
        assert file is not None
        with open(file, encoding="utf-8") as source:
            return source.read()


_LOADER = _Loader()


def renew(command: str, used: dict[str, Part]) -> None:
    """Write the bundle of a command anew if modules of ours were imported that it did not hold, or if much had to be fetched.

    A folder that cannot be written stays as it is.
    """
    if sys.dont_write_bytecode or (len(_woken) < MANY and all(name in used for name in sys.modules if is_ours(name))):
        return
    from holdfast.cli import packing  # 700 ms of work, once after an edit

    try:
        called: Any = _fetch(_called) if _called[1] else ()
    except (OSError, ValueError, EOFError, TypeError):
        called = ()
    packing.write(path(command), {*called, *_woken}, lazily=command != "run")


def is_ours(name: str) -> bool:
    """Whether a module belongs in a bundle: not what is there before a bundle is read, or writes one."""
    return name.startswith("holdfast.") and name not in _BEFORE


_BEFORE = ("holdfast.cli", "holdfast.cli.main", __name__, "holdfast.cli.packing")
