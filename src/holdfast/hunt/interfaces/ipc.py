"""States of System V and POSIX IPC in an IPC namespace of the subject's own: queues, semaphores, shared memory, message queues.

Source:  linux/ipc.h, linux/msg.h, linux/sem.h, linux/shm.h, linux/mqueue.h; sysvipc(7), msgop(2), semop(2), shmop(2),
         mq_overview(7), mq_notify(3)
"""

from __future__ import annotations

from holdfast.hunt.interfaces.script import Row, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.hunt.interfaces.harvest import Ask, Constants
    from holdfast.hunt.recipe import Recipe

OWN = "unshare(CLONE_NEWIPC)"
AREA = "area = mmap(0x20000000, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)"
CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
MESSAGES = f"{OWN} ; {AREA} ; q = msgget(0x4d53, IPC_CREAT|384)"
SEMAPHORES = f"{OWN} ; {AREA} ; s = semget(0x5345, 3, IPC_CREAT|384)"
MEMORY = f"{OWN} ; {AREA} ; m = shmget(0x5348, 8192, IPC_CREAT|384)"
ATTACHED = f"{MEMORY} ; map = shmat($m, 0x30000000, 0)"
# the words of msqid_ds, semid_ds and shmid_ds that no clock and no pid is in
PERMISSIONS = "peek($area, 24)"
QUEUE = f"msgctl($q, IPC_STAT, $area) ; {PERMISSIONS} ; peek($area+72, 24)"
SET = f"semctl($s, 0, IPC_STAT, $area) ; {PERMISSIONS} ; peek($area+80, 8) ; semctl($s, 0, GETALL, [6]) ; semctl($s, 0, GETNCNT, 0)"
SEGMENT = f"shmctl($m, IPC_STAT, $area) ; {PERMISSIONS} ; peek($area+48, 8) ; peek($area+88, 8)"
RECEIVE = "msgrcv($q, [64], 56, 0, IPC_NOWAIT)"


def recipes(constants: Constants, ask: Ask) -> Iterator[Recipe]:
    """States of IPC objects, one a recipe."""
    script = Script(constants)
    for interface, rows in {"msg": _queues, "sem": _semaphores, "shm": _segments, "mq": _posix}.items():
        yield from script.recipes(interface, rows(script))


def _send(kind: int, text: str, size: int | None = None) -> str:
    return f"msgsnd($q, {{<8:{kind}>, b'{text}'}}, {len(text) if size is None else size}, 0)"


def _permissions(control: str, stat: str, base: str, tail: str) -> Iterator[Row]:
    for what, (user, group, mode) in {
        "owner": (1000, 1000, 0o600),
        "mode": (0, 0, 0o666),
        "none": (0, 0, 0),
        "odd": (65534, 1, 0o7777),
    }.items():
        words = f"{{<4:0> <4:{user}> <4:{group}> <4:0> <4:0> <4:{mode}> <4:0> <4:0> <8:0> <8:0> {tail}}}"
        yield Row(f"IPC_SET.{what}", base, control.replace("WORDS", words), stat)


