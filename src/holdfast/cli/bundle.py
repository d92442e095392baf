"""All modules of one hot command in one file, so that a start reads one file and not 170, and runs them without the import machinery.

Importing the modules of a dump one by one costs 30 ms: looking for each, a lock, a spec, opening, reading. Out of one file it costs
half. The file lies in the package's own __pycache__ and is worth as much trust as the .pyc files there: who may write one may write the
other. Each module in it goes with the size and the time of its source and is used only while they are the same; anything else is
imported as ever. So a stale or missing bundle costs time and nothing else. Which kinds there are is still read from the folders
(kinds/registry.py): a kind that is not in the bundle is not lost.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    # name, source, its time in ns, its size, code; in the order in which the modules finished, so each after those that it imports
    Part = tuple[str, str, int, int, CodeType]

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FORM = 2
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
    modules = sys.modules
    for part in parts:
        name, source, changed, size, code = part
        if name in modules:
            used[name] = part
            continue
        try:
            now = os.stat(source)
        except OSError:
            continue
        if now.st_mtime_ns != changed or now.st_size != size:
            continue
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
            exec(code, space)  # noqa: S102 - this is what an import is
        except Exception:  # noqa: BLE001 - what it imports was changed: the import proper, which follows, says so in the right place
            del modules[name]
            return used
        parent = modules.get(above)
        if parent is None:  # it is stale, and was not needed until now
            __import__(above)
            parent = modules[above]
        setattr(parent, last, module)
        used[name] = part
    return used


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
    new = f"{path(command)}.{os.getpid()}"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError:
        return  # not ours to write
    try:
        try:
            parts = [part for part in (used.get(name) or _part(name) for name in _finished(ours)) if part is not None]
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
    return name, source, after.st_mtime_ns, after.st_size, code
