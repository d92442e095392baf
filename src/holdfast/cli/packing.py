"""Writing the bundle of a command (cli/bundle.py): what is running, compiled for a quick start.

Left out of the code, because a start pays for each byte: docstrings, what annotations say of arguments, blocks for type checkers, and the
columns of lines. Assertions stay. Whoever reads a docstring or an annotation imports the module from its source.
"""

from __future__ import annotations

import ast
import marshal
import os
import sys
from types import CodeType

from holdfast.cli.bundle import MAGIC, is_ours, pick

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from holdfast.cli.bundle import Other, Part, Place

OTHERS = ("struct", "_ctypes", "types", "mmap", "blake3", "blake3.blake3")  # that commands import; where they are takes longer than they do
SMALL = 300  # bytes of code: from here on fetching a function that is not called costs more than reading it
CO_OPTIMIZED = 1  # a function, not a class or a module (Python, inspect.CO_OPTIMIZED)


class _Source:
    # one module of ours, compiled from the file that it came from
    def __init__(self, name: str, file: str) -> None:
        self.name, self.file = name, file
        before = os.stat(file)
        with open(file, "rb") as source:
            self.tree = ast.parse(source.read(), file)
        after = os.stat(file)
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise OSError(f"{file} was written meanwhile")
        self.changed, self.size = after.st_mtime_ns, after.st_size
        slim = ast.fix_missing_locations(_Slim().visit(self.tree))
        self.imports = list(_imported(slim))
        self.code = lines_only(compile(slim, file, "exec", annotations.compiler_flag, dont_inherit=True))


def write(path: str, called: set[str], lazily: bool) -> None:
    """Write a bundle of every module of ours that is loaded; `called` are the functions to be read with it.

    Shape:   `called` as module:name; a folder that cannot be written stays as it is
    """
    registry = sys.modules.get("holdfast.kinds.registry")
    if registry is not None:
        registry.kinds()  # those that still wait are to be in the next bundle too
    new = f"{path}.{os.getpid()}"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError:
        return  # not ours to write
    try:
        try:
            data = memoryview(_pack(_in_order(_sources()), _others(), _ready(), called, lazily))
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        os.rename(new, path)
    except (OSError, SyntaxError):
        os.unlink(new)


def _sources() -> dict[str, _Source]:
    out = {}
    for name in [n for n in sys.modules if is_ours(n)]:
        file = sys.modules[name].__file__
        if file is not None and file.endswith(".py"):
            out[name] = _Source(name, file)
    return out


def _others() -> dict[str, Other]:
    out: dict[str, Other] = {}
    for name in OTHERS:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None:
            continue
        before = os.stat(file)
        code = None
        if file.endswith(".py"):
            with open(file, "rb") as source:
                code = lines_only(compile(source.read(), file, "exec", dont_inherit=True))
        out[name] = (file, before.st_mtime_ns, before.st_size, code)
    return out


# The schema of each kind as it stands in images: it follows from the code alone, and making them is a tenth of a small dump.
def _ready() -> dict[tuple[str, str, int], bytes]:
    registry, codec = sys.modules.get("holdfast.kinds.registry"), sys.modules.get("holdfast.image.codec")
    if registry is None or codec is None:
        return {}
    from holdfast.image import inventory, schema  # codec has them

    schema.ready.clear()
    described = [(kind.record, kind.version) for kind in registry.kinds().values()] + [(inventory.Inventory, inventory.VERSION)]
    return {(cls.__module__, cls.__qualname__, v): schema.encoded(cls, v, codec.packed_default) for cls, v in described}


# Each module after those that it imports at its top: sys.modules has them in the order in which their import began.
def _in_order(sources: dict[str, _Source]) -> dict[str, _Source]:
    out: dict[str, _Source] = {}
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen or name not in sources:
            return
        seen.add(name)
        visit(name.rpartition(".")[0])
        for other in sources[name].imports:
            visit(other)
        out[name] = sources[name]

    for name in sources:
        visit(name)
    return out


def _pack(
    sources: dict[str, _Source], others: dict[str, Other], ready: dict[tuple[str, str, int], bytes], called: set[str], lazily: bool
) -> bytes:
    waits = _waiters(sources)
    late = _Late()
    parts: list[Part] = []
    for name, source in sources.items():
        code = late.without(name, source.code, called) if lazily else source.code
        prefixes, needs = waits.get(name, (None, ()))
        parts.append((name, source.file, source.changed, source.size, code if prefixes is None else late.put(code), prefixes, needs))
    head = marshal.dumps((parts, others, ready, late.put(tuple(sorted(called)))))
    return MAGIC + len(head).to_bytes(8, "little") + head + b"".join(late.blobs)