def _queues(script: Script) -> Iterator[Row]:
    takes = " ; ".join([RECEIVE] * 4)
    for flags in ("IPC_CREAT|384", "IPC_CREAT|IPC_EXCL|438", "IPC_CREAT|0"):
        yield Row(
            f"key.{flags.replace('|', '_')}",
            f"{OWN} ; {AREA}",
            f"q = msgget(0x4d53, {flags})",
            QUEUE,
            "msgget(0x4d53, 0) ; msgget(0x4d53, IPC_CREAT|IPC_EXCL)",
        )
    for key in ("IPC_PRIVATE", "-1", "1"):
        yield Row(f"key.{key}", f"{OWN} ; {AREA}", f"q = msgget({key}, IPC_CREAT|384)", QUEUE, f"{_send(1, 'x')} ; {RECEIVE}")
    for what, sends in {
        "one": _send(1, "hello"),
        "empty": _send(5, ""),
        "three": " ; ".join(_send(k, t) for k, t in ((3, "c"), (1, "a"), (2, "b"))),
        "high-type": _send(0x7FFFFFFFFFFFFFFF, "x"),
    }.items():
        yield Row(f"queued.{what}", MESSAGES, sends, QUEUE, takes)
        yield Row(
            f"queued.{what}.by-type",
            MESSAGES,
            sends,
            QUEUE,
            "msgrcv($q, [64], 56, 2, IPC_NOWAIT) ; msgrcv($q, [64], 56, -2, IPC_NOWAIT) ; msgrcv($q, [64], 56, 1, MSG_EXCEPT|IPC_NOWAIT) ;"
            f" {takes}",
        )
    yield Row(
        "queued.long",
        MESSAGES,
        "poke($area, b'\\x01\\0\\0\\0\\0\\0\\0\\0from') ; msgsnd($q, $area, 5000, 0)",
        QUEUE,
        "msgrcv($q, $area, 8000, 0, IPC_NOWAIT) ; peek($area, 16)",
    )
    yield Row("queued.after-receive", MESSAGES, f"{_send(1, 'first')} ; {_send(2, 'second')} ; {RECEIVE}", QUEUE, takes)
    for size in (0, 10, 16384):
        yield Row(
            f"IPC_SET.qbytes={size}",
            MESSAGES,
            f"msgctl($q, IPC_SET, {{<4:0> <4:0> <4:0> <4:0> <4:0> <4:384> <4:0> <4:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:{size}>"
            " <8:0> <8:0> <8:0>})",
            QUEUE,
            f"msgsnd($q, {{<8:1>, b'0123456789ab'}}, 12, IPC_NOWAIT) ; {takes}",
        )
    yield from _permissions("msgctl($q, IPC_SET, WORDS)", QUEUE, MESSAGES, "<8:0> <8:0> <8:0> <8:0> <8:0> <8:16384> <8:0> <8:0> <8:0>")
    yield Row("removed", MESSAGES, f"{_send(1, 'x')} ; msgctl($q, IPC_RMID, 0)", "", f"{RECEIVE} ; msgget(0x4d53, IPC_CREAT|384)")
    yield Row(
        "number.second",
        f"{MESSAGES} ; two = msgget(0, 384)",
        "msgctl($q, IPC_RMID, 0)",
        "",
        f"msgsnd($two, {{<8:1>, b'x'}}, 1, 0) ; msgget(0, 384) ; {RECEIVE}",
    )
    yield Row("shared", f"{MESSAGES} ; {CHILD}", f"child: {_send(1, 'from child')}", QUEUE, takes)


def _op(number: int, change: int, flags: str = "0") -> str:
    return f"semop($s, {{<2:{number}> <2:{change}> <2:{flags}>}}, 1)"


def _semaphores(script: Script) -> Iterator[Row]:
    for value in (1, 2, 32767):
        yield Row(f"SETVAL={value}", SEMAPHORES, f"semctl($s, 1, SETVAL, {value})", SET, f"{_op(1, -1, 'IPC_NOWAIT')} ; {SET}")
    yield Row("SETALL", SEMAPHORES, "semctl($s, 0, SETALL, {<2:7> <2:0> <2:9>})", SET, f"{_op(2, -3)} ; {SET}")
    yield Row(
        "number-of=250",
        f"{OWN} ; {AREA}",
        "s = semget(1, 250, IPC_CREAT|384) ; semctl($s, 249, SETVAL, 3)",
        "semctl($s, 249, GETVAL, 0)",
        "semctl($s, 250, GETVAL, 0)",
    )
    undo = "SEM_UNDO"
    given = "semctl($s, 0, SETALL, {<2:5> <2:5> <2:5>})"
    ends = "child: exit_group(0) ; waitid(P_PID, $child, 0, WEXITED|WNOWAIT, 0) ; semctl($s, 0, GETALL, [6])"
    for what, ops in {"down": ((0, -2),), "up": ((0, 3),), "two": ((0, -1), (1, 4)), "same": ((2, -1), (2, -1), (2, 1))}.items():
        state = " ; ".join(f"child: {_op(n, change, undo)}" for n, change in ops)
        yield Row(f"SEM_UNDO.{what}", f"{SEMAPHORES} ; {given} ; {CHILD}", state, SET, ends)
        own = " ; ".join(_op(n, change, undo) for n, change in ops)
        yield Row(f"SEM_UNDO.{what}.own", f"{SEMAPHORES} ; {given}", own, SET)
    threads = "child = clone(CLONE_SYSVSEM|SIGCHLD, 0, 0, 0, 0)"
    yield Row("SEM_UNDO.list-shared", f"{SEMAPHORES} ; {given} ; {threads}", f"child: {_op(0, -2, undo)}", SET, ends)
    yield Row("SEM_UNDO.cleared", f"{SEMAPHORES} ; {given} ; {CHILD}", f"child: {_op(0, -2, undo)} ; semctl($s, 0, SETVAL, 4)", SET, ends)
    yield Row("last-pid", f"{SEMAPHORES} ; {given} ; {CHILD}", f"child: {_op(0, -1)}", "semctl($s, 0, GETPID, 0)")
    yield from _permissions("semctl($s, 0, IPC_SET, WORDS)", SET, SEMAPHORES, "<8:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0>")
    yield Row("removed", SEMAPHORES, "semctl($s, 0, IPC_RMID, 0)", "", "semctl($s, 0, GETVAL, 0) ; semget(0x5345, 3, IPC_CREAT|384)")


