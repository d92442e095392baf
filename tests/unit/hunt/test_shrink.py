"""Shrinking: what comes out is the least, it is whole, it shows what it must, and it ends."""

from __future__ import annotations

import random

import pytest

from holdfast.hunt.recipe import Recipe, parse
from holdfast.hunt.shrink import shrink, size, whole, without
from holdfast.prog.text import Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAIR = parse(
    r"""
    name pair
    interface eventfd
    make fd = eventfd2(300, 0)
    make other = eventfd2(7, EFD_SEMAPHORE=1)
    make pipe2(both:[8], O_CLOEXEC=0x80000)
    make child = clone(SIGCHLD=17, 0, 0, 0, 0)
    state fcntl($fd, F_SETFL=4, 0xc00)
    state write($both@4:4, b'hello', 5)
    state child: setpriority(0, 0, 11)
    state child: read($both@0:4, [16]) blocks
    get fcntl($fd, F_GETFL=3)
    get child: getpriority(0, 0)
    after read($fd, [8])
    after read($both@0:4, [64])
    point 8 inside
    """
)


def holds(*parts: str) -> Callable[[Recipe], bool]:
    """A predicate: these texts stand among the lines."""

    def still(recipe: Recipe) -> bool:
        assert whole(recipe)
        lines = [str(line) for line in (*recipe.lines, *recipe.get, *recipe.after)]
        return all(any(part in line for line in lines) for part in parts)

    return still


def lines(recipe: Recipe) -> list[str]:
    return [str(line) for line in (*recipe.lines, *recipe.get, *recipe.after)]


@pytest.mark.parametrize(
    ("needed", "least"),
    [
        (("eventfd2",), ["fd = eventfd2(0, 0)"]),
        (("EFD_SEMAPHORE",), ["other = eventfd2(0, EFD_SEMAPHORE=1)"]),
        (("F_SETFL",), ["fd = eventfd2(0, 0)", "fcntl($fd, F_SETFL=4, 0)"]),
        (("setpriority",), ["child = clone(0, 0, 0, 0, 0)", "child: setpriority(0, 0, 0)"]),
        (("F_GETFL",), ["fd = eventfd2(0, 0)", "fcntl($fd, F_GETFL=3)"]),
        (("write", "setpriority(0, 0, 11)"), None),
    ],
)
def test_lines_go_with_what_depends_on_them_and_values_go_to_zero(needed: tuple[str, ...], least: list[str] | None) -> None:
    found = shrink(PAIR, holds(*needed))
    if least is None:
        least = ["pipe2(both:[8], 0)", "child = clone(0, 0, 0, 0, 0)", r"write($both@4:4, b'\x00', 0)", "child: setpriority(0, 0, 11)"]
    assert lines(found) == least
    assert (found.point, found.inside, found.name) == (None, False, "pair")


def test_the_point_goes_to_the_end_unless_it_is_needed() -> None:
    blocked = shrink(PAIR, lambda r: r.inside and whole(r))
    assert [str(line) for line in blocked.lines if line.blocks]
    assert (blocked.at, blocked.inside, blocked.get, blocked.after) == (len(blocked.lines), True, (), ())
    early = parse("name e\ninterface i\nmake a = getpid()\nmake b = getpid()\nmake c = getpid()\npoint 1\n")
    assert shrink(early, lambda r: r.at < len(r.lines)).text() == "# hunt recipe 1\nname e\ninterface i\nmake b = getpid()\npoint 0\n"


@pytest.mark.parametrize(
    ("value", "needs", "least"),
    [
        (0b1011_0100, lambda v: v & 0b100, 0b100),
        (0b1011_0100, lambda v: v & 0b1000_0000, 0b1000_0000),
        (1000, lambda v: v >= 100, 128),
        (-77, lambda v: v != 0, 1),
        (-77, lambda v: v < 0, -1),
        (12345, lambda v: True, 0),
        (0x7FFF_FFFF, lambda v: v > 0x3FFF_FFFF, 0x4000_0000),
    ],
)
def test_numbers_go_toward_zero_and_single_bits(value: int, needs: Callable[[int], bool], least: int) -> None:
    recipe = parse(f"name n\ninterface i\nmake personality({value})\n")

    def still(r: Recipe) -> bool:
        number = r.make[0].args[0]
        assert isinstance(number, int)
        return bool(needs(number))

    assert shrink(recipe, still).make[0].args[0] == least


