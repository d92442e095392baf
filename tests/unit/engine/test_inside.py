"""How questions share the room of an area; the hands are played."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from holdfast.engine.inside import Inside, size_of
from holdfast.model.ids import Pid, Tid
from holdfast.prog.call import Answers, Program
from holdfast.tracee.inject import PAGE, Area

PID, THREADS = Pid(7), 100


class Played:
    """A hand that only says where it was told to place a program."""

    def __init__(self, placed: list[tuple[int, int]]) -> None:
        self.placed = placed

    def start(self, program: Program, offset: int) -> None:
        self.placed.append((offset, offset + size_of(program)))

    def finish(self) -> Answers:
        return Answers({}, {})


def asked(size: int) -> Program:
    program = Program()
    program.call("getpid")
    program.call("write", 1, bytes(size - size_of(program) - 88), 0)
    assert size_of(program) == size
    return program


def test_programs_of_many_threads_stay_within_the_area() -> None:
    # each is placed at a multiple of 64, and so takes 56 bytes more than it needs
    inside: Any = Inside.__new__(Inside)
    rounds: list[list[tuple[int, int]]] = [[]]
    inside.areas = {PID: Area(0, 2 * PAGE + THREADS * 520)}
    inside.hand = lambda who: Played(rounds[-1])
    who = [SimpleNamespace(process=SimpleNamespace(pid=PID), tid=Tid(100 + n)) for n in range(THREADS)]
    out = inside._round([(n, who[n], None, asked(520)) for n in range(THREADS)])
    assert sorted(i for i, _, _, _ in out) == list(range(THREADS))
    room = inside.areas[PID].room
    assert all(end <= room for _, end in rounds[0])
    first = [at for at, _ in rounds[0]]
    again = first.index(0, 1)  # there was no room for all at once
    assert first[:again] == sorted(set(first[:again]))
