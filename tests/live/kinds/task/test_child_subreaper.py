"""What task.child_subreaper promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import harness
from tests.live.kinds.task.calls import with_calls

if TYPE_CHECKING:
    from pathlib import Path


def test_orphans_still_come_to_it(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(36, 1)
            pause()
            say(pid_value(37))
            child = os.fork()
            if child == 0:
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(7)
                os._exit(0)
            found = sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2))
            say(found)
            """
        ),
    )
    assert trip.said == trip.control == [1, [0, 7]]


def test_who_was_adopted_out_of_another_session_comes_back_to_its_adopter(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        with_calls(
            """
            prctl(36, 1)
            line, far = os.pipe()
            leader = os.fork()
            if leader == 0:
                os.setsid()
                middle = os.fork()
                if middle == 0:
                    if os.fork():
                        os._exit(0)
                    os.write(far, b"%d" % os.getpid())
                    signal.sigwait([signal.SIGUSR1])
                    os._exit(7 if os.getsid(0) != os.getpid() else 8)
                os.waitpid(middle, 0)
                signal.sigwait([signal.SIGUSR1])
                os._exit(5)
            adopted = int(os.read(line, 20))
            os.close(far)
            os.close(line)
            def place():
                return [int(read(f"/proc/{adopted}/stat").rpartition(")")[2].split()[1]) == os.getpid(), os.getsid(adopted) == leader]
            while not place()[0]:
                os.sched_yield()
            pause()
            say(place())
            for pid in (adopted, leader):
                os.kill(pid, signal.SIGUSR1)
                say(os.waitpid(pid, 0)[1] >> 8)
            """
        ),
    )
    assert trip.said == trip.control == [[True, True], 7, 5]
