"""All modules of one hot command in one file, so that a start reads one file and not 170, and runs them without the import machinery.

Importing the modules of a dump one by one costs 30 ms: looking for each, a lock, a spec, opening, reading. Out of one file it costs
half. The file lies in the package's own __pycache__ and is worth as much trust as the .pyc files there: who may write one may write the
other. Each module in it goes with the size and the time of its source and is used only while they are the same; anything else is
imported as ever. So a stale or missing bundle costs time and nothing else. Which kinds there are is still read from the folders
(kinds/registry.py): a kind that is not in the bundle is not lost.

A kind that says by a Link watch what the files that it is about look like waits in the bundle until there is such a file, and so does
whatever only such kinds import: that is a third of all code, and most processes have no socket, no epoll and no inotify.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    # name, source, its time in ns, its size, marshalled code, what it waits for, what it needs of those that wait; in the order in which
    # the modules finished, so each after those that it imports. It waits for: None, nothing; else the prefixes of its Link watches,
    # empty for one that only others that wait import.
    Part = tuple[str, str, int, int, bytes, tuple[str, ...] | None, tuple[str, ...]]

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FORM = 3
Module = type(sys)


def path(command: str) -> str:
    """Where the bundle of a command lies, for this interpreter."""
    return os.path.join(PACKAGE, "__pycache__", f"{command}.{sys.implementation.cache_tag}.bundle")


def load(command: str) -> dict[str, Part]:
    """Put the modules of a command's bundle in place; those that were used."""
    try:
        with open(path(command), "rb", 0) as file:
            form, parts = marshal.loads(file.read())  # noqa: S302 - trusted as a .pyc is, and no more
        if form != FORM:
            return {}
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    used: dict[str, Part] = {}
    waiting: dict[str, Part] = {}
    modules = sys.modules
    for part in parts:
        name, source, changed, size, code, prefixes, needs = part
        if name in modules:
            used[name] = part
            continue
        try:
            now = os.stat(source)
        except OSError:
            continue
        if now.st_mtime_ns != changed or now.st_size != size:
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
    return used


def _run(name: str, source: str, code: bytes) -> bool:
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
        exec(marshal.loads(code), space)  # noqa: S102, S302 - this is what an import is; trusted as a .pyc is
    except Exception:  # noqa: BLE001 - what it imports was changed: the import proper, which follows, says so in the right place
        del modules[name]
        return False
    parent = modules.get(above)
    if parent is None:  # it is stale, and was not needed until now
        __import__(above)
        parent = modules[above]
    setattr(parent, last, module)
    return True


def _wait(waiting: dict[str, Part]) -> None:
    from holdfast.kinds import registry  # of the bundle, where this is called

    def bring(wanted: list[str]) -> None:
        for name in wanted:
            for each in (*waiting[name][6], name):
                if each not in sys.modules:
                    _run(each, waiting[each][1], waiting[each][4])

    registry.defer({name: part[5] for name, part in waiting.items() if part[5]}, bring)


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
    """Write the bundle of a command anew if modules of ours were imported that it did not hold.

    A folder that cannot be written stays as it is.
    """
    ours = [name for name in sys.modules if name.startswith("holdfast.") and name != __name__]
    if sys.dont_write_bytecode or all(name in used for name in ours):
        return
    registry = sys.modules.get("holdfast.kinds.registry")
    if registry is not None:
        registry.kinds()  # those that still wait are to be in the next bundle too
        ours = [name for name in sys.modules if name.startswith("holdfast.") and name != __name__]
    new = f"{path(command)}.{os.getpid()}"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError:
        return  # not ours to write
    try:
        try:
            parts = _waiters([part for part in (used.get(name) or _part(name) for name in _finished(ours)) if part is not None])
            data = memoryview(marshal.dumps((FORM, parts)))
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        os.rename(new, path(command))
    except (OSError, SyntaxError):
        os.unlink(new)


# Each module after those that it imports at its top: sys.modules has them in the order in which their import began.
def _finished(names: list[str]) -> list[str]:
    import ast  # 10 ms, in a case that is 700 ms anyway

    wanted, out = set(names), []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen or name not in wanted:
            return
        seen.add(name)
        visit(name.rpartition(".")[0])
        for node in ast.parse(_LOADER.get_source(name)).body:
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                visit(node.module)
                for alias in node.names:
                    visit(f"{node.module}.{alias.name}")
        out.append(name)

    for name in names:
        visit(name)
    return out


def _part(name: str) -> Part | None:
    source = sys.modules[name].__file__
    if source is None or not source.endswith(".py"):
        return None
    try:
        before = os.stat(source)
        with open(source, "rb") as file:
            text = file.read()
        code = compile(text, source, "exec", dont_inherit=True)
        after = os.stat(source)
    except (OSError, SyntaxError):
        return None
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        return None
    return name, source, after.st_mtime_ns, after.st_size, marshal.dumps(code), None, ()


# Which modules may wait, and for what: kinds of files with Link watches, and what nothing else imports.
def _waiters(parts: list[Part]) -> list[Part]:
    names = {part[0] for part in parts}
    imports = {part[0]: _imports(marshal.loads(part[4]), names) for part in parts}  # noqa: S302 - our own code of just now
    prefixes: dict[str, tuple[str, ...]] = {}
    for name in names:
        kind = getattr(sys.modules.get(name), "KIND", None)
        if kind is not None and name.startswith("holdfast.kinds.") and kind.subject == "file" and kind.claims:
            links = tuple(w.prefix for w in kind.watches if type(w).__name__ == "Link")
            if links:
                prefixes[name] = links
    late = _reached(set(prefixes), imports) - _reached(names - _reached(set(prefixes), imports) | _plain_kinds(names, prefixes), imports)
    out: list[Part] = []
    for part in parts:
        name = part[0]
        if name in late:
            needs = [p[0] for p in parts if p[0] != name and p[0] in late and p[0] in _reached({name}, imports)]
            out.append((*part[:5], prefixes.get(name, ()), tuple(needs)))
        else:
            out.append((*part[:5], None, ()))
    return out


def _plain_kinds(names: set[str], prefixes: dict[str, tuple[str, ...]]) -> set[str]:
    return {name for name in names if name.startswith("holdfast.kinds.") and name.count(".") == 3 and name not in prefixes}


# A set of modules and whatever they import at their top, directly or not.
def _reached(roots: set[str], imports: dict[str, set[str]]) -> set[str]:
    out: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in out:
            out.add(name)
            todo += imports.get(name, ())
    return out


# The modules of ours that a module's code names in an import at its top. An import inside a function is left to the import proper.
def _imports(code: CodeType, names: set[str]) -> set[str]:
    words = set(code.co_names)
    return {w for w in words if w in names} | {f"{a}.{b}" for a in words if a in names for b in words if f"{a}.{b}" in names}