def _segments(script: Script) -> Iterator[Row]:
    content = "pread = shmat($m, 0x40000000, 4096) ; peek(0x40000000, 16) ; shmdt(0x40000000)".replace("pread = ", "")
    for flags in ("IPC_CREAT|384", "IPC_CREAT|IPC_EXCL|438", "IPC_CREAT|SHM_NORESERVE|384"):
        yield Row(
            f"key.{flags.replace('|', '_')}", f"{OWN} ; {AREA}", f"m = shmget(0x5348, 8192, {flags})", SEGMENT, "shmget(0x5348, 0, 0)"
        )
    for size in (1, 4096, 4097, 1 << 24):
        yield Row(f"size={size}", f"{OWN} ; {AREA}", f"m = shmget(IPC_PRIVATE, {size}, 384)", SEGMENT, content)
    yield Row("content", MEMORY, "map = shmat($m, 0x30000000, 0) ; poke($map, b'shared content') ; shmdt($map)", SEGMENT, content)
    yield Row(
        "attached",
        MEMORY,
        "map = shmat($m, 0x30000000, 0) ; poke($map, b'shared content')",
        SEGMENT,
        f"{content} ; peek($map, 16) ; shmdt($map) ; {SEGMENT}",
    )
    for flag in script.names(
        "SHM_", header="linux/shm.h", but=("SHM_HUGE", "SHM_R", "SHM_W", "SHM_LOCK", "SHM_UNLOCK", "SHM_STAT", "SHM_INFO", "SHM_NORESERVE")
    ) + ["SHM_RDONLY", "SHM_RND", "SHM_REMAP"]:
        yield Row(f"attached.{flag}", MEMORY, f"map = shmat($m, 0x30000000, {flag})", SEGMENT, f"shmdt($map) ; {SEGMENT}")
    yield Row(
        "attached.twice",
        ATTACHED,
        "two = shmat($m, 0x30010000, 0) ; poke($two, b'seen twice')",
        SEGMENT,
        f"peek($map, 16) ; shmdt($map) ; {SEGMENT}",
    )
    yield Row("attached.part-unmapped", ATTACHED, "munmap($map, 4096)", SEGMENT, f"shmdt($map) ; {SEGMENT}")
    yield Row("attached.protected", ATTACHED, "mprotect($map, 4096, PROT_READ)", SEGMENT, f"shmdt($map) ; {SEGMENT}")
    yield Row(
        "attached.child",
        f"{ATTACHED} ; {CHILD}",
        "poke($map, b'of both') ; child: two = shmat($m, 0x30010000, 0)",
        SEGMENT,
        f"child: peek($map, 16) ; child: shmdt(0x30010000) ; {SEGMENT}",
    )
    yield Row(
        "destroyed.attached",
        ATTACHED,
        "poke($map, b'still here') ; shmctl($m, IPC_RMID, 0)",
        SEGMENT,
        "peek($map, 16) ; shmat($m, 0x30010000, 0) ; shmdt($map) ; shmctl($m, IPC_STAT, $area)",
    )
    yield Row(
        "destroyed.child",
        f"{ATTACHED} ; {CHILD}",
        "poke($map, b'still here') ; shmctl($m, IPC_RMID, 0)",
        SEGMENT,
        f"child: peek($map, 16) ; shmdt($map) ; {SEGMENT}",
    )
    yield Row("locked", MEMORY, "shmctl($m, SHM_LOCK, 0)", SEGMENT, f"shmctl($m, SHM_UNLOCK, 0) ; {SEGMENT}")
    yield from _permissions("shmctl($m, IPC_SET, WORDS)", SEGMENT, MEMORY, "<8:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0>")
    yield Row("huge", f"{OWN} ; {AREA}", "m = shmget(1, 2097152, IPC_CREAT|SHM_HUGETLB|384)", SEGMENT)


