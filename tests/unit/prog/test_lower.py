"""Programs become tables: rows, data, forked tables, results."""

from __future__ import annotations

import pytest

from holdfast.prog.call import ANY, OK, At, Block, Out, Program, Struct, Word
from holdfast.prog.lower import END, MASK, NOT_RUN, RESULT_AT, ROW, ROW_SIZE, lower

BASE = 0x7000_0000
NUMBERS = {"getpid": 39, "read": 0, "pipe2": 293, "clone": 56, "exit": 60, "close": 3}


def rows(image: bytes, count: int, at: int = 0) -> list[tuple[int, ...]]:
    return [ROW.unpack_from(image, at + i * ROW_SIZE) for i in range(count)]


def test_rows_say_number_flags_arguments_expectation_and_that_they_have_not_run() -> None:
    program = Program()
    program.call("getpid")
    program.call("close", 5, check=ANY)
    program.call("close", -1, check=-9)
    lowered = lower(program, BASE, NUMBERS)
    first, second, third, end = rows(lowered.image, 4)
    assert first == (39, 1 << 8, 0, 0, 0, 0, 0, 0, 0, NOT_RUN)
    assert second == (3, 0, 5, 0, 0, 0, 0, 0, 0, NOT_RUN)
    assert third == (3, 2 << 8, MASK, 0, 0, 0, 0, 0, (1 << 64) - 9, NOT_RUN)
    assert ROW.pack(*end) == END
    assert (lowered.size, lowered.base) == (4 * ROW_SIZE, BASE)


def test_bytes_stand_behind_the_rows_aligned_and_their_address_is_the_argument() -> None:
    program = Program()
    program.call("read", b"abc", b"defghijk")
    lowered = lower(program, BASE, NUMBERS)
    row = rows(lowered.image, 1)[0]
    at = 2 * ROW_SIZE
    assert row[2:4] == (BASE + at, BASE + at + 8)
    assert lowered.image[at:] == b"abc" + bytes(5) + b"defghijk"


def test_a_block_is_placed_once_and_a_place_inside_it_has_its_own_address() -> None:
    block = Block(b"12345678")
    program = Program()
    program.call("read", block, At(block, 4), block)
    lowered = lower(program, BASE, NUMBERS)
    at = BASE + 2 * ROW_SIZE
    assert rows(lowered.image, 1)[0][2:5] == (at, at + 4, at)
    assert lowered.size == 2 * ROW_SIZE + 8


def test_a_structure_holds_the_addresses_of_its_parts() -> None:
    out = Out(16, b"\1")
    inner = Struct((7).to_bytes(8, "little"), out)
    program = Program()
    program.call("read", inner)
    lowered = lower(program, BASE, NUMBERS)
    address = rows(lowered.image, 1)[0][2] - BASE
    assert lowered.image[address : address + 8] == (7).to_bytes(8, "little")
    at = int.from_bytes(lowered.image[address + 8 : address + 16], "little") - BASE
    assert lowered.image[at : at + 16] == b"\1" + bytes(15)


def test_results_and_words_are_loaded_through_their_address() -> None:
    fds = Out(8)
    program = Program()
    first = program.call("pipe2", fds, 0)
    program.call("read", Word(fds, 4), first)
    lowered = lower(program, BASE, NUMBERS)
    _, second = rows(lowered.image, 2)
    assert second[1] == 1 << 8 | 0b11
    assert second[2] == BASE + 3 * ROW_SIZE + 4
    assert second[3] == BASE + RESULT_AT


def test_a_result_that_is_not_there_yet_is_refused() -> None:
    other = Program().call("getpid")
    program = Program()
    program.call("close", other)
    with pytest.raises(ValueError, match=r"close\(<getpid>\) uses the result of getpid\(\), which does not come before it"):
        lower(program, BASE, NUMBERS)


def test_a_fork_goes_on_in_a_table_of_its_own() -> None:
    child = Program()
    child.call("exit", 3)
    program = Program()
    made = program.fork("clone", 0, child=child)
    program.call("close", made)
    lowered = lower(program, BASE, NUMBERS)
    first = rows(lowered.image, 1)[0]
    theirs = rows(lowered.image, 1, 3 * ROW_SIZE)[0]
    assert (first[1], first[8]) == (3 << 8, BASE + 3 * ROW_SIZE)
    assert theirs[:3] == (60, 1 << 8, 3)
    assert lowered.image[4 * ROW_SIZE : 5 * ROW_SIZE] == END


def test_answers_are_signed_results_and_buffers() -> None:
    out = Out(4)
    program = Program()
    call = program.call("read", out)
    failed = program.call("close", 9)
    lowered = lower(program, BASE, NUMBERS)
    memory = bytearray(lowered.image)
    memory[RESULT_AT : RESULT_AT + 8] = (12).to_bytes(8, "little")
    memory[ROW_SIZE + RESULT_AT : ROW_SIZE + RESULT_AT + 8] = (-9).to_bytes(8, "little", signed=True)
    memory[3 * ROW_SIZE : 3 * ROW_SIZE + 4] = b"data"
    answers = lowered.answers(bytes(memory))
    assert (answers.value(call), answers.value(failed), answers.data(out)) == (12, -9, b"data")
    assert lowered.row_of(BASE + ROW_SIZE) is failed
    assert lowered.row_of(BASE + 2 * ROW_SIZE) is None


def test_programs_are_joined_by_adding_their_calls() -> None:
    out = Out(8)
    one, two = Program(), Program()
    a = one.call("read", out)
    b = two.call("close", a, check=OK)
    one.extend(two)
    lowered = lower(one, BASE, NUMBERS)
    assert [c for c, _ in lowered.calls] == [a, b]


def test_each_row_is_found_by_its_address_and_nothing_between() -> None:
    child = Program()
    inner = [child.call("getpid") for _ in range(2)]
    program = Program()
    outer = [program.call("getpid") for _ in range(3)]
    outer.append(program.fork("clone", 0, child=child))
    lowered = lower(program, BASE, NUMBERS)
    found = [lowered.row_of(BASE + n * ROW_SIZE) for n in range(-1, 9)]
    assert found == [None, *outer, None, *inner, None, None]
    assert lowered.row_of(BASE + 8) is None