class _Late:
    # what is read late, and where it will be
    def __init__(self) -> None:
        self.at, self.blobs = 0, list[bytes]()

    def put(self, value: Any) -> Place:
        data = marshal.dumps(value)
        self.blobs.append(data)
        self.at += len(data)
        return self.at - len(data), len(data)

    # a module's code with stubs in place of the functions that nobody has called
    def without(self, module: str, code: CodeType, called: set[str]) -> CodeType:
        owner = sys.modules[module]

        def lean(part: CodeType, prefix: str) -> CodeType:
            consts = []
            for const in part.co_consts:
                if isinstance(const, CodeType):
                    name = prefix + const.co_name
                    if not const.co_flags & CO_OPTIMIZED:
                        const = lean(const, f"{name}.")
                    elif f"{module}:{name}" not in called and _can_wait(const) and pick(owner, name, const.co_firstlineno) is not None:
                        const = stub(module, name, const, self.put(const))
                consts.append(const)
            return part.replace(co_consts=tuple(consts))

        return lean(code, "")


def _can_wait(code: CodeType) -> bool:
    return not code.co_freevars and len(marshal.dumps(code)) >= SMALL


def _asleep(*args: object, **given: object) -> object:
    from holdfast.cli.bundle import wake  # what runs it has the bundle already

    return wake("module", "name", 1_000_001, 1_000_002, 1_000_003)(*args, **given)


def stub(module: str, name: str, code: CodeType, place: Place) -> CodeType:
    """The code of a function that replaces its own code by what is at a place of the bundle, and goes on with it."""
    values: dict[object, object] = {
        "module": module,
        "name": name,
        1_000_001: code.co_firstlineno,
        1_000_002: place[0],
        1_000_003: place[1],
    }
    small = lines_only(_asleep.__code__)
    return small.replace(
        co_consts=tuple([values.get(c, c) for c in small.co_consts]),
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno,
    )


class _Slim(ast.NodeTransformer):
    # a module without what a run never looks at
    def visit_Module(self, node: ast.Module) -> ast.AST:
        node.body = [self._plain(n) for n in node.body if not (isinstance(n, ast.ImportFrom) and n.module == "__future__")]
        node.body = [n for n in node.body if not (isinstance(n, ast.AnnAssign) and n.value is None)]
        return self._body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._body(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node

    # a module's own annotations are stored and never read; those of a class are the fields of a record
    @staticmethod
    def _plain(node: ast.stmt) -> ast.stmt:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        given = node.args
        for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
            if arg is not None:
                arg.annotation = None
        return self._body(node)

    def _body(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if node.body and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        self.generic_visit(node)
        if not node.body and not isinstance(node, ast.Module):
            node.body = [ast.Pass(lineno=node.lineno, col_offset=node.col_offset)]
        return node


def lines_only(code: CodeType) -> CodeType:
    """The same code, whose tracebacks show lines but no columns.

    Source:  Python, Objects/locations.md (3.11)
    """
    table = bytearray()
    line = code.co_firstlineno
    for start, end, now in code.co_lines():
        units = (end - start) // 2
        while units > 0:
            n = min(8, units)
            units -= n
            if now is None:
                table.append(0x80 | 15 << 3 | n - 1)
                continue
            table.append(0x80 | 13 << 3 | n - 1)
            table += _signed(now - line)
            line = now
    consts = tuple([lines_only(c) if isinstance(c, CodeType) else c for c in code.co_consts])
    return code.replace(co_linetable=bytes(table), co_consts=consts)


# a number in groups of six bits, the lowest first, each but the last with 64 added; the lowest bit is the sign
def _signed(value: int) -> bytes:
    rest = (-value << 1) | 1 if value < 0 else value << 1
    out = bytearray()
    while rest >= 64:
        out.append(64 | rest & 63)
        rest >>= 6
    out.append(rest)
    return bytes(out)


# The modules that a module names in its imports as it runs. An import inside a function is left to the import proper.
def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.module is not None:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imported(child)


# Which modules may wait, for what, and what each needs of the others: kinds of files with Link watches, and what nothing else imports.
def _waiters(sources: dict[str, _Source]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    names = set(sources)
    imports = {name: {n for n in source.imports if n in names} for name, source in sources.items()}
    prefixes: dict[str, tuple[str, ...]] = {}
    for name in names:
        kind = getattr(sys.modules.get(name), "KIND", None)
        if kind is not None and name.startswith("holdfast.kinds.") and kind.subject == "file" and kind.claims:
            links = tuple(w.prefix for w in kind.watches if type(w).__name__ == "Link")
            if links:
                prefixes[name] = links
    late = _reached(set(prefixes), imports) - _reached(names - _reached(set(prefixes), imports) | _plain_kinds(names, prefixes), imports)
    out = {}
    for name in late:
        reached = _reached({name}, imports)
        out[name] = (prefixes.get(name, ()), tuple(n for n in sources if n != name and n in late and n in reached))
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
