"""What of the ledger the kernel-state reader needs: the watched structs, and the predicates of refused rows as a table that needs no TOML.

A predicate (`reads` of a row) is one test, or several with ` or ` between them:

    PATH != null        a pointer, or one of an array of pointers, is not null
    PATH != 0           a number is not 0, or not another number
    PATH != empty       a list has elements
    PATH & 0x40         at least one of these bits is set
    PATH lacks 0x40     at least one of these bits is not set
    PATH != shared      a keyring is the task's own: not its reader's, its user's or its login's
    PATH != own         of a namespace that is not the reader's: it is not what the reader's has
    exists              the struct was found at all

PATH is a field of the row's struct, or of the struct that `via` names, as BTF has it; it goes on behind a pointer only where
kernel/state/edges.py allows it.

    python -m holdfast.drift.predicates    writes kernel/state/predicates.py and kernel/state/watched.py anew
"""

from __future__ import annotations

import os
import re
import textwrap

from holdfast.drift import history
from holdfast.drift.ledger import Ledger, folder, malformed, read
from holdfast.kernel.state.edges import WAYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Test = tuple[tuple[str, ...], str, int]

# structs that a predicate may start from, because kernel/state/in_use.py finds them
STARTS = frozenset(
    """
    task_struct thread_struct signal_struct mm_struct cred vm_area_struct fpu landlock_cred_security landlock_file_security dnotify_mark
    sock unix_sock udp_sock tcp_sock netlink_sock tty_struct shmem_inode_info user_namespace pid_namespace pipe_buffer
    inet_sock sk_buff
    """.split()
)
_TEST = re.compile(r"(?P<path>[a-z_][\w.]*) (?:(?P<op>!=) (?P<word>null|empty|shared|own|\d+)|(?P<bits>&|lacks) (?P<mask>0x[0-9a-f]+|\d+))")
_HEAD = '''"""{about}

Generated from ledger/structs by holdfast.drift.predicates; tests/repo holds it fresh.
"""

from __future__ import annotations

'''


def tests(reads: str, start: str, where: str) -> list[Test]:
    """A predicate as tests: the fields from pointer to pointer, the operator, and its number.

    Raises:  usage.ledger.malformed: it is not of the form above
    """
    if reads == "exists":
        return [((), "exists", 0)]
    out = []
    for one in reads.split(" or "):
        found = _TEST.fullmatch(one)
        if found is None:
            raise malformed(where, f"`{one}` is no test: PATH != null, a number, empty, shared or own; PATH & BITS; PATH lacks BITS")
        operator, number = found["word"] or found["bits"], found["mask"] or "0"
        if operator.isdigit():
            operator, number = "!=", operator
        out.append((segments(start, found["path"]), operator, int(number, 0)))
    return out


def segments(start: str, path: str) -> tuple[str, ...]:
    """A path cut behind each pointer that may be followed, each part as `struct.field`."""
    words, struct, taken, out = path.split("."), start, [], []
    for n, word in enumerate(words):
        taken.append(word)
        name = f"{struct}.{'.'.join(taken)}"
        if name in WAYS and n + 1 < len(words):
            out.append(name)
            struct, taken = WAYS[name], []
    return (*out, f"{struct}.{'.'.join(taken)}")


def rows(ledger: Ledger) -> Iterator[tuple[str, list[Test], str, str, str, str, str, str]]:
    """Each predicate: where it starts, its tests, the row's struct and first field, what shows it in use, why, source, what to do.

    Raises:  usage.ledger.malformed: a predicate is not of the form above
    """
    for name, topic in sorted(ledger.structs.items()):
        for row in (*topic.rows, *topic.rest):
            if not row.reads:
                continue
            start = row.via or name
            if start not in STARTS:
                raise malformed(topic.origin, f"no predicate can start from {start}; `via` names one of {', '.join(sorted(STARTS))}")
            if not row.do or row.decision != "refused":
                raise malformed(topic.origin, f"`{row.reads}` needs `do`, and the decision refused")
            field = row.names[0] if row.names else ""
            yield start, tests(row.reads, start, topic.origin), name, field, row.when, row.why, row.source, row.do


def predicates_text(ledger: Ledger) -> str:
    """The module kernel/state/predicates.py of a ledger."""
    found = list(rows(ledger))
    out = [_HEAD.format(about="What shows state in use that a dump refuses, as tests of live structs.")]
    out.append("# start, tests, struct, field, what shows it, why, source, what to do\n")
    out.append("PREDICATES: tuple[tuple[str, tuple[tuple[tuple[str, ...], str, int], ...], str, str, str, str, str, str], ...] = (\n")
    for start, asked, *rest in found:
        out.append(f"    (\n        {_quoted(start)},\n")
        each = []
        for parts, operator, number in asked:
            names = ", ".join(_quoted(part) for part in parts) + ("," if len(parts) == 1 else "")
            each.append(f"(({names}), {_quoted(operator)}, {number}),")
        if len(each) == 1:
            out.append(f"        ({each[0]}),\n")
        else:
            out += ["        (\n", *(f"            {one}\n" for one in each), "        ),\n"]
        out += [f"        {_quoted(text)},{_long(text)}\n" for text in rest]
        out.append("    ),\n")
    out.append(")\n\n# every field that a test reads\nSEGMENTS: tuple[str, ...] = tuple(sorted({")
    out.append("part for row in PREDICATES for parts, _, _ in row[1] for part in parts}))\n")
    newest = max((history.version(kernel) for kernel in history.load(ledger).kernels), default=())
    out.append(f"\n# the newest kernel that the ledger has seen\nNEWEST: tuple[int, ...] = {newest}\n")
    return "".join(out)


def _long(text: str) -> str:
    return "  # noqa: E501" if len(_quoted(text)) > 130 else ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def watched_text(ledger: Ledger) -> str:
    """The module kernel/state/watched.py of a ledger."""
    names = textwrap.fill(" ".join(sorted(ledger.structs)), 130, initial_indent="    ", subsequent_indent="    ")
    about = "The structs that the ledger watches: leaves are named by them."
    return f'{_HEAD.format(about=about)}WATCHED = frozenset(\n    """\n{names}\n    """.split()\n)\n'


def write(ledger: Ledger, place: str) -> None:
    """Write both modules into a folder."""
    for name, text in (("predicates", predicates_text(ledger)), ("watched", watched_text(ledger))):
        with open(os.path.join(place, f"{name}.py"), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    here = folder()
    target = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kernel", "state")
    write(Ledger(read(here), here), target)
