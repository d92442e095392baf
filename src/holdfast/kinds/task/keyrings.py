"""task.keyrings: keys that a thread or process keeps for itself in the kernel.

Carries:  nothing.
Loses:    the session keyring: a restored process has that of the restorer, as a program has that of the shell which starts it. No call
          shows which one a thread has without making one where there is none; where live kernel structs may be read, one that is
          not the restorer's is refused (decisions/0056-what-no-call-shows.md).
Sources:  keyrings(7), keyctl(2) KEYCTL_GET_KEYRING_ID, Linux security/keys/process_keys.c lookup_user_key.
"""

from __future__ import annotations

from holdfast.kinds import tasks
from holdfast.kinds.contract import Claim, Kind, Struct, verbs
from holdfast.model.record import Record
from holdfast.prog.call import ANY, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from holdfast.kinds.contract import Steps
    from holdfast.kinds.evidence import ThreadEvidence
    from holdfast.prog.call import Answers

KEYCTL_GET_KEYRING_ID, DO_NOT_CREATE = 0, 0
KEYCTL_SET_REQKEY_KEYRING, NO_CHANGE, DEFAULT = 14, -1, 0  # asked to change nothing, it says what is set
# Not the session keyring (-3): asking for one that is not there makes one.
KEYRINGS = {"thread": -1, "process": -2}


class Keyrings(Record):
    """Nothing: a thread with keyrings of its own is refused."""


def detect(ev: ThreadEvidence) -> Claim | None:
    return Claim()


def dump(ev: ThreadEvidence) -> Generator[Program, Answers, None]:
    program = Program()
    asked = {name: program.call("keyctl", KEYCTL_GET_KEYRING_ID, number, DO_NOT_CREATE, check=ANY) for name, number in KEYRINGS.items()}
    wanted = program.call("keyctl", KEYCTL_SET_REQKEY_KEYRING, NO_CHANGE, check=ANY)
    answers = yield program
    found = [
        tasks.refused(
            f"task.{name}_keyring",
            ev,
            f"it has a {name} keyring ({answers.value(call):#x})",
            why="keyrings(7): what is in a key may not be readable, and its number cannot be chosen",
            do="let it revoke the keyring, or start it anew after the restore",
        )
        for name, call in asked.items()
        if answers.value(call) > 0
    ]
    if answers.value(wanted) > DEFAULT:
        found.append(
            tasks.refused(
                "task.request_keyring",
                ev,
                f"the keys that it asks for go to a keyring of its choice ({answers.value(wanted)})",
                why="keyctl(2) KEYCTL_SET_REQKEY_KEYRING; keyrings are not carried",
                do="let it set the default again (0)",
            )
        )
    if found:
        raise tasks.together(ev, found)


def restore(rec: Keyrings, steps: Steps) -> None:
    """Nothing to emit: there is never a record."""


KIND = Kind("task.keyrings", record=Keyrings, subject="thread", watches=(Struct("key"),), verbs=verbs(__name__))
