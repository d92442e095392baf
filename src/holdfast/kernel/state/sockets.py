"""Sockets: which struct a sock is the start of, addresses, queued messages, filters.

Source:  include/net/sock.h, include/net/af_unix.h, net/core/filter.c, include/linux/skbuff.h
"""

from __future__ import annotations

from holdfast.kernel.state.plan import LIST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.kernel.state.walk import After, Walk

_STREAM, _LISTENING = 1, 10
_UNIX, _INET, _INET6, _NETLINK, _PACKET = 1, 2, 10, 16, 17
_BY_FAMILY = {_UNIX: "unix_sock", _NETLINK: "netlink_sock", _PACKET: "packet_sock"}
_BY_PROTOCOL = {"TCP": "tcp_sock", "TCPv6": "tcp_sock", "UDP": "udp_sock", "UDPv6": "udp_sock", "RAW": "raw_sock", "RAWv6": "raw_sock"}
_MOST_NAME = 108  # sizeof sun_path
_MOST_BYTES = 1 << 20
_MOST_PASSED = 253  # SCM_MAX_FD
_MOST_SOURCES = 256


def struct_of(walk: Walk, sock: int) -> str:
    """The struct that a sock is the first member of: by family, and by the protocol's own name among internet sockets.

    Raises:  OSError: the socket is gone
    """
    family = walk.field(sock, "sock_common.skc_family")
    found = _BY_FAMILY.get(family, "sock")
    if family in {_INET, _INET6}:
        name = walk.text(walk.field(sock, "sock_common.skc_prot") + walk.layouts.at("proto.name"), 32)
        found = _BY_PROTOCOL.get(name, "inet_sock")
    if not walk.layouts.has(found):
        walk.gaps.add(found)  # the protocol is a module, whose types the kernel's BTF has not
        return "sock"
    return found


def _address(walk: Walk, address: int, _data: bytes, path: str) -> None:
    length = walk.field(address, "unix_address.len") & 0xFFFFFFFF
    name = walk.memory.read(address + walk.layouts.at("unix_address.name"), min(length, _MOST_NAME + 2))
    walk.put(f"{path}.name", name, "unix_address", "name", "struct sockaddr_un[]")


def stream(walk: Walk, sock: int) -> list[tuple[int, int]]:
    """Each sk_buff that waits in a unix stream, and how many of its bytes were not read; none for other sockets and for listeners.

    Shape:   0 bytes: an urgent byte was taken from there, and its place still ends a read
    Raises:  OSError: the queue came apart under our hands
    Source:  net/unix/af_unix.c: unix_skb_len, manage_oob
    """
    at, field = walk.layouts.at, walk.field
    if field(sock, "sock.sk_type") & 0xFFFF != _STREAM or field(sock, "sock_common.skc_state") & 0xFF == _LISTENING:
        return []
    consumed = at("sk_buff.cb") + at("unix_skb_parms.consumed")
    queued = walk.elements(LIST, sock + at("sock.sk_receive_queue"))
    return [(one, (walk.number(one + at("sk_buff.len"), 4) - walk.number(one + consumed, 4)) & 0xFFFFFFFF) for one in queued]


def _unix(walk: Walk, address: int, _data: bytes, path: str) -> None:
    if peer := walk.field(address, "unix_sock.peer"):
        walk.later(f"{path}.peer", peer, "unix_sock", "peer", "struct sock*")
    if walk.field(address, "sock.sk_type") & 0xFFFF == _STREAM and (sizes := [size for _, size in stream(walk, address)]):
        # in how many pieces its bytes came is nothing that a read could tell
        told, run = [], 0
        for size in sizes:
            if size:
                run += size
            else:
                told += [f"{run} bytes", "mark"] if run else ["mark"]
                run = 0
        text = " ".join([*told, f"{run} bytes"] if run else told)
        walk.put(f"{path}.sk.sk_receive_queue", text, "sock", "sk_receive_queue", "struct sk_buff_head")


def _groups(walk: Walk, address: int, _data: bytes, path: str) -> None:
    count, groups = walk.field(address, "netlink_sock.ngroups"), walk.field(address, "netlink_sock.groups")
    if groups and 0 < count <= 4096:
        walk.put(f"{path}.groups", walk.memory.read(groups, count + 7 >> 3), "netlink_sock", "groups", "long unsigned int*")


def _message(walk: Walk, address: int, data: bytes, path: str) -> None:
    plan = walk.layouts.plan("sk_buff")
    linear = plan.number(data, "len") - plan.number(data, "data_len")
    if 0 < linear <= _MOST_BYTES:
        walk.put(f"{path}.data", walk.memory.read(walk.field(address, "sk_buff.data"), linear), "sk_buff", "data", "unsigned char*")
    if walk.objects.get(path.rpartition(".sk.sk_receive_queue[")[0]) == "unix_sock":
        _passed(walk, address, path)


def _passed(walk: Walk, address: int, path: str) -> None:
    # files on their way through a unix socket: only so many of the array as its count says are there
    at = walk.layouts.at
    held = walk.number(address + at("sk_buff.cb") + at("unix_skb_parms.fp"))
    if not held:
        return
    count = min(walk.number(held + at("scm_fp_list.count"), 2), _MOST_PASSED)
    walk.put(f"{path}.fds", count, "scm_fp_list", "count", "short int")
    for n in range(count):
        file = walk.number(held + at("scm_fp_list.fp") + 8 * n)
        walk.reach(file, "file", f"{path}.fd[{n}]")
        walk.later(f"{path}.fd[{n}]", file, "scm_fp_list", "fp", "struct file*[253]")


def _program(walk: Walk, address: int, data: bytes, path: str) -> None:
    # instructions as user space gave them
    count = walk.layouts.plan("sock_fprog_kern").number(data, "len")
    code = walk.field(address, "sock_fprog_kern.filter")
    if code and 0 < count <= 4096:
        walk.put(f"{path}.filter", walk.memory.read(code, count * 8), "sock_fprog_kern", "filter", "struct sock_filter*")


def _sources(struct: str, listed: str, width: int) -> After:
    def after(walk: Walk, address: int, _data: bytes, path: str) -> None:
        # no list and an empty one are the same to every reader: net/ipv4/igmp.c ip_mc_sf_allow, ip_mc_msfget; net/ipv6/mcast.c
        held = walk.field(address, f"{struct}.sflist")
        count = min(walk.field(held, f"{listed}.sl_count") & 0xFFFFFFFF, _MOST_SOURCES) if held else 0
        sources = walk.memory.read(held + walk.layouts.at(f"{listed}.sl_addr"), count * width) if count else b""
        told = " ".join(sorted(sources[i : i + width].hex() for i in range(0, len(sources), width)))
        walk.put(f"{path}.sflist", told or "null", struct, "sflist", f"struct {listed}*")

    return after


AFTER: dict[str, After] = {
    "ip_mc_socklist": _sources("ip_mc_socklist", "ip_sf_socklist", 4),
    "ipv6_mc_socklist": _sources("ipv6_mc_socklist", "ip6_sf_socklist", 16),
    "unix_address": _address,
    "unix_sock": _unix,
    "netlink_sock": _groups,
    "sk_buff": _message,
    "sock_fprog_kern": _program,
}
