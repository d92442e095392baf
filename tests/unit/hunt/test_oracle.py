"""Which differences count: decisions of the ledger, decisions by place, times, areas that merge."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from holdfast.drift import ledger
from holdfast.errors import UsageError
from holdfast.hunt import places
from holdfast.hunt.observe import Sight
from holdfast.hunt.oracle import Judge, without_address, without_inode
from holdfast.hunt.verdict import Proof

if TYPE_CHECKING:
    from pathlib import Path

JUDGE = Judge(ledger.load(), (6, 18))


def kernel(struct: str, field: str, value: str, type_text: str = "int") -> Sight:
    return Sight("kernel", struct, field, value, type_text)


def lost(before: dict[str, Sight], after: dict[str, Sight]) -> list[str]:
    return [p.signature for p in JUDGE.differences(before, after)]


def test_a_carried_field_that_changed_is_lost_and_says_where_it_is_carried() -> None:
    [proof] = JUDGE.differences(
        {"leader.timer_slack_ns": kernel("task_struct", "timer_slack_ns", "77", "u64")},
        {"leader.timer_slack_ns": kernel("task_struct", "timer_slack_ns", "50000", "u64")},
    )
    assert (proof.before, proof.after, proof.decision) == ("77", "50000", "carried")
    assert proof.source.startswith("task.timer_slack.")


def test_a_rebuilt_field_is_free_and_an_unknown_one_is_not() -> None:
    assert lost({"x": kernel("task_struct", "stack", "1", "void*")}, {"x": kernel("task_struct", "stack", "2", "void*")}) == []
    assert lost({"x": kernel("no_such_struct", "field", "1")}, {"x": kernel("no_such_struct", "field", "2")}) == ["no_such_struct.field"]


def test_what_is_gone_or_new_counts_too() -> None:
    mask = Sight("proc", "status-keys", "Umask", "0022")
    assert lost({"a": mask}, {}) == ["status-keys.Umask"]
    assert lost({}, {"a": mask}) == ["status-keys.Umask"]
    assert lost({"a": Sight("proc", "status-keys", "VmHWM", "1 kB")}, {}) == []


def test_a_time_that_runs_down_may_and_one_that_stops_may_not() -> None:
    def timer(text: str) -> dict[str, Sight]:
        return {"leader.fd[3].it_value[0]": Sight("proc", "fdinfo-keys", "it_value", text)}

    assert lost(timer("(60, 5)"), timer("(58, 0)")) == []
    assert lost(timer("(60, 5)"), timer("(0, 0)")) == ["fdinfo-keys.it_value"]
    assert lost(timer("(60, 5)"), timer("(61, 0)")) == ["fdinfo-keys.it_value"]
    assert lost(timer("(60, 5)"), timer("(10, 0)")) == ["fdinfo-keys.it_value"]
    assert lost(timer("(0, 0)"), timer("(1, 0)")) == ["fdinfo-keys.it_value"]


def test_a_timer_of_cpu_time_expires_by_the_clock_of_its_process() -> None:
    def timer(ns: int) -> dict[str, Sight]:
        return {"leader.signal.posix_timers[0].it.cpu.node.expires": kernel("cpu_timer", "node", str(ns), "struct timerqueue_node")}

    assert lost(timer(60_000_000_000), timer(59_000_000_000)) == []
    assert lost(timer(60_000_000_000), timer(30_000_000_000)) == ["cpu_timer.node"]
    assert lost(timer(60_000_000_000), timer(0)) == ["cpu_timer.node"]


def test_the_number_of_a_pipe_is_free_and_that_of_a_named_file_is_not() -> None:
    def look(link: str, number: str) -> dict[str, Sight]:
        return {
            "leader.fd[3].link": Sight("proc", "fd", "link", link),
            "leader.files.fd[3].f_inode.i_ino": kernel("inode", "i_ino", number, "long unsigned int"),
        }

    assert lost(look("pipe:[#1]", "1"), look("pipe:[#1]", "2")) == []
    assert lost(look("/tmp/f", "1"), look("/tmp/f", "2")) == ["inode.i_ino"]


def test_the_file_of_a_socket_may_be_another_and_no_other_file_that_has_a_name() -> None:
    def look(mode: int, number: str) -> dict[str, Sight]:
        return {
            "leader.fd[3].link": Sight("proc", "fd", "link", "/tmp/s"),
            "leader.files.fd[3].f_inode.i_mode": kernel("inode", "i_mode", str(mode), "umode_t"),
            "leader.files.fd[3].f_inode.i_ino": kernel("inode", "i_ino", number, "long unsigned int"),
        }

    assert lost(look(0o140755, "7"), look(0o140755, "8")) == []
    assert lost(look(0o100755, "7"), look(0o100755, "8")) == ["inode.i_ino"]
    assert "inode.i_ino" in lost(look(0o140755, "7"), look(0o100755, "8"))


def test_identity_may_change_and_presence_may_not() -> None:
    def look(value: str) -> dict[str, Sight]:
        return {"leader.mm.vma[0x1000].vm_file": kernel("vm_area_struct", "vm_file", value, "struct file*")}

    assert lost(look("@leader.mm.exe_file"), look("@leader.mm.vma[0x1000].vm_file")) == []
    assert lost(look("@leader.mm.exe_file"), look("null")) == ["vm_area_struct.vm_file"]


def test_what_is_left_of_a_connection_is_free_where_the_socket_is_closed() -> None:
    def look(state: int, cwnd: str, nodelay: str) -> dict[str, Sight]:
        at = "leader.files.fd[3].private.sk"
        return {
            f"{at}.inet_conn.icsk_inet.sk.__sk_common.skc_state": kernel("sock_common", "skc_state", str(state), "volatile unsigned char"),
            f"{at}.snd_cwnd": kernel("tcp_sock", "snd_cwnd", cwnd, "u32"),
            f"{at}.nonagle": kernel("tcp_sock", "nonagle", nodelay, "u8"),
        }

    closed, established = 7, 1
    assert lost(look(closed, "10", "0"), look(closed, "11", "0")) == []
    assert lost(look(closed, "10", "0"), look(closed, "11", "1")) == ["tcp_sock.nonagle"]
    assert lost(look(established, "10", "0"), look(established, "11", "0")) == ["tcp_sock.snd_cwnd"]
    assert "tcp_sock.snd_cwnd" in lost(look(established, "10", "0"), look(closed, "11", "0"))


def test_by_which_address_a_group_was_joined_is_free_and_the_group_is_not() -> None:
    def look(address: str, group: str) -> dict[str, Sight]:
        at = "leader.files.fd[3].private.sk.inet.mc_list.next_rcu.multi"
        return {
            f"{at}.imr_address.s_addr": kernel("ip_mc_socklist", "multi", address, "__be32"),
            f"{at}.imr_multiaddr.s_addr": kernel("ip_mc_socklist", "multi", group, "__be32"),
        }

    assert lost(look("16777343", "50463200"), look("0", "50463200")) == []
    assert lost(look("0", "50463200"), look("0", "67240416")) == ["ip_mc_socklist.multi"]


def area(start: int, end: int, flags: str = "rd wr", name: str = "") -> dict[str, Sight]:
    at = f"leader.area[{start:08x}]"
    return {
        f"{at}.end": Sight("proc", "maps", "end", f"{end:08x}"),
        f"{at}.name": Sight("proc", "maps", "name", name),
        f"{at}.VmFlags": Sight("proc", "smaps-keys", "VmFlags", flags),
        f"{at}.Size": Sight("proc", "smaps-keys", "Size", f"{(end - start) >> 10} kB"),
    }


def test_neighbours_that_are_alike_are_one_area() -> None:
    whole = area(0x10000, 0x14000)
    assert lost(area(0x10000, 0x12000) | area(0x12000, 0x14000), whole) == []
    assert lost(area(0x10000, 0x12000) | area(0x12000, 0x14000, name="[heap]"), whole) == []
    assert set(lost(area(0x10000, 0x12000) | area(0x12000, 0x14000, "rd"), whole)) == {
        "maps.end",
        "maps.name",
        "smaps-keys.Size",
        "smaps-keys.VmFlags",
    }
    assert "maps.end" in lost(area(0x10000, 0x12000) | area(0x13000, 0x14000), whole)
    assert "maps.end" in lost(area(0x10000, 0x12000, name="/f") | area(0x12000, 0x14000, name="/f"), area(0x10000, 0x14000, name="/f"))


def test_a_state_is_visible_where_it_must_come_back_and_differs_by_itself_nowhere() -> None:
    without = {"a": Sight("proc", "status-keys", "Umask", "0022"), "b": Sight("proc", "status-keys", "VmHWM", "1")}
    state = {"a": Sight("proc", "status-keys", "Umask", "0007"), "b": Sight("proc", "status-keys", "VmHWM", "2")}
    assert JUDGE.visible(without, frozenset(), state) == ("status-keys.Umask",)
    assert JUDGE.visible(without, frozenset("a"), state) == ()


def test_every_place_has_a_reason_and_a_pattern_that_compiles(tmp_path: Path) -> None:
    assert len(places.load(ledger.folder())) >= 10
    (tmp_path / "places.toml").write_text('[[place]]\npath = "("\ndecision = "rebuilt"\nwhy = "x"\nsource = "y"\n')
    with pytest.raises(UsageError):
        places.load(str(tmp_path))
    (tmp_path / "places.toml").write_text('[[place]]\npath = "x"\ndecision = "hidden"\nwhy = "x"\nsource = "y"\n')
    with pytest.raises(UsageError):
        places.load(str(tmp_path))


def test_a_socket_may_have_another_inode_and_no_other_mode_or_owner() -> None:
    def stat(mode: int, ino: int, uid: int, mtime: int) -> bytes:
        fields = struct.pack("<QQQIIIIQqqq", 9, ino, 1, mode, uid, 0, 0, 0, 0, 4096, 0)
        return fields + struct.pack("<6Q", 1, 2, mtime, 4, 5, 6) + bytes(24)

    one = stat(0o140600, 77, 1000, 3)
    assert without_inode("fstat", one) == without_inode("fstat", stat(0o140600, 78, 1000, 9))
    assert without_inode("fstat", one) != without_inode("fstat", stat(0o140700, 77, 1000, 3))
    assert without_inode("fstat", one) != without_inode("fstat", stat(0o140600, 77, 1001, 3))
    regular = stat(0o100600, 77, 1000, 3)
    assert without_inode("fstat", regular) == regular
    assert without_inode("read", one) == one


def test_a_timer_that_stood_still_until_it_was_asked_runs_on_and_loses_nothing() -> None:
    def timer(left: str, ticks: str, interval: str = "(60, 0)") -> dict[str, Sight]:
        values = {"it_value": left, "it_interval": interval, "ticks": ticks}
        proc = {f"leader.fd[3].{k}[0]": Sight("proc", "fdinfo-keys", k, v) for k, v in values.items()}
        return {**proc, "leader.files.fd[3].private.ticks": kernel("timerfd_ctx", "ticks", ticks, "u64")}

    assert lost(timer("(0, 0)", "1"), timer("(59, 5)", "72")) == []
    assert lost(timer("(0, 0)", "2"), timer("(59, 5)", "1")) != []
    assert lost(timer("(0, 0)", "0"), timer("(59, 5)", "1")) != []
    assert lost(timer("(0, 0)", "1"), timer("(61, 0)", "1")) == ["fdinfo-keys.it_value"]
    assert lost(timer("(5, 0)", "1"), timer("(0, 0)", "1")) == ["fdinfo-keys.it_value"]


def test_where_the_ring_of_an_aio_context_lies_is_free() -> None:
    assert without_address("io_setup", b"\x00\x60\xff\xf7\xff\x7f\x00\x00") == bytes(8)
    assert without_address("rt_sigpending", b"\x01" * 8) == b"\x01" * 8


def test_a_decision_about_a_recipe_holds_where_it_is_one_of_several() -> None:
    proof = Proof("behaviour", "after[3] epoll_wait(3, [24], 2, 0)", "1", "0", "epoll_wait returns", "", "the twin")
    judge = Judge(ledger.load(), (6, 18))
    for name in (
        "epoll/told.pipe.EPOLLET",
        "pipe/flag.0 + epoll/told.pipe.EPOLLET",
        "epoll/told.pipe.EPOLLET@2",
        "a/b & epoll/order.two + c/d",
    ):
        assert judge.unexplained(name, [proof]) == []
    assert judge.unexplained("pipe/flag.0 + epoll/watch.pipe.EPOLLET", [proof]) == [proof]
