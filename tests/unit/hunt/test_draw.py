"""Combinations: whole recipes that do what their parts do, drawn where little was tried."""

from __future__ import annotations

from collections import Counter

import pytest

from holdfast.hunt.draw import JOIN, SAME, merged, pairs, tried, worth
from holdfast.hunt.recipe import Recipe, parse
from holdfast.hunt.shrink import whole
from holdfast.hunt.verdict import Round


def recipe(name: str, text: str, interface: str = "") -> Recipe:
    return parse(f"name {name}\ninterface {interface or name.partition('/')[0]}\n{text}")


TCP = "make fd = socket(AF_INET=2, SOCK_STREAM=1, 0)\n"
KEEPALIVE = recipe(
    "setsockopt/SO_KEEPALIVE",
    TCP
    + r"""state setsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, b'\x01\0\0\0', 4)
    get getsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, [4], b'\x04\0\0\0')
    get fcntl($fd, F_GETFL=3)""",
)
APPEND = recipe("fcntl/O_NONBLOCK", TCP.replace("fd", "s") + "state fcntl($s, F_SETFL=4, 0x800)\nget fcntl($s, F_GETFL=3)")
SEMAPHORE = recipe(
    "eventfd/EFD_SEMAPHORE", "make fd = eventfd2(3, 0)\nstate write($fd, b'\\x01\\0\\0\\0\\0\\0\\0\\0', 8)\nafter read($fd, [8])"
)
CHILD = recipe(
    "nice/child", "make child = clone(SIGCHLD=17, 0, 0, 0, 0)\nmake pipe2(both:[8], 0)\nstate child: read($both@0:4, [1]) blocks\n"
)
NICE = recipe("nice/5", "state setpriority(0, 0, 5)\nget getpriority(0, 0)")


def body(r: Recipe | None) -> list[str]:
    assert r is not None
    return r.text().splitlines()[1:]


def test_states_come_together_on_one_object() -> None:
    assert body(merged((KEEPALIVE, APPEND), True)) == [
        "name setsockopt/SO_KEEPALIVE & fcntl/O_NONBLOCK",
        "interface fcntl + setsockopt",
        "make fd = socket(AF_INET=2, SOCK_STREAM=1, 0)",
        r"state setsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, b'\x01\x00\x00\x00', 4)",
        "state fcntl($fd, F_SETFL=4, 2048)",
        r"get getsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, [4], b'\x04\x00\x00\x00')",
        "get fcntl($fd, F_GETFL=3)",
    ]


def test_states_come_together_on_objects_of_their_own() -> None:
    made = merged((KEEPALIVE, SEMAPHORE), False)
    assert body(made) == [
        "name setsockopt/SO_KEEPALIVE + eventfd/EFD_SEMAPHORE",
        "interface eventfd + setsockopt",
        "make fd = socket(AF_INET=2, SOCK_STREAM=1, 0)",
        "make fd_2 = eventfd2(3, 0)",
        r"state setsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, b'\x01\x00\x00\x00', 4)",
        r"state write($fd_2, b'\x01\x00\x00\x00\x00\x00\x00\x00', 8)",
        r"get getsockopt($fd, SOL_SOCKET=1, SO_KEEPALIVE=9, [4], b'\x04\x00\x00\x00')",
        "get fcntl($fd, F_GETFL=3)",
        "after read($fd_2, [8])",
    ]
    # parts that share nothing are the same with and without sharing: once is enough
    assert merged((KEEPALIVE, SEMAPHORE), True) is None


def test_what_blocks_comes_last_and_names_of_buffers_and_actors_follow() -> None:
    second = CHILD.replace(name="nice/other", state=CHILD.state[:1], interface="pipe")
    second = second.replace(state=(second.state[0].replace(blocks=False, call="fcntl"),))
    made = merged((CHILD, second, NICE), False)
    assert made is not None
    assert [str(line) for line in made.lines] == [
        "child = clone(SIGCHLD=17, 0, 0, 0, 0)",
        "pipe2(both:[8], 0)",
        "child_3 = clone(SIGCHLD=17, 0, 0, 0, 0)",
        "pipe2(both_3:[8], 0)",
        "child: fcntl($both@0:4, [1])",
        "setpriority(0, 0, 5)",
        "child_3: read($both_3@0:4, [1]) blocks",
    ]
    assert whole(made)