@pytest.mark.parametrize(
    ("line", "least"),
    [
        (r"write(1, b'\xff\xff\xff\xff\xff\xff', 6)", r"write(0, b'\x00\x00\x01\x00', 4)"),
        (r"setsockopt(3, 1, 9, b'\xff\xff\xff\xff', 4)", r"setsockopt(0, 0, 0, b'\x00\x00\x01\x00', 4)"),
        (r"uname(b'\xff\xff\xff\xff\xff')", r"uname(b'\x00\x00\x01\x00\xff')"),
    ],
)
def test_buffers_become_emptier_and_shorter_only_together_with_their_size(line: str, least: str) -> None:
    recipe = parse(f"name n\ninterface i\nmake {line}\n")

    def still(r: Recipe) -> bool:
        (found,) = (a for a in r.make[0].args if isinstance(a, bytes))
        # the kernel would take the size at its word
        return len(found) > 3 and found[2] != 0 and r.make[0].args[-1] in (len(found), found)

    assert lines(shrink(recipe, still)) == [least]


def test_a_getter_is_left_out_or_stays_as_it_is() -> None:
    recipe = parse("name n\ninterface i\nstate personality(64)\nget personality(0xffffffff)\nget getpid()\n")
    assert lines(shrink(recipe, holds("personality(0xffffffff)"))) == ["personality(0)", "personality(0xffffffff)"]


def test_a_path_stays_a_path() -> None:
    recipe = parse("name n\ninterface i\nmake f = openat(-100, b'/proc/self/comm\\0', 16, 0)\n")
    assert lines(shrink(recipe, lambda _: True)) == [r"f = openat(0, b'/proc/self/comm\x00', 0, 0)"]


def test_a_structure_keeps_its_shape() -> None:
    made = r"make fcntl(0, 6, {b'\x01\0\x07\0', $f:4, &[8], b'\xff\xff\xff\xff'})"
    recipe = parse(f"name n\ninterface i\nmake f = getpid()\n{made}\n")
    found = shrink(recipe, lambda r: any(isinstance(a, Parts) for line in r.make for a in line.args))
    assert str(found.make[-1]) == r"fcntl(0, 0, {b'\x00\x00\x00\x00', $f:4, &[8], b'\x00\x00\x00\x00'})"


def test_a_buffer_does_not_become_smaller_than_what_is_taken_from_it() -> None:
    recipe = parse("name n\ninterface i\nmake getrandom(p:[64], 64, 0)\nmake close($p@4:4)\n")
    found = shrink(recipe, lambda r: len(r.make) == 2 and r.make[0].args[1] != 0)
    assert lines(found) == ["getrandom(p:[8], 1, 0)", "close($p@4:4)"]


def test_the_budget_bounds_how_often_is_asked_and_nothing_is_asked_twice() -> None:
    for budget in (0, 1, 7, 1000):
        asked: list[str] = []

        def still(r: Recipe, asked: list[str] = asked) -> bool:
            asked.append(r.key)
            return "setpriority" in r.text()

        found = shrink(PAIR, still, budget)
        assert len(asked) <= budget
        assert len(set(asked)) == len(asked)
        assert "setpriority" in found.text()
    assert shrink(PAIR, lambda _: True, 0) == PAIR


def test_a_thousand_random_predicates_end_with_what_they_hold_and_every_yes_is_smaller() -> None:
    for seed in range(1000):
        chooser = random.Random(seed)
        sizes = [size(PAIR)]

        def still(r: Recipe, chooser: random.Random = chooser, sizes: list[tuple[int, ...]] = sizes) -> bool:
            assert whole(r)
            said = chooser.random() < 0.3
            if said:
                assert size(r) < sizes[-1]
                sizes.append(size(r))
            return said

        assert size(shrink(PAIR, still, 10_000)) == sizes[-1]


def test_it_is_deterministic() -> None:
    assert shrink(PAIR, holds("setpriority")) == shrink(PAIR, holds("setpriority"))


def test_without_moves_the_point_with_the_lines() -> None:
    recipe = parse(
        "name e\ninterface i\nmake a = getpid()\nmake kill($a, 0)\nstate c = getpid()\nget kill($a, 0)\nget kill($c, 0)\npoint 2\n"
    )
    assert without(recipe, [0]).text() == "# hunt recipe 1\nname e\ninterface i\nstate c = getpid()\nget kill($c, 0)\npoint 0\n"
    assert without(recipe, [2]).text() == "# hunt recipe 1\nname e\ninterface i\nmake a = getpid()\nmake kill($a, 0)\nget kill($a, 0)\n"
