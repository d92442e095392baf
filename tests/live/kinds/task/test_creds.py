"""What task.creds promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


def test_ids_groups_and_filesystem_ids_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            keep_output()
            os.setgroups([5, 70000])
            os.setresgid(1, 2, 3)
            call(123, 9)
            os.setresuid(4, 5, 0)
            pause()
            say([os.getresuid(), os.getresgid(), os.getgroups(), status("Uid"), status("Gid")])
            """
        ),
    )
    assert trip.said == trip.control


def test_a_daemon_that_gave_up_root_stays_without_it(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            keep_output()
            os.setgroups([])
            os.setresgid(1, 1, 1)
            os.setresuid(1, 1, 1)
            pause()
            say([status(k) for k in ("Uid", "Gid", "CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")])
            try:
                os.setuid(0)
            except PermissionError:
                say("kept out")
            """
        ),
    )
    assert trip.said == trip.control
    assert trip.said[-1] == "kept out"


def test_securebits_and_no_new_privs_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(28, 0x2F)
            prctl(38, 1)
            pause()
            say([prctl(27), prctl(39)])
            """
        ),
    )
    assert trip.said == trip.control == [[0x2F, 1]]


def test_capability_sets_survive(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            sets = struct.pack("<6I", 0x20, 0x3F, 0x21, 0, 0, 0)
            for capability in (12, 21, 40):
                prctl(24, capability)
            call(126, struct.pack("<Ii", 0x20080522, 0), sets)
            prctl(47, 2, 5)
            pause()
            say([status(k) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")])
            """
        ),
    )
    assert trip.said == trip.control
    assert trip.said[0][:3] == ["0000000000000021", "000000000000003f", "0000000000000020"]
    assert trip.said[0][4] == "0000000000000020"


def test_threads_of_one_process_keep_credentials_of_their_own(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            seen = {}
            def run(i):
                call(117, i, i, i)  # setresuid of this thread alone
                started.release()
                go.wait()
                seen[i] = [status("Uid", threading.get_native_id()), status("CapEff", threading.get_native_id())]
            started, go = threading.Semaphore(0), threading.Event()
            threads = [threading.Thread(target=run, args=(i,)) for i in (7, 8)]
            for thread in threads:
                thread.start()
                started.acquire()
            pause()
            go.set()
            for thread in threads:
                thread.join()
            say([seen, status("Uid")])
            """
        ),
    )
    assert trip.said == trip.control == [[{str(i): [f"{i}\t{i}\t{i}\t{i}", "0" * 16] for i in (7, 8)}, "0\t0\t0\t0"]]


def test_a_login_of_its_own_is_a_loss_that_is_said(tmp_path: Path) -> None:
    source = """
        before = read("/proc/self/loginuid")
        with open("/proc/self/loginuid", "w") as f:
            f.write("1000")
        pause()
        say([read("/proc/self/loginuid") == before])
        """
    with open("/proc/self/loginuid", encoding="ascii") as f:
        if f.read() != str(2**32 - 1):
            pytest.skip("machine cannot: who logged in is set, and may be set once")
    trip = harness.roundtrip(tmp_path, with_calls(source))
    assert [line.split(":")[0] for line in trip.losses] == ["task.creds"]
    assert (trip.said, trip.control) == ([[True]], [[False]])