def _posix(script: Script) -> Iterator[Row]:
    make = f"{OWN} ; rt_sigprocmask(SIG_BLOCK, {{<8:-1>}}, 0, 8) ; me = getpid()"
    queue = f"{make} ; fd = mq_open(b'name\\0', O_RDWR|O_CREAT|O_NONBLOCK, 384, {{<8:0> <8:5> <8:32> <8:0> <8:0> <8:0> <8:0> <8:0>}})"
    look = "mq_getsetattr($fd, 0, [64]) ; fcntl($fd, F_GETFL, 0)"
    takes = " ; ".join(["mq_timedreceive($fd, [32], 32, [4], 0)"] * 4)
    for most, size in ((1, 1), (10, 8192), (5, 32)):
        yield Row(
            f"attributes={most}.{size}",
            make,
            f"fd = mq_open(b'name\\0', O_RDWR|O_CREAT, 384, {{<8:0> <8:{most}> <8:{size}> <8:0> <8:0> <8:0> <8:0> <8:0>}})",
            look,
            "mq_timedsend($fd, b'ab', 2, 0, {<8:0> <8:0>})",
        )
    for flags in ("O_RDONLY", "O_WRONLY", "O_RDWR|O_NONBLOCK", "O_RDWR|O_CLOEXEC"):
        yield Row(
            f"flags.{flags.replace('|', '_')}",
            make,
            f"fd = mq_open(b'name\\0', O_CREAT|{flags}, 384, 0)",
            f"{look} ; fcntl($fd, F_GETFD, 0)",
        )
    yield Row("flags.set", queue, "mq_getsetattr($fd, {<8:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0>}, 0)", look)
    for what, messages in {
        "one": ((0, "hello"),),
        "priorities": ((1, "low"), (9, "high"), (5, "mid")),
        "same": ((3, "a"), (3, "b"), (3, "c")),
        "highest": ((32767, "x"),),
        "empty": ((0, ""),),
    }.items():
        sends = " ; ".join(f"mq_timedsend($fd, b'{text}', {len(text)}, {priority}, 0)" for priority, text in messages)
        yield Row(f"queued.{what}", queue, sends, look, takes)
    full = " ; ".join(f"mq_timedsend($fd, b'm{n}', 2, {n}, 0)" for n in range(5))
    yield Row("queued.full", queue, full, look, f"mq_timedsend($fd, b'x', 1, 0, 0) ; {takes}")
    yield Row(
        "unlinked", queue, "mq_timedsend($fd, b'left', 4, 2, 0) ; mq_unlink(b'name\\0')", look, f"{takes} ; mq_open(b'name\\0', O_RDONLY)"
    )
    yield Row("two", queue, "two = mq_open(b'name\\0', O_WRONLY)", look, f"mq_timedsend($two, b'x', 1, 0, 0) ; {takes}")
    yield Row(
        "closed", queue, "mq_timedsend($fd, b'kept', 4, 2, 0) ; close($fd)", "", f"fd = mq_open(b'name\\0', O_RDWR|O_NONBLOCK) ; {takes}"
    )
    for how, signal in (("SIGEV_SIGNAL", "SIGUSR1"), ("SIGEV_SIGNAL", "40"), ("SIGEV_NONE", "0")):
        told = f"mq_notify($fd, {{<8:0x1122334455667788> <4:{signal}> <4:{how}> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0>}})"
        goes = (
            "mq_timedsend($fd, b'x', 1, 0, 0) ; rt_sigtimedwait({<8:-1>}, [128], {<8:0> <8:0>}, 8) ; mq_notify($fd, {<8:0> <4:10> <4:0>"
            " <8:0> <8:0> <8:0> <8:0> <8:0> <8:0>})"
        )
        yield Row(f"notify.{how}.{signal}", queue, told, look, goes)
    yield Row(
        "notify.child",
        f"{queue} ; {CHILD}",
        "child: mq_notify($fd, {<8:7> <4:SIGUSR1> <4:SIGEV_SIGNAL> <8:0> <8:0> <8:0> <8:0> <8:0> <8:0>})",
        look,
        "mq_timedsend($fd, b'x', 1, 0, 0) ; child: rt_sigpending([8], 8)",
    )
