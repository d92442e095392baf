"""task.sched. Replies as Linux 6.18 gives them."""

from __future__ import annotations

import pytest

from holdfast.errors import Refused
from holdfast.kernel.sched import own_slice_ns
from holdfast.kinds.task.sched import ATTR, KIND, Sched
from tests.unit.kinds import captured


def attr(
    policy: int = 0, flags: int = 0, priority: int = 0, times: tuple[int, int, int] = (0, 0, 0), clamps: tuple[int, int] = (0, 0)
) -> bytes:
    return ATTR.pack(ATTR.size, policy, flags, 0, priority, *times, *clamps)


def dump(data: bytes, host: dict[str, bytes | OSError] | None = None) -> Sched:
    got: Sched = captured.dumped(KIND, captured.process(host=host).leader, {("sched_getattr",): (0, data)})
    return got


def test_a_plain_thread() -> None:
    assert dump(attr(times=(own_slice_ns(), 0, 0))) == Sched("normal", 0)


def test_a_slice_of_its_own_is_kept() -> None:
    assert dump(attr(times=(own_slice_ns() + 1, 0, 0))).slice_ns == own_slice_ns() + 1


def test_real_time_and_deadline() -> None:
    assert dump(attr(1, 1, 7)) == Sched("fifo", 0, 7, ("SCHED_FLAG_RESET_ON_FORK",))
    assert dump(attr(6, 4, 0, (1, 2, 3))) == Sched("deadline", 0, 0, ("SCHED_FLAG_DL_OVERRUN",), 1, 2, 3)


def test_a_deadline_is_asked_for_by_who_may_run_on_every_cpu() -> None:
    calls = captured.calls(KIND, Sched("deadline", 0, 0, (), 1, 2, 3), captured.THREAD)
    assert [c[0] for c in calls] == ["sched_setaffinity", "sched_setattr", "setpriority"]
    assert [c[0] for c in captured.calls(KIND, Sched("fifo", 0, 7), captured.THREAD)] == ["sched_setattr", "setpriority"]


def test_zero_clamps_are_clamps_only_where_the_kernel_has_them() -> None:
    assert dump(attr(times=(own_slice_ns(), 0, 0))).clamp_max is None
    assert dump(attr(times=(own_slice_ns(), 0, 0)), {"sys/kernel/sched_util_clamp_max": b"1024\n"}).clamp_max == 0
    assert dump(attr(times=(own_slice_ns(), 0, 0), clamps=(0, 1024))).clamp_max is None


def test_an_unknown_policy_and_an_unknown_flag_are_refused() -> None:
    words = captured.STAT.split()
    words[40] = b"9"
    assert captured.verdicts(KIND, captured.process({"stat": b" ".join(words)}).leader) == ["task.policy"]
    with pytest.raises(Refused) as caught:
        dump(attr(flags=1 << 30))
    assert caught.value.code == "refused.task.sched_flags"


def test_the_nice_value_of_a_real_time_thread_is_set_apart() -> None:
    [part] = captured.written(KIND, Sched("rr", 5, 3), captured.THREAD)
    assert {"caps", "limits"} <= part.needs
    assert part.calls == [("sched_setattr", 0, ATTR.pack(56, 2, 0, 5, 3, 0, 0, 0, 0, 1024), 0), ("setpriority", 0, 0, 5)]
    [part] = captured.written(KIND, Sched("normal", 5, slice_ns=8, clamp_min=1), captured.THREAD)
    assert part.calls == [("sched_setattr", 0, ATTR.pack(56, 0, 96, 5, 0, 8, 0, 0, 1, 1024), 0)]
