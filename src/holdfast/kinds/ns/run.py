"""ns.run: the namespaces that `holdfast run` made for a job: whose ids are mapped in them, and what the job is called.

Carries:  the maps of user and group ids, whether setgroups(2) is allowed, the job's name. A restore makes new user, pid and mount
          namespaces with an init, and in them every process with the pid that it had; what the old init had adopted is the new one's.
Loses:    the namespaces' own inode numbers (/proc/PID/ns), and the number that the last process got: new ones are counted from the
          highest pid of the image.
Sources:  user_namespaces(7), pid_namespaces(7), Linux kernel/user_namespace.c new_idmap_permitted.
"""

from __future__ import annotations

import os

from holdfast.kernel.procfs import listing
from holdfast.kernel.procfs.id_map import parse_id_map
from holdfast.kinds.contract import Claim, Kind, Refusal, Struct, verbs
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.kinds.contract import Host, Probes, Steps, Verdict
    from holdfast.kinds.evidence import TreeEvidence

CAP_SETGID, CAP_SETUID = 6, 7


class Range(Record):
    """Consecutive ids, and what they are outside."""

    inside: int
    outside: int
    count: int


class Run(Record):
    """The namespaces of one job; the name is empty where it has none."""

    users: tuple[Range, ...]
    groups: tuple[Range, ...]
    setgroups: bool
    name: bytes = b""


def detect(ev: TreeEvidence) -> Claim | None:
    return Claim("a job of holdfast run") if ev.in_run else None


def refuse(ev: TreeEvidence, kernel: Probes) -> Iterator[Verdict]:
    """Processes of the job that are not in the tree: it was not the job's first process that was asked for."""
    known = {int(p.pid) for p in ev.processes}
    init = ev.host.at(str(ev.init))
    for pid in listing.children(init):
        if int(pid) in known:
            continue
        try:
            stat = ev.host.read(f"{int(pid)}/stat")
        except OSError:
            continue  # it has just ended
        comm, _, rest = stat.partition(b"(")[2].rpartition(b")")
        if rest.split()[0] in b"ZX":
            continue
        yield Refusal(
            "ns.run_stray",
            f"pid {int(pid)} ({comm.decode('utf-8', 'backslashreplace')}) of the job is not below pid {int(ev.processes[0].pid)}",
            f"/proc/{ev.init}/task/{ev.init}/children",
            "a job is saved whole: without its first process its init ends the others",
            "dump the job by its name, or by the pid of its first process",
        )


def dump(ev: TreeEvidence) -> Run:
    init = ev.host.at(str(ev.init))
    users, groups = (tuple(Range(r.inside, r.outside, r.count) for r in parse_id_map(init.read(name))) for name in ("uid_map", "gid_map"))
    name = init.read("cmdline").rstrip(b"\0").partition(b"\0")[2]
    return Run(users, groups, init.read("setgroups").strip() == b"allow", name)


def ready(rec: Run, host: Host) -> Iterator[Refusal]:
    user, group = os.geteuid(), os.getegid()
    simple = rec.users == (Range(user, user, 1),) and rec.groups == (Range(group, group, 1),) and not rec.setgroups
    if simple or (_maps_any() and _holds(rec.users, user) and _holds(rec.groups, group)):
        return
    yield Refusal(
        "ns.run_ids",
        f"the job is one of user {_show(rec.users)}, group {_show(rec.groups)}; it cannot be restored as user {user}, group {group}",
        "/proc/self/uid_map",
        "an ordinary user can make a user namespace with its own two ids only, and root one that it is in itself; user_namespaces(7)",
        _as_its_user(rec),
    )


def _as_its_user(rec: Run) -> str:
    if len(rec.users) == len(rec.groups) == 1 and rec.users[0].count == rec.groups[0].count == 1:
        user, group = rec.users[0].outside, rec.groups[0].outside
        return (
            f"restore it as that user: setpriv --reuid {user} --regid {group} --init-groups holdfast restore IMAGE "
            f"(an image that root made goes to the user first: chown -R {user}:{group} IMAGE)"
        )
    return "restore it as root, in a user namespace that has these ids"


def _maps_any() -> bool:
    with open("/proc/self/status", "rb") as f:
        effective = next(int(line.split()[1], 16) for line in f if line.startswith(b"CapEff:"))
    return bool(effective >> CAP_SETUID & 1 and effective >> CAP_SETGID & 1)


def _holds(ranges: tuple[Range, ...], number: int) -> bool:
    return any(r.outside <= number < r.outside + r.count for r in ranges)


def _show(ranges: tuple[Range, ...]) -> str:
    return ", ".join(str(r.outside) if r.count == 1 else f"{r.outside} to {r.outside + r.count - 1}" for r in ranges)


def restore(rec: Run, steps: Steps) -> None:
    """Nothing to emit: the engine makes the namespaces before anything else."""


KIND = Kind(
    "ns.run",
    record=Run,
    subject="tree",
    watches=(Struct("user_namespace"), Struct("pid_namespace")),
    verbs=verbs(__name__),
)
