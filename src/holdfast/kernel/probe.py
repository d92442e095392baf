"""Can this kernel, for this user, do X: yes, no or unknown, and why. The kernel is asked, never its version.

    probe.ask("pagemap_scan").yes

Each question is asked once, when it first matters, and changes nothing that outlives it: an option is read and not set, a request is
made with a length of 0, a memory area or a child of ours lives for the moment of the question. The questions are in kernel/questions.
"""

from __future__ import annotations

import errno
import mmap
import os

from holdfast.kernel.answer import NO, QUESTIONS, UNKNOWN, YES, Answer, shared, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NO", "UNKNOWN", "YES", "Answer", "all_answers", "ask", "direct_io", "forget", "names"]

_known: dict[str, Answer] = {}


def _questions() -> dict[str, Callable[[], Answer]]:
    if not QUESTIONS:
        from holdfast.kernel.questions import memory, surroundings, tasks  # noqa: F401 - most runs ask nothing; importing enters them
    return QUESTIONS


def ask(name: str) -> Answer:
    """The answer to one question, by its name.

    Raises:  KeyError: no such question
    """
    answer = _known.get(name)
    if answer is None:
        question = _questions()[name]
        try:
            answer = question()
        except OSError as cause:
            answer = Answer(UNKNOWN, f"the question failed: {cause}")
        _known[name] = answer
    return answer


def names() -> tuple[str, ...]:
    """Every question, in the order in which `holdfast doctor` shows them."""
    return tuple(_questions())


def all_answers() -> dict[str, Answer]:
    """The answer to every question, by name."""
    return {name: ask(name) for name in names()}


def forget() -> None:
    """Let every question be asked anew: after a change of user, namespace or setting."""
    _known.clear()
    shared.clear()


def direct_io(folder: str) -> Answer:
    """Whether a new file in this folder takes O_DIRECT writes of whole pages; asked anew each time, with a file that has no name.

    Source:  open(2) O_DIRECT, O_TMPFILE
    """
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC, 0o600)
    except OSError as cause:
        if cause.errno == errno.EINVAL:
            return Answer(NO, f"{folder}: the filesystem has no O_DIRECT: {words(cause.errno)}")
        return Answer(UNKNOWN, f"{folder}: no file to try it on: {words(cause.errno)}")
    try:
        with mmap.mmap(-1, mmap.PAGESIZE) as page:
            os.write(fd, page)
    except OSError as cause:
        return Answer(NO if cause.errno == errno.EINVAL else UNKNOWN, f"{folder}: a write of a page with O_DIRECT: {words(cause.errno)}")
    finally:
        os.close(fd)
    return Answer(YES, f"{folder}: a page was written with O_DIRECT")
