"""What task.mm_prctl promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_settings_of_the_address_space_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(41, 1)
            prctl(67, 1)
            for command in (4, 16, 64):
                call(324, command, 0, 0)
            pause()
            say([prctl(42), prctl(68), call(324, 1 << 9, 0, 0)])
            """
        ),
    )
    assert trip.said == trip.control


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("slots", [0, 4, 128])
def test_hash_slots_for_futexes_survive(tmp_path: Path, threads: int, slots: int) -> None:
    source = f"""
    try:
        prctl(78, 1, {slots})
    except OSError:
        say("this kernel has none")
    for _ in range({threads}):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    pause()
    say(libc.syscall(157, 78, 2, 0, 0, 0))
    """
    trip = harness.roundtrip(tmp_path, with_calls(source))
    assert trip.said == trip.control
    assert trip.said[-1] in (slots, -1)


@pytest.mark.parametrize("register", [64, 256])
def test_a_barrier_registers_no_more_than_it_did(tmp_path: Path, register: int) -> None:
    source = f"""
    call(324, {register}, 0, 0)
    pause()
    say(call(324, {register // 2}, 0, 0))
    try:
        say(call(324, 8, 0, 0))
    except PermissionError:
        say("not registered")
    """
    trip = harness.roundtrip(tmp_path, with_calls(source))
    assert trip.said == trip.control == [0, "not registered"]


def test_no_execution_of_what_was_writable_survives(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(65, 1)
            pause()
            say(prctl(66))
            import mmap
            try:
                mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            except PermissionError:
                say("refused")
            """
        ),
    )
    assert trip.said == trip.control == [1, "refused"]


@pytest.mark.root
def test_memory_mapped_later_is_locked_as_before(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            import mmap
            call(151, 2)
            pause()
            area = mmap.mmap(-1, 8192)
            say("lo" in next(n for n in read("/proc/self/smaps").split("VmFlags:")[1:]) or "lo" in read("/proc/self/smaps"))
            try:
                area.madvise(mmap.MADV_DONTNEED)
            except OSError as error:
                say(error.errno)
            """
        ),
    )
    assert trip.said == trip.control == [True, 22]


@pytest.mark.root
def test_memory_locked_on_first_use_stays_so(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            import mmap
            call(151, 2 | 4)
            pause()
            before = int(status("VmLck").split()[0])
            area = mmap.mmap(-1, 8192)
            out = ctypes.create_string_buffer(2)
            call(27, ctypes.addressof(ctypes.c_char.from_buffer(area)), 8192, out)
            say([list(out.raw), int(status("VmLck").split()[0]) - before])
            """
        ),
    )
    assert trip.said == trip.control == [[[0, 0], 8]]
