"""Chosen sysctls of a kernel: what was asked for, what it says, and what it does not have."""

from __future__ import annotations

from holdfast.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def path_of(name: str) -> str:
    """The file of a sysctl below /proc/sys.

    Shape:   dots part the directories; a slash in the name stands for a dot in a directory's name, as in sysctl(8)
    Source:  sysctl(8)
    """
    return "/proc/sys/" + name.translate(str.maketrans("./", "/."))


def parse(data: bytes) -> dict[str, str]:
    """The values of a `sysctl -a` or sysctl.conf text.

    Shape:   name to value, blanks joined to one space; the last of two lines counts
    Raises:  usage.sysctl.malformed: a line is neither a setting nor a comment
    Source:  sysctl.conf(5)
    """
    out = {}
    for number, line in enumerate(data.decode("utf-8", "backslashreplace").splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        name, equals, value = line.partition("=")
        if not equals or "\0" in line or not name.strip():
            raise UsageError(
                "sysctl.malformed", "the input is not a sysctl list", where=f"line {number}: {line[:60]!r}", do="give `sysctl -a`"
            )
        out[name.strip().removeprefix("-").replace("/", ".")] = " ".join(value.split())
    return out


def gather(names: Iterable[str], read: Callable[[str], bytes]) -> tuple[dict[str, str], dict[str, str]]:
    """What the kernel says for each name, and for the others why nothing is known: absent, denied.

    Needs:   `read` raises OSError as open(2) and read(2) do
    Source:  proc_sys(5)
    """
    known: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            known[name] = " ".join(read(path_of(name)).decode("utf-8", "backslashreplace").split())
        except FileNotFoundError:
            missing[name] = "absent"
        except OSError as error:
            missing[name] = f"unreadable: {error.strerror}"
    return known, missing
