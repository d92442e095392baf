"""What the kinds of memory areas promise, kept by a real dump and restore."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import Refused
from holdfast.kinds import registry
from tests import harness
from tests.live.kinds.task.calls import with_calls

# mmap 9, mprotect 10, munmap 11, brk 12, mremap 25, madvise 28; flags: shared 1, private 2, anonymous 0x20
MEMORY = """
PAGE = 4096

def area(pages, prot=3, flags=0x22, fd=-1, offset=0):
    return call(9, 0, pages * PAGE, prot, flags, fd, offset)

def put(at, data):
    ctypes.memmove(at, data, len(data))

def get(at, size):
    return ctypes.string_at(at, size).decode("latin-1")

def seen(at):
    # protection, offset where it means something, and VmFlags of the area that begins at an address; `sd` is a tracker's bit
    with open("/proc/self/smaps", "rb") as f:
        lines = f.read().decode("latin-1").splitlines()
    found = next(i for i, n in enumerate(lines) if n.startswith(f"{at:08x}-"))
    flags = next(n for n in lines[found:] if n.startswith("VmFlags:")).split()[1:]
    begin, end = (int(n, 16) for n in lines[found].split()[0].split("-"))
    return [lines[found].split()[1], (end - begin) // PAGE, sorted(set(flags) - {"sd"})]
"""


def memory(source: str) -> str:
    """A subject's source with `area`, `put`, `get` and `seen` before it."""
    return with_calls(MEMORY + textwrap.dedent(source))


@pytest.mark.parametrize("prot", [0, 1, 5])
def test_an_empty_area_that_may_not_be_written_any_more_is_still_counted(tmp_path: Path, prot: int) -> None:
    # its neighbours have pages, so it was counted while it could be written, and stays so
    source = f"""
    at = area(4)
    put(at, b"first")
    put(at + 2 * PAGE, b"third")
    call(10, at + PAGE, PAGE, {prot})
    pause()
    say([seen(at), seen(at + PAGE), seen(at + 2 * PAGE), get(at, 5), get(at + 2 * PAGE, 5)])
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    assert "ac" in trip.said[0][1][2]


@pytest.mark.parametrize("prot", [0, 1, 5])
def test_contents_of_pages_that_cannot_be_written_survive(tmp_path: Path, prot: int) -> None:
    source = f"""
    at = area(3)
    put(at + PAGE, b"kept" * 1024)
    call(10, at, 3 * PAGE, {prot})
    pause()
    say(seen(at))
    call(10, at, 3 * PAGE, 3)
    say([get(at, 2), get(at + PAGE, PAGE), get(at + 2 * PAGE, 2)])
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    assert trip.said[1] == ["\0\0", "kept" * 1024, "\0\0"]


# MADV_RANDOM 1, SEQUENTIAL 2, DONTFORK 10, MERGEABLE 12, HUGEPAGE 14, NOHUGEPAGE 15, DONTDUMP 16, WIPEONFORK 18
@pytest.mark.parametrize(
    ("advice", "letters"), [(1, "rr"), (2, "sr"), (10, "dc"), (12, "mg"), (14, "hg"), (15, "nh"), (16, "dd"), (18, "wf")]
)
def test_advice_survives(tmp_path: Path, advice: int, letters: str) -> None:
    source = f"""
    at = area(4)
    call(10, at + 3 * PAGE, PAGE, 0)         # so that no neighbour can join it
    put(at, b"advised")
    call(28, at, 3 * PAGE, {advice})
    pause()
    say(seen(at))
    say(get(at, 7))
    pid = os.fork()
    if not pid:
        # who reads an area that was not inherited ends
        os._exit(0 if get(at, 7) == "advised" else 1 if get(at, 7) == "\\0" * 7 else 2)
    say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    assert letters in trip.said[0][2]
    assert trip.said[1] == "advised"
    assert trip.said[2] == {10: -11, 18: 1}.get(advice, 0)


# mlock2 325 with MLOCK_ONFAULT 1
@pytest.mark.parametrize(("flags", "letters", "pages"), [(0, {"lo"}, 3), (1, {"lo", "lf"}, 1)])
def test_locks_survive(tmp_path: Path, flags: int, letters: set[str], pages: int) -> None:
    source = f"""
    at = area(3)
    put(at, b"locked")
    call(325, at, 3 * PAGE, {flags})
    pause()
    said = seen(at)
    there = ctypes.create_string_buffer(3)
    call(27, at, 3 * PAGE, there)
    say([said, status("VmLck"), sum(there.raw), get(at, 6)])
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    [[seen, _, there, contents]] = trip.said
    assert letters == letters & set(seen[2])
    assert there == pages
    assert contents == "locked"


def test_an_area_that_grows_down_still_grows(tmp_path: Path) -> None:
    source = """
    room = area(1024)
    call(11, room, 1024 * PAGE)
    at = call(9, room + 1020 * PAGE, 2 * PAGE, 3, 0x100122, -1, 0)
    put(at, b"top")
    pause()
    say(seen(at))
    put(at - 8, b"below")
    say([get(at - 8, 5), get(at, 3)])
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    assert "gd" in trip.said[0][2]
    assert trip.said[1] == ["below", "top"]


def test_no_reserve_survives(tmp_path: Path) -> None:
    source = """
    at = area(1 << 20, flags=0x4022)
    put(at + (PAGE << 19), b"sparse")
    pause()
    say([seen(at), get(at + (PAGE << 19), 6)])
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    assert "nr" in trip.said[0][0][2]
    assert trip.said[0][1] == "sparse"


def test_a_name_survives(tmp_path: Path) -> None:
    source = """
    at = area(2)
    try:
        prctl(0x53564D41, 0, at, 2 * PAGE, b"a name\\0")
        named = True
    except OSError:
        named = False
    pause()
    say([named, [n.split(None, 5)[5:] for n in read("/proc/self/maps").splitlines() if n.startswith(f"{at:08x}-")]])
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    if not trip.said[0][0]:
        pytest.skip("machine cannot: this kernel is built without CONFIG_ANON_VMA_NAME")
    assert trip.said == [[True, [["[anon:a name]"]]]]


def test_a_sealed_area_stays_sealed(tmp_path: Path) -> None:
    source = """
    at = area(2)
    put(at, b"sealed")
    try:
        call(462, at, 2 * PAGE, 0)
        sealed = True
    except OSError:
        sealed = False
    pause()
    try:
        call(11, at, 2 * PAGE)
        say(["unmapped", sealed])
    except OSError as error:
        say([error.errno, sealed, "sl" in seen(at)[2], get(at, 6)])
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    if not trip.said[0][1]:
        pytest.skip("machine cannot: this kernel has no mseal(2)")
    assert trip.said == [[1, True, True, "sealed"]]


SHARED = """
at = area({pages}, flags=0x21)
for n in range({pages}):
    put(at + n * PAGE, b"page %06d" % n)
heard, told = os.pipe()
pid = os.fork()
if not pid:
    call(11, at, 2 * PAGE)                   # what it keeps begins at an offset
    os.write(told, b"x")
    os.close(told)
    os.close(heard)
    wait()
    good = all(get(at + n * PAGE, 11) == "page %06d" % n for n in range(2, {pages}) if n != 3)
    good = good and get(at + 3 * PAGE, 6) == "parent" and seen(at + 2 * PAGE)[1] == {pages} - 2
    put(at + 4 * PAGE, b"child")
    os._exit(0 if good else 1)
os.read(heard, 1)
os.close(heard)
os.close(told)
window = call(25, at + 4 * PAGE, 0, PAGE, 1) # a second mapping of one page
pause()
put(at + 3 * PAGE, b"parent")
os.kill(pid, signal.SIGUSR1)
say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
say([get(window, 5), get(at + 4 * PAGE, 5), [get(at + n * PAGE, 11) for n in (0, 1, 2, {pages} - 1)], seen(at)])
"""


def test_relatives_still_share_anonymous_memory(tmp_path: Path) -> None:
    trip = harness.roundtrip(tmp_path, memory(SHARED.format(pages=6)))
    assert trip.said == trip.control
    assert trip.said[0] == 0
    assert trip.said[1][:3] == ["child", "child", ["page 000000", "page 000001", "page 000002", "page 000005"]]


FILE = """
with open("data", "wb") as f:
    f.write(b"".join(b"page %06d" % n + bytes(PAGE - 11) for n in range(4)))
fd = os.open("data", os.O_RDWR)
"""


def test_pages_of_a_private_file_mapping_that_were_changed_survive(tmp_path: Path) -> None:
    source = """
    at = area(3, flags=2, fd=fd, offset=PAGE)
    os.close(fd)
    put(at + PAGE, b"mine")
    call(10, at, 3 * PAGE, 1)
    pause()
    say([get(at + n * PAGE, 11) for n in range(3)])
    say(seen(at))
    say(open("data", "rb").read().decode().replace("\\0", ""))
    """
    trip = harness.roundtrip(tmp_path, memory(FILE + textwrap.dedent(source)))
    assert trip.said == trip.control
    assert trip.said[0] == ["page 000001", "mine 000002", "page 000003"]
    assert trip.said[2] == "page 000000page 000001page 000002page 000003"


@pytest.mark.parametrize("flags", ["2, fd=fd, offset=PAGE", "0x22"])
def test_pages_that_a_debugger_wrote_survive(tmp_path: Path, flags: str) -> None:
    # by FOLL_FORCE, as breakpoints are set; the area never was writable, and is not counted
    source = f"""
    at = area(3, prot=5, flags={flags})
    other = area(1)
    put(other, b"beside")
    mem = os.open("/proc/self/mem", os.O_RDWR)
    os.pwrite(mem, b"mine", at + PAGE)
    os.close(mem)
    pause()
    say([get(at + PAGE, 11), get(other, 6), seen(at)])
    """
    trip = harness.roundtrip(tmp_path, memory(FILE + textwrap.dedent(source)))
    assert trip.said == trip.control
    assert (trip.said[0][0][:4], "ac" in trip.said[0][2][2]) == ("mine", False)


def test_a_shared_file_mapping_still_writes_the_file(tmp_path: Path) -> None:
    source = """
    at = area(3, flags=1, fd=fd, offset=PAGE)
    os.close(fd)
    put(at, b"one!")
    pause()
    put(at + PAGE, b"two!")
    say(seen(at))
    say(open("data", "rb").read().decode().replace("\\0", ""))
    """
    trip = harness.roundtrip(tmp_path, memory(FILE + textwrap.dedent(source)))
    assert trip.said == trip.control
    assert trip.said[1] == "page 000000one! 000001two! 000002page 000003"


@pytest.mark.parametrize("shared", [True, False])
def test_a_mapping_of_a_file_without_a_name_survives(tmp_path: Path, shared: bool) -> None:
    source = f"""
    at = area(3, flags={1 if shared else 2}, fd=fd, offset=PAGE)
    os.close(fd)
    os.unlink("data")
    put(at + PAGE, b"mine")
    pause()
    say([get(at + n * PAGE, 11) for n in range(3)])
    say(seen(at))
    say(os.path.exists("data"))
    """
    trip = harness.roundtrip(tmp_path, memory(FILE + textwrap.dedent(source)))
    assert trip.said == trip.control
    assert trip.said[0] == ["page 000001", "mine 000002", "page 000003"]
    assert trip.said[2] is False


def test_the_heap_still_grows(tmp_path: Path) -> None:
    source = """
    end = call(12, 0)
    call(12, end + 4 * PAGE)
    put(end, b"before")
    pause()
    say(call(12, 0) - end)
    say(call(12, end + 8 * PAGE) - end)
    put(end + 7 * PAGE, b"after")
    say([get(end, 6), get(end + 7 * PAGE, 5)])
    say(sum(n.endswith("[heap]") for n in read("/proc/self/maps").splitlines()))
    """
    trip = harness.roundtrip(tmp_path, memory(source))
    assert trip.said == trip.control
    assert trip.said == [4 * 4096, 8 * 4096, ["before", "after"], 1]


# mbind 237 with MPOL_BIND 2 or MPOL_INTERLEAVE 3
@pytest.mark.parametrize("mode", [2, 3])
def test_an_area_with_a_policy_of_its_own_is_refused(tmp_path: Path, mode: int) -> None:
    source = f"""
    at = area(4)
    call(237, at + PAGE, PAGE, {mode}, struct.pack("<Q", 1), 65, 0)
    pause()
    """
    subject = harness.start(tmp_path, memory(source))
    try:
        with pytest.raises(Refused) as caught:
            holdfast.dump(subject.pid, tmp_path / "image")
        subject.go()
        subject.end()
    finally:
        subject.kill()
    assert [r.code for r in caught.value.refusals] == ["mm.policy"]


def test_an_area_with_a_protection_key_is_refused(tmp_path: Path) -> None:
    if " ospke" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("machine cannot: the processor has no protection keys")
    source = """
    at = area(1)
    call(329, at, PAGE, 3, call(330, 0, 0))
    pause()
    """
    assert harness.refused(tmp_path, memory(source)) == ["mm.protection_key"]


BIG = """
kept = area(1280)
gone = area(1280)
wiped = area(1280)
apart = area(1280, flags=0x21)
for at in (kept, gone, wiped, apart):
    for n in range(1280):
        put(at + n * PAGE, b"%07d" % n)
call(28, gone, 1280 * PAGE, 10)
call(28, wiped, 1280 * PAGE, 18)
"""


def test_what_a_fork_would_lose_is_in_the_image_of_a_program_that_goes_on(tmp_path: Path) -> None:
    # 20 MiB: more than is copied while the program stands still
    source = """
    pause()
    say([all(get(at + n * PAGE, 7) == "%07d" % n for n in range(1280)) for at in (kept, gone, wiped, apart)])
    for at in (kept, gone, wiped, apart):
        put(at, bytes(1280 * PAGE))          # the image may not see this
    """
    trip = harness.roundtrip(tmp_path, memory(BIG + textwrap.dedent(source)), leave_running=True)
    assert trip.said == trip.left == trip.control == [[True, True, True, True]]
    assert trip.dumped.how == "twin"


def test_relatives_that_go_on_leave_an_image_of_what_they_shared(tmp_path: Path) -> None:
    trip = harness.roundtrip(tmp_path, memory(SHARED.format(pages=4096)), leave_running=True)
    assert trip.said == trip.left == trip.control
    assert trip.said[0] == 0
    assert trip.dumped.how == "twin"


GUARDS = """
def reachable(at):
    # whether a byte of our own can be read, asked of the kernel
    line, far = os.pipe()
    try:
        return call(1, far, at, 1)
    except OSError as e:
        return e.errno
    finally:
        os.close(line)
        os.close(far)
"""


@pytest.mark.parametrize("leave_running", [False, True])
def test_guard_pages_survive(tmp_path: Path, leave_running: bool) -> None:
    source = """
    at = area(6)
    put(at, b"kept" * 1024 * 6)
    name = os.open("file", os.O_RDWR | os.O_CREAT)
    os.write(name, b"file" * 1024 * 3)
    mapped = area(3, 3, 2, name)
    put(mapped, b"mine" * 1024 * 3)
    try:
        call(28, at + PAGE, 2 * PAGE, 102)
        call(28, at + 4 * PAGE, PAGE, 102)
        call(28, mapped + 2 * PAGE, PAGE, 102)
    except OSError:
        say("none")
    pause()
    say([reachable(at + n * PAGE) for n in range(6)])
    say([reachable(mapped + n * PAGE) for n in range(3)])
    call(28, at + PAGE, PAGE, 103)
    say([get(at + n * PAGE, 4) for n in (0, 3, 5)] + [get(at + PAGE, 1), get(mapped, 4)])
    """
    trip = harness.roundtrip(tmp_path, memory(GUARDS + textwrap.dedent(source)), leave_running=leave_running)
    if trip.said[0] == "none":
        pytest.skip("machine cannot: its kernel has no guard pages (Linux 6.13)")
    assert trip.said == trip.control == [[1, 14, 14, 1, 14, 1], [1, 1, 14], ["kept", "kept", "kept", "\0", "mine"]]


def test_guard_pages_of_memory_that_makes_a_twin_survive(tmp_path: Path) -> None:
    source = """
    at = area(5000)
    for n in range(5000):
        put(at + n * PAGE, b"%d" % n)
    try:
        for n in range(0, 5000, 2):
            call(28, at + n * PAGE, PAGE, 102)
    except OSError:
        say("none")
    pause()
    say([n for n in range(5000) if reachable(at + n * PAGE) != (14 if n % 2 == 0 else 1)])
    say([n for n in range(1, 5000, 2) if get(at + n * PAGE, 4) != str(n).ljust(4, "\\0")])
    """
    trip = harness.roundtrip(tmp_path, memory(GUARDS + textwrap.dedent(source)), leave_running=True)
    if trip.said[0] == "none":
        pytest.skip("machine cannot: its kernel has no guard pages (Linux 6.13)")
    assert trip.dumped.how == "twin"
    assert trip.said == trip.control == [[], []]


def test_guard_pages_that_a_kernel_does_not_show_are_refused_when_they_are_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as Linux 6.13 to 6.17: no letter in VmFlags, so nobody asks for them
    kind = registry.kinds()["mm.guard"]
    monkeypatch.setitem(kind.verbs, "detect", lambda ev: None)
    source = """
    at = area(6)
    put(at, b"kept" * 1024 * 6)
    try:
        call(28, at + PAGE, 2 * PAGE, 102)
    except OSError:
        say("none")
    pause()
    say(get(at, 4))
    """
    subject = harness.start(tmp_path, memory(source))
    try:
        with pytest.raises(Refused) as caught:
            holdfast.dump(subject.pid, tmp_path / "image")
        subject.go()
        subject.end()
    finally:
        subject.kill()
    if subject.said[0] == "none":
        pytest.skip("machine cannot: its kernel has no guard pages (Linux 6.13)")
    assert [r.code for r in caught.value.refusals] == ["mm.guard.unseen"]
    assert subject.said == ["kept"]


def test_guard_pages_in_shared_or_locked_memory_are_refused(tmp_path: Path) -> None:
    source = """
    shared = area(2, 3, 0x21)
    locked = area(2)
    call(28, shared, PAGE, 102)
    call(28, locked, PAGE, 102)
    try:
        call(149, locked, 2 * PAGE)
    except OSError:
        pass
    pause()
    """
    assert harness.refused(tmp_path, memory(source)) == ["mm.flag", "mm.guard.locked"]
