"""Who makes the lines of a recipe beside the first process: a thread, a child, an heir that is born after the checkpoint.

Each is text for `interfaces.script`. A state of a thread or a child is another state to carry than the same state of the leader.
"""

from __future__ import annotations

THREAD = "thread = clone(CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM, 0, 0, 0, 0)"
CHILD = "child = clone(SIGCHLD, 0, 0, 0, 0)"
HEIR = "heir = clone(SIGCHLD, 0, 0, 0, 0)"
ACTORS: dict[str, str] = {"self": "", "thread": THREAD, "child": CHILD}
"""An object's name to the line that makes it."""


def by(actor: str, text: str) -> str:
    """The same lines made by an actor of ACTORS, or by an heir."""
    who = "" if actor == "self" else f"{actor}: "
    return " ; ".join(who + line for line in text.split(" ; ")) if text else ""


def told(text: str) -> str:
    """The same lines made by an heir of the leader: what a state means to those born later."""
    return f"{HEIR} ; {by('heir', text)}"


def and_then(*texts: str) -> str:
    """One text of those that say something."""
    return " ; ".join(t for t in texts if t)
