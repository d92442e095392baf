"""task.creds: who a thread is and what it may do.

Carries:  real, effective, saved and filesystem user and group ids, supplementary groups, the five capability sets, securebits,
          no_new_privs; ids are those that the thread's own user namespace shows.
Loses:    supplementary groups where the user namespace denies setgroups(2): they become the restorer's; the audit login id and
          session, which name who logged in, become the restorer's, and a dump tells so where they are not the dumper's; keyrings are
          task.keyrings'.
Sources:  credentials(7), capabilities(7), user_namespaces(7), prctl(2), Linux kernel/sys.c, security/commoncap.c, kernel/audit.c.
"""

from __future__ import annotations

from struct import Struct as Format
from struct import iter_unpack

from holdfast.kernel import flags
from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, FlagSet, Kind, Loss, StatusKey, Struct, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, At, Out, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from holdfast.kinds.contract import Part, Probes, Steps, Verdict
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers, Call

PR_CAPBSET_DROP, PR_GET_SECUREBITS, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS = 24, 27, 28, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
CAP_SETPCAP, CAP_LAST_CAP = 8, 40
CAPABILITY_HEADER = Format("<Ii").pack(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, the caller itself
NO_SETUID_FIXUP = ("SECBIT_NO_SETUID_FIXUP",)
NOBODY = (1 << 32) - 1
SETS = {"inheritable": "Inh", "permitted": "Prm", "effective": "Eff", "bounding": "Bnd", "ambient": "Amb"}
WATCHES = (
    Struct("cred"),
    Struct("group_info"),
    StatusKey("Uid"),
    StatusKey("Gid"),
    StatusKey("Groups"),
    StatusKey("CapInh"),
    StatusKey("CapPrm"),
    StatusKey("CapEff"),
    StatusKey("CapBnd"),
    StatusKey("CapAmb"),
    StatusKey("NoNewPrivs"),
    FlagSet("capability"),
    FlagSet("securebits"),
)


class Creds(Record):
    """One thread's credentials. Groups are None where they cannot be set."""

    ruid: int
    euid: int
    suid: int
    fsuid: int
    rgid: int
    egid: int
    sgid: int
    fsgid: int
    groups: tuple[int, ...] | None
    inheritable: tuple[str, ...]
    permitted: tuple[str, ...]
    effective: tuple[str, ...]
    bounding: tuple[str, ...]
    ambient: tuple[str, ...]
    securebits: tuple[str, ...]
    no_new_privs: bool


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def refuse(ev: ThreadEvidence, kernel: Probes) -> Iterator[Verdict]:
    if ev is ev.process.leader and _login(ev) != (ours := tasks.own_login(ev.tree)):
        yield Loss(
            "task.creds",
            ev.process.id,
            f"its audit session is {_login(ev)}, ours is {ours}: restored, it is in the restorer's, with its login user id",
            "a login gets its number from the kernel, and only it may set who logged in, Linux kernel/audit.c audit_set_loginuid",
        )


def _login(ev: ThreadEvidence) -> int:
    # each time that a login id is set the session has a new number, so this alone tells them apart
    try:
        return int(ev.process.read("sessionid"))
    except FileNotFoundError:  # no CONFIG_AUDIT
        return tasks.NO_LOGIN


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, Creds]:
    status = ev.status
    program = Program()
    secure = program.call("prctl", PR_GET_SECUREBITS, 0, 0, 0, 0)
    foreign = None
    if ev.process.namespace("user") != tasks.own_namespace(ev.tree, "user"):
        foreign = _ask(program, len(status.groups))
    answers = yield program
    ids, supplementary = (*status.uids, *status.gids), status.groups
    if foreign is not None:
        users, others, user, group, many = foreign
        ids = (*_ids(answers.data(users)), answers.value(user), *_ids(answers.data(others)), answers.value(group))
        supplementary = _ids(answers.data(many))
    held = answers.value(secure)
    try:
        securebits = flags.names("securebits", held)
        inheritable, permitted, effective, bounding, ambient = (
            flags.names("capability", status.capabilities(key)) for key in SETS.values()
        )
    except flags.UnknownFlag as e:
        raise tasks.refused(
            f"task.{e.table}", ev, str(e), why="capabilities(7)", do="see `holdfast drift`; teach the name to kernel/flagtables.py"
        ) from e
    settable = ev.process.read("setgroups").strip() != b"deny"
    ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid = ids
    groups = supplementary if settable else None
    return Creds(
        ruid,
        euid,
        suid,
        fsuid,
        rgid,
        egid,
        sgid,
        fsgid,
        groups,
        inheritable,
        permitted,
        effective,
        bounding,
        ambient,
        securebits,
        status.no_new_privs,
    )


# The ids as the thread's own user namespace numbers them.
def _ask(program: Program, count: int) -> tuple[Out, Out, Call, Call, Out]:
    users, groups, many = Out(12), Out(12), Out(4 * count)
    for name, out in (("getresuid", users), ("getresgid", groups)):
        program.call(name, *(At(out, i) for i in (0, 4, 8)))
    # an id that cannot be one changes nothing and gives the present one (setfsuid(2))
    fsuid = program.call("setfsuid", NOBODY)
    fsgid = program.call("setfsgid", NOBODY)
    program.call("getgroups", count, many, check=count)
    return users, groups, fsuid, fsgid, many


def _ids(data: bytes) -> tuple[int, ...]:
    return tuple(n for (n,) in iter_unpack("<I", data))


def _capset(part: Part, inheritable: int, permitted: int, effective: int) -> None:
    # the sets as struct __user_cap_data_struct holds them, the low halves first
    sets = b"".join(Format("<3I").pack(*(s >> shift & NOBODY for s in (effective, permitted, inheritable))) for shift in (0, 32))
    part.call("capset", CAPABILITY_HEADER, sets)


# Ids first, with capabilities held through the change; then the bounding set; then down to the sets of the image, in two steps,
# because securebits and the bounding set need CAP_SETPCAP, which the image's own sets may lack.
def restore(rec: Creds, steps: Steps) -> None:
    part = steps.part(gives=("creds",), ends=("caps",))
    part.call("prctl", PR_SET_SECUREBITS, flags.bits("securebits", NO_SETUID_FIXUP), 0, 0, 0)
    if rec.groups is not None:
        part.call("setgroups", len(rec.groups), b"".join(g.to_bytes(4, "little") for g in rec.groups))
    part.call("setresgid", rec.rgid, rec.egid, rec.sgid)
    part.call("setresuid", rec.ruid, rec.euid, rec.suid)
    for name, wanted in (("setfsgid", rec.fsgid), ("setfsuid", rec.fsuid)):
        part.call(name, wanted, check=ANY)  # gives the former id, never an error
        part.call(name, NOBODY, check=wanted)
    inheritable, permitted, effective, bounding, ambient = (flags.bits("capability", getattr(rec, name)) for name in SETS)
    for capability in range(CAP_LAST_CAP + 1):
        if not bounding >> capability & 1:
            part.call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    part.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    setpcap = 1 << CAP_SETPCAP
    _capset(part, inheritable, permitted | setpcap, effective | setpcap)
    for capability in range(CAP_LAST_CAP + 1):
        if ambient >> capability & 1:
            part.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    part.call("prctl", PR_SET_SECUREBITS, flags.bits("securebits", rec.securebits), 0, 0, 0)
    _capset(part, inheritable, permitted, effective)
    if rec.no_new_privs:
        part.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


KIND = Kind("task.creds", record=Creds, subject="thread", watches=WATCHES, verbs=verbs(__name__))
