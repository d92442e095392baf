"""Recipes of page faults that user space handles: flags, every feature, every register mode on every object, protection, poison.

Source:  userfaultfd(2), ioctl_userfaultfd(2); linux/userfaultfd.h
"""

from __future__ import annotations

from itertools import combinations

from holdfast.hunt.actors import and_then
from holdfast.hunt.interfaces.memory import LOOK, OBJECTS, REACH
from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """Every UFFD_FEATURE_* and UFFDIO_REGISTER_MODE_*."""
    script = Script(constants)
    yield from script.recipes("userfaultfd", _userfaultfd(script))


def _userfaultfd(script: Script) -> Iterator[Row]:
    get = "fcntl($uffd, F_GETFD) ; fcntl($uffd, F_GETFL)"
    for flags in ("0", "O_CLOEXEC", "O_NONBLOCK", "UFFD_USER_MODE_ONLY", "O_CLOEXEC|O_NONBLOCK|UFFD_USER_MODE_ONLY"):
        yield Row(f"fd.{flags}", "getpid()", f"uffd = userfaultfd({flags})", get, "ioctl($uffd, UFFDIO_API, [24 b'\\xaa'])")
    features = script.names("UFFD_FEATURE_", header="linux/userfaultfd.h")
    begin = "uffd = userfaultfd(O_NONBLOCK)"
    for feature in ("0", *features):
        api = f"ioctl($uffd, UFFDIO_API, <8:UFFD_API> <8:{feature}> <8:0>)"
        yield Row(f"api.{feature}", begin, api, get)
    api = "ioctl($uffd, UFFDIO_API, <8:UFFD_API> <8:0> <8:0>)"
    modes = script.names("UFFDIO_REGISTER_MODE_", header="linux/userfaultfd.h")
    for kind, make in OBJECTS.items():
        for count in (1, 2) if kind == "anon" else (1,):
            for chosen in combinations(modes, count):
                how = "|".join(chosen)
                yield Row(f"{kind}.{how}", and_then(make, begin, api), _register(how), LOOK)
    protect = (
        f"{_register('UFFDIO_REGISTER_MODE_WP')} ; ioctl($uffd, UFFDIO_WRITEPROTECT, {{$map, <8:0x4000>, <8:UFFDIO_WRITEPROTECT_MODE_WP>}})"
    )
    for kind in ("anon", "memfd"):
        yield Row(f"{kind}.protected", and_then(OBJECTS[kind], begin, api), protect, LOOK)
    asynchronous = "ioctl($uffd, UFFDIO_API, <8:UFFD_API> <8:UFFD_FEATURE_WP_ASYNC|UFFD_FEATURE_WP_UNPOPULATED> <8:0>)"
    yield Row("anon.tracked", and_then(OBJECTS["anon"], begin, asynchronous), protect, LOOK)
    poisonous = "ioctl($uffd, UFFDIO_API, <8:UFFD_API> <8:UFFD_FEATURE_POISON> <8:0>)"
    poison = f"{_register('UFFDIO_REGISTER_MODE_MISSING')} ; ioctl($uffd, UFFDIO_POISON, {{$map+4096, <8:0x1000> <8:0> <8:0>}})"
    yield Row("anon.poisoned", and_then(OBJECTS["anon"], begin, poisonous), poison, "", REACH)
    yield Row("device.open", "getpid()", "fd = openat(AT_FDCWD, b'/dev/userfaultfd\\0', O_RDWR|O_CLOEXEC, 0)")


def _register(mode: str) -> str:
    return f"ioctl($uffd, UFFDIO_REGISTER, {{$map, <8:0x4000> <8:{mode}> <8:0>}})"