@pytest.mark.parametrize(
    "parts",
    [
        (NICE, NICE),
        (NICE, recipe("nice/6", "state setpriority(0, 0, 6)")),
        (recipe("a/1", "state pause() blocks"), recipe("b/1", "state pause() blocks\nget getpid()", "b")),
        (
            recipe("a/many", "\n".join(f"make a{n} = getpid()" for n in range(20))),
            recipe("b/many", "\n".join(f"make b{n} = getppid()" for n in range(9))),
        ),
    ],
    ids=["the same", "one thing twice", "both block", "too long"],
)
def test_what_does_not_go_together_is_left_out(parts: tuple[Recipe, ...]) -> None:
    assert merged(parts, False) is None


def pool() -> list[Recipe]:
    """Recipes of four interfaces; those of `a` share an object with those of `b`."""
    return [
        *(recipe(f"a/{n}", f"make fd = eventfd2(0, 0)\nstate fcntl($fd, {n}, 0)") for n in range(20)),
        *(recipe(f"b/{n}", f"make fd = eventfd2(0, 0)\nstate ioctl($fd, {n}, 0)") for n in range(20)),
        *(recipe(f"c/{n}", f"state setpriority(0, 0, {n})") for n in range(20)),
        *(recipe(f"d/{n}", f"state personality({n})") for n in range(20)),
    ]


def test_drawn_combinations_are_whole_recipes_that_read_back_each_once() -> None:
    drawn = list(pairs(pool(), {}, 120, 1))
    assert len(drawn) == 120
    assert len({r.key for r in drawn}) == 120
    assert len({r.name for r in drawn}) == 120
    assert all(parse(r.text()) == r and whole(r) for r in drawn)
    sizes = Counter(len(r.interface.split(JOIN)) for r in drawn)
    assert set(sizes) >= {2, 3}
    assert sizes[2] > 60
    assert [r for r in drawn if SAME in r.name]
    assert [r for r in drawn if JOIN in r.name]


def test_the_same_seed_draws_the_same_and_another_draws_others() -> None:
    first, again, other = ([r.name for r in pairs(pool(), {}, 40, seed)] for seed in (7, 7, 8))
    assert first == again
    assert set(first) != set(other)


def test_pairs_that_were_tried_often_are_drawn_rarely() -> None:
    often = {("a", "b"): 50, ("a", "c"): 50, ("a", "d"): 50, ("b", "c"): 50, ("b", "d"): 50, ("a", "a"): 50, ("b", "b"): 50}
    counts = tried(Round(r.name, r.key, r.interface, "native", "", "", "kept") for r in pairs(pool(), often, 100, 3))
    assert counts["c", "d"] > 3 * max(counts[pair] for pair in often if pair in counts)


def test_counts_come_from_rounds() -> None:
    rounds = [
        Round("x", "1", f"b{JOIN}a", "native", "", "", "kept"),
        Round("y", "2", "a", "native", "", "", "kept"),
        Round("z", "3", f"a{JOIN}b{JOIN}a", "native", "", "", "kept"),
    ]
    assert tried(rounds) == {("a", "b"): 3, ("a", "a"): 1}


def test_what_was_refused_or_cannot_be_made_is_not_worth_it() -> None:
    a, b, c, d = pool()[:4]
    rounds = [
        Round(a.name, a.key, "a", "native", "", "", "refused"),
        Round(a.name, a.key, "a", "criu:4.2", "", "", "kept"),
        Round(b.name, b.key, "a", "native", "", "", "unsettable"),
        Round(c.name, c.key, "a", "native", "", "", "blind"),
    ]
    assert worth([a, b, c, d], rounds) == [a, d]


def test_nothing_to_draw_from_gives_nothing() -> None:
    assert list(pairs([], {}, 5, 0)) == []
    assert list(pairs([NICE], {}, 5, 0)) == []
    assert list(pairs(pool(), {}, 0, 0)) == []
    # two recipes: one after the other, and the other way round
    names = [r.name.split(JOIN) for r in pairs([NICE, KEEPALIVE], {}, 5, 0)]
    assert sorted(names) == [["nice/5", "setsockopt/SO_KEEPALIVE"], ["setsockopt/SO_KEEPALIVE", "nice/5"]]
