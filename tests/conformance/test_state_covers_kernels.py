"""The tables of the walk against the types of real kernels: 6.1, 6.12, 7.3 and the running one."""

from __future__ import annotations

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.specimen import load
from holdfast.kernel.state import layouts, unions
from holdfast.kernel.state.edges import BITWISE, EDGES, LISTS, PID_NUMBERS, STRUCTS, WAYS
from holdfast.kernel.state.layouts import Layouts
from holdfast.kernel.state.places import PLACES
from holdfast.kernel.state.predicates import SEGMENTS

KERNELS = ("live", "debian:6.1/cloud", "debian:6.1", "debian:6.12/cloud", "debian:6.12", "debian:7.3/cloud")
# what a kernel's types have no name for, each with the kernels that lack it; the walk names it as a gap, and a predicate of it is off
OLD, NEW = {"debian:6.1/cloud", "debian:6.1"}, {"debian:7.3/cloud"}
MIDDLE, LIVE = {"debian:6.12/cloud", "debian:6.12"}, {"live"}
LACKING = {
    "task_exec_state": OLD | MIDDLE | LIVE, "landlock_domain": OLD | MIDDLE | LIVE, "file_lease": OLD, "fanotify_mark": OLD,
    "landlock_file_security": OLD,
    "fanotify_mark.fsn_mark": OLD, "file_lease.link": OLD, "landlock_ruleset.access_masks": OLD | NEW, "cred_security_struct": OLD | MIDDLE,
    "k_itimer.ignored_list": OLD | MIDDLE, "thread_struct.fpu": LIVE | NEW,
    "restart_block.poll.end_time": OLD | MIDDLE | LIVE, "restart_block.poll.tv_sec": NEW, "restart_block.poll.tv_nsec": NEW,
    "landlock_cred_security.log_subdomains_off": OLD | MIDDLE, "landlock_file_security.allowed_access": OLD,
    "signal_struct.autoreap": OLD | MIDDLE | LIVE, "sock.sk_bpf_cb_flags": OLD | MIDDLE, "sock.sk_user_frags.xa_head": OLD,
    "task_struct.io_uring_restrict": OLD | MIDDLE | LIVE, "tcp_sock.ao_info": OLD | MIDDLE | LIVE, "thread_struct.features": OLD,
    "task_struct.compat_robust_list": NEW,
    "pid.attr": OLD | MIDDLE, "pidfs_attr.xattrs": OLD | MIDDLE, "pid_namespace.pid_max": OLD | MIDDLE,
    "pid_namespace.memfd_noexec_scope": OLD, "unix_sock.recvmsg_inq": OLD | MIDDLE,
    # it moved from one to the other
    "inet_sock.ipv6_fl_list": OLD, "ipv6_pinfo.ipv6_fl_list": MIDDLE | LIVE | NEW,
    # options that the kernels of this list do not have
    "task_struct.core_cookie": OLD | MIDDLE | LIVE | NEW, "mm_struct.context.lam_cr3_mask": OLD | MIDDLE | LIVE | NEW,
}  # fmt: skip
# what the configuration of a machine's own kernel may leave out
CONFIGURED = {"thread_struct.features", "task_struct.pasid_activated", "aa_file_ctx"}
GAPS = {"fsnotify_mark_connector.obj", "restart_block.futex"}


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> tuple[str, Layouts]:
    try:
        found = load(request.param)
    except KernelLacks as cause:
        pytest.skip(f"{cause.what}; reach a Debian mirror, then make test ARGS='{__file__}'")
    return request.param, Layouts(layouts.text(found.btf()))


def test_every_struct_and_place_resolves_or_is_named(kernel: tuple[str, Layouts]) -> None:
    name, found = kernel
    lacking = {s for s in STRUCTS if not found.has(s)} | {p for p in (*PLACES, *SEGMENTS) if not found.knows(p)}
    if name == "live":  # another machine may run any kernel
        assert lacking - LACKING.keys() - CONFIGURED == set()
    else:
        assert lacking == {what for what, kernels in LACKING.items() if name in kernels}


def test_every_union_has_a_rule_or_is_a_named_gap(kernel: tuple[str, Layouts]) -> None:
    _, found = kernel
    assert {gap for struct in STRUCTS if found.has(struct) for gap in found.gaps(struct)} <= GAPS


def test_every_plan_lies_within_its_struct(kernel: tuple[str, Layouts]) -> None:
    _, found = kernel
    outside = [
        f"{struct}.{row.path}"
        for struct in STRUCTS
        if found.has(struct)
        for row in found.plan(struct).by_path.values()
        if row.offset < 0 or row.offset + row.size > found.plan(struct).size
    ]
    assert outside == []


def test_every_condition_of_a_union_names_a_field(kernel: tuple[str, Layouts]) -> None:
    _, found = kernel
    rows = [(struct, row) for struct in STRUCTS if found.has(struct) for row in found.plan(struct).by_path.values() if row.when]
    assert [f"{s}.{row.path} hangs on {name}" for s, row in rows for name, _, _ in row.when if name not in found.plan(s).by_path] == []
    assert {"k_itimer.it.real.timer.node.expires", "timerfd_ctx.t.tmr.node.expires"} <= {f"{s}.{row.path}" for s, row in rows}


def test_no_entry_of_a_table_is_for_no_kernel() -> None:
    try:
        known = [Layouts(layouts.text(load(name).btf())) for name in KERNELS]
    except KernelLacks as cause:
        pytest.skip(f"{cause.what}; reach a Debian mirror, then make test ARGS='{__file__}'")
    own = {row.own for one in known for s in STRUCTS if one.has(s) for row in one.plan(s).by_path.values()}
    arms = {
        path for one in known for s in STRUCTS if one.has(s) for row in one.plan(s).by_path.values() for path in _above(f"{s}.{row.path}")
    }
    assert sorted((EDGES.keys() | LISTS.keys() | BITWISE | PID_NUMBERS) - own) == []
    assert sorted(s for s in STRUCTS if not any(one.has(s) for one in known)) == []
    assert sorted(p for p in PLACES if not any(one.knows(p) for one in known)) == []
    assert sorted(unions.WHEN.keys() - arms) == []
    assert sorted(w for w in WAYS if w not in SEGMENTS) == []


def _above(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(2, len(parts) + 1)]
