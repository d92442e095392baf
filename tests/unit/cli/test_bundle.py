"""A bundle changes how long a start takes and nothing else; run on a copy of the package, which it may write to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import holdfast

if TYPE_CHECKING:
    from pathlib import Path

LOAD = "from holdfast.cli import bundle; used = bundle.load('dump')\n"
USE = "from holdfast.kinds import registry; kinds = registry.kinds()\n"
RENEW = "bundle.renew('dump', used)\n"
ODD = '''"""fd.odd: odd.

Carries:  nothing.
Loses:    nothing.
Sources:  none.
"""
from holdfast.kinds.contract import Kind
from holdfast.model.record import Record
class Odd(Record):
    x: int = VALUE
KIND = Kind("fd.odd", record=Odd, subject="process", verbs={})
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package without anything compiled."""
    assert holdfast.__file__ is not None
    shutil.copytree(os.path.dirname(holdfast.__file__), tmp_path / "holdfast", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(package: Path, program: str) -> str:
    """What a program prints that imports the copy."""
    site = next(p for p in sys.path if p.endswith("site-packages"))
    head = f"import sys; sys.path[:0] = [{str(package)!r}]; sys.path.append({site!r})\n"
    done = subprocess.run([sys.executable, "-IS", "-c", head + program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_module_comes_out_of_the_bundle_the_second_time(package: Path) -> None:
    assert run(package, LOAD + USE + RENEW + "print(len(used))") == "0"
    outside = "print(sorted(n for n in sys.modules if bundle.is_ours(n) and n not in used), bundle.is_ours('holdfast.errors'))"
    assert run(package, LOAD + USE + outside) == "[] True"


def test_kinds_are_the_same_with_and_without(package: Path) -> None:
    told = "print([(k.name, k.version, sorted(k.verbs), k.record.__module__, sorted(k.record._infos)) for k in kinds.values()])"
    plain = run(package, LOAD + USE + RENEW + told)
    assert run(package, LOAD + USE + "assert used\n" + told) == plain


def test_a_changed_file_is_read_anew(package: Path) -> None:
    odd = package / "holdfast" / "kinds" / "fd" / "odd.py"
    odd.write_text(ODD.replace("VALUE", "1"))
    told = "print(kinds['fd.odd'].record().x)"
    assert run(package, LOAD + USE + RENEW + told) == "1"
    odd.write_text(ODD.replace("VALUE", "22"))
    assert run(package, LOAD + USE + RENEW + told) == "22"
    assert run(package, LOAD + USE + told + "; print('holdfast.kinds.fd.odd' in used)") == "22\nTrue"


def test_a_file_of_the_same_size_and_another_time_is_read_anew(package: Path) -> None:
    odd = package / "holdfast" / "kinds" / "fd" / "odd.py"
    odd.write_text(ODD.replace("VALUE", "1"))
    told = "print(kinds['fd.odd'].record().x)"
    assert run(package, LOAD + USE + RENEW + told) == "1"
    odd.write_text(ODD.replace("VALUE", "2"))
    os.utime(odd, ns=(1, 1))
    assert run(package, LOAD + USE + RENEW + told) == "2"


def test_a_new_kind_is_not_lost_and_a_removed_one_is_gone(package: Path) -> None:
    run(package, LOAD + USE + RENEW)
    odd = package / "holdfast" / "kinds" / "fd" / "odd.py"
    odd.write_text(ODD.replace("VALUE", "1"))
    assert run(package, LOAD + USE + RENEW + "print('fd.odd' in kinds)") == "True"
    odd.unlink()
    assert run(package, LOAD + USE + RENEW + "print('fd.odd' in kinds)") == "False"


def test_a_module_that_cannot_be_run_any_more_is_left_to_the_import(package: Path) -> None:
    use = "import holdfast.engine.dump\n"
    run(package, LOAD + use + RENEW)
    errors = package / "holdfast" / "errors.py"
    errors.write_text(errors.read_text().replace("UsageError", "OtherError"))
    told = "try:\n    import holdfast.engine.dump\nexcept ImportError as error:\n    print(error.name, 'UsageError' in str(error))"
    assert run(package, LOAD + told) == "holdfast.errors True"


@pytest.mark.parametrize("content", [b"", b"x", b"\xe9\x00\x00\x00\x00", b"N", b"(\x02\x00\x00\x00i\x01\x00\x00\x00N"])
def test_a_broken_bundle_is_no_bundle(package: Path, content: bytes) -> None:
    run(package, LOAD + USE + RENEW)
    (file,) = (package / "holdfast" / "__pycache__").glob("*.bundle")
    file.write_bytes(content)
    assert run(package, LOAD + USE + "print(len(used), len(kinds) > 20)") == "0 True"


def test_a_folder_that_cannot_be_written_costs_time_only(package: Path) -> None:
    folder = package / "holdfast" / "__pycache__"
    assert (
        run(package, LOAD + "import os; bundle.path = lambda command: '/proc/no/such.bundle'\n" + USE + RENEW + "print(len(kinds) > 20)")
        == "True"
    )
    assert list(folder.glob("*.bundle")) == []


LAZY = '''"""Functions of all forms."""
from __future__ import annotations
class Owner:
    """Has methods."""
    def method(self, a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> tuple:
        """Documented."""
        return PADDING and (a, b, rest, c, more)
    @staticmethod
    def static(a):
        return PADDING and a
    @classmethod
    def of(cls, a):
        return PADDING and (cls.__name__, a)
    @property
    def value(self):
        return PADDING and self._value
    @value.setter
    def value(self, value):
        self._value = PADDING and value
    def above(self):
        return PADDING and super().__hash__() == hash(self)
def plain(a, b=5):
    assert a, PADDING
    return (a, b)
def numbers(n):
    yield from range(PADDING and n)
'''
USE_LAZY = """
from holdfast.kinds import lazy
o = lazy.Owner()
o.value = 7
print(o.method(1), o.method(1, 4, 5, c=6, d=7), o.static(1), o.of(2), o.value, o.above(), lazy.plain(1), list(lazy.numbers(3)))
try: lazy.plain(0)
except AssertionError as error: print(error.__traceback__.tb_next.tb_lineno, lazy.plain.__name__, lazy.Owner.method.__qualname__)
"""
ALL_LAZY = "(1, 2, (), 3, {}) (1, 4, (5,), 6, {'d': 7}) 1 ('Owner', 2) 7 True (1, 5) [0, 1, 2]\n23 plain Owner.method"
WOKEN = "print(sorted(n.split(':')[1] for n in bundle._woken if n.startswith('holdfast.kinds.lazy:')))"


def lazy_module(package: Path) -> None:
    (package / "holdfast" / "kinds" / "lazy.py").write_text(LAZY.replace("PADDING", f"bool({tuple(range(1000, 1100))})"))


def test_a_function_that_nobody_called_is_fetched_when_it_is(package: Path) -> None:
    lazy_module(package)
    run(package, LOAD + "import holdfast.kinds.lazy\n" + RENEW)
    told = run(package, LOAD + USE_LAZY + WOKEN).splitlines()
    assert "\n".join(told[:2]) == ALL_LAZY
    assert told[2] == "['Owner.method', 'Owner.of', 'Owner.static', 'Owner.value', 'numbers', 'plain']"


def test_what_was_called_is_in_the_next_bundle(package: Path) -> None:
    lazy_module(package)
    run(package, LOAD + "import holdfast.kinds.lazy\n" + RENEW)
    run(package, LOAD + USE_LAZY + "bundle.MANY = 6\n" + RENEW)
    told = run(package, LOAD + USE_LAZY + WOKEN)
    assert told == f"{ALL_LAZY}\n[]"


def test_a_few_fetched_functions_are_no_reason_to_write(package: Path) -> None:
    lazy_module(package)
    run(package, LOAD + "import holdfast.kinds.lazy\n" + RENEW)
    (file,) = (package / "holdfast" / "__pycache__").glob("*.bundle")
    before = file.stat().st_ino
    run(package, LOAD + USE_LAZY + "bundle.MANY = 7\n" + RENEW)
    assert file.stat().st_ino == before


def test_a_function_whose_name_was_bound_anew_is_found_all_the_same(package: Path) -> None:
    lazy_module(package)
    run(package, LOAD + "import holdfast.kinds.lazy\n" + RENEW)
    again = "from holdfast.kinds import lazy\nold = lazy.plain\nlazy.plain = lambda a: old(a, 9)\nprint(lazy.plain(1), lazy.plain(2))"
    assert run(package, LOAD + again) == "(1, 9) (2, 9)"


def test_schemas_from_the_bundle_are_those_of_the_code(package: Path) -> None:
    use = "import holdfast.image.codec\n" + USE
    run(package, LOAD + use + RENEW)
    told = run(
        package,
        LOAD + use + "from holdfast.image import codec, schema\nready = dict(schema.ready); schema.ready.clear()\n"
        "print(len(ready) > 50, all(schema.encoded(k.record, k.version, codec.packed_default) == ready[k.record.__module__,"
        " k.record.__qualname__, k.version] for k in kinds.values()))",
    )
    assert told == "True True"


def test_schemas_are_not_taken_beside_a_changed_file(package: Path) -> None:
    use = "import holdfast.image.codec\n" + USE
    run(package, LOAD + use + RENEW)
    (package / "holdfast" / "model" / "ids.py").touch()
    assert run(package, LOAD + use + "from holdfast.image import schema; print(schema.ready)") == "{}"


def test_modules_of_others_come_out_of_the_bundle_as_long_as_they_are_the_same(package: Path) -> None:
    other = package / "struct.py"
    other.write_text("from _struct import *\nVALUE = 1\n")
    use = "import struct; print(struct.VALUE, type(struct.__loader__).__name__, struct.__file__ == sys.path[0] + '/struct.py')\n"
    assert run(package, LOAD + "import struct, holdfast.errors\n" + RENEW) == ""
    assert run(package, LOAD + use) == "1 _Run True"
    other.write_text("from _struct import *\nVALUE = 22\n")
    assert run(package, LOAD + use) == "22 SourceFileLoader True"


FEW = "from holdfast.kinds import registry; kinds = registry.kinds_for([b'/dev/null'])\n"


def test_a_kind_waits_until_there_is_such_a_file(package: Path) -> None:
    run(package, LOAD + USE + RENEW)
    told = "print('fd.epoll' in kinds, 'fd.epoll' in registry.kinds_for([b'anon_inode:[eventpoll]']), 'sock.tcp' in registry.kinds())"
    assert run(package, LOAD + FEW + told) == "False True True"


def test_a_kind_that_waits_is_in_the_next_bundle_too(package: Path) -> None:
    run(package, LOAD + USE + RENEW)
    odd = package / "holdfast" / "kinds" / "fd" / "odd.py"
    odd.write_text(ODD.replace("VALUE", "1"))
    run(package, LOAD + FEW + RENEW)
    assert run(package, LOAD + FEW + RENEW + "print('holdfast.kinds.fd.epoll' in used, 'holdfast.kinds.fd.odd' in used)") == "True True"


def test_nothing_waits_without_a_bundle(package: Path) -> None:
    assert run(package, FEW + "print(kinds is registry.kinds())") == "True"
