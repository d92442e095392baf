"""The form of an answer about the kernel, and how what a call returned becomes one."""

from __future__ import annotations

import errno
import os

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# What a child of ours that was to try something says when it was lost: above every errno.
LOST = 255

YES, NO, UNKNOWN = "yes", "no", "unknown"


class Answer(Record):
    """One answer: the verdict, the reason in words, and what was learned beside it."""

    verdict: str  # yes, no, unknown
    reason: str
    value: int | str | None = None  # a size, a version, the bits or the text of a setting

    @property
    def yes(self) -> bool:
        """The kernel can; unknown is not yes."""
        return self.verdict == YES


# Every question by name, in the order of the files in kernel/questions; and what several questions learn from one try.
QUESTIONS: dict[str, Callable[[], Answer]] = {}
shared: dict[str, object] = {}


def question(function: Callable[[], Answer]) -> Callable[[], Answer]:
    """Enter a function among the questions, under its own name."""
    QUESTIONS[function.__name__] = function
    return function


def words(number: int | None) -> str:
    """An errno by its name, and in words."""
    number = number or 0
    return f"{errno.errorcode.get(number, str(number))} ({os.strerror(number)})"


def judged(result: int, what: str, lacks: tuple[int, ...] = (errno.ENOSYS, errno.EINVAL), value: int | str | None = None) -> Answer:
    """The answer from what a call returned: a value, or minus an errno.

    Shape:   lacks: the errnos with which a kernel says that it has no such thing
    """
    if result >= 0:
        return Answer(YES, f"{what} works", value)
    if -result == LOST:
        return Answer(UNKNOWN, f"{what}: the child that tried it was lost")
    if -result in lacks:
        return Answer(NO, f"{what}: this kernel has no such thing: {words(-result)}")
    if -result in {errno.EPERM, errno.EACCES}:
        return Answer(NO, f"{what}: not allowed for this user: {words(-result)}")
    return Answer(UNKNOWN, f"{what}: {words(-result)}")


def opened(path: str, flags: int = os.O_RDONLY) -> Answer:
    """Whether a file can be opened; nothing is read or written."""
    try:
        os.close(os.open(path, flags | os.O_CLOEXEC))
    except OSError as cause:
        return Answer(NO, f"{path}: {words(cause.errno)}")
    return Answer(YES, f"{path} can be opened")


def setting(path: str) -> Answer:
    """Whether a sysctl is there, and its value: a number where it is one."""
    try:
        with open(path, encoding="ascii", errors="backslashreplace") as file:
            text = file.read().strip()
    except OSError as cause:
        return Answer(NO if cause.errno == errno.ENOENT else UNKNOWN, f"{path}: {words(cause.errno)}")
    return Answer(YES, f"{path} is {text}", int(text) if text.lstrip("-").isdigit() else text)
