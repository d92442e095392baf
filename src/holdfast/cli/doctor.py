"""holdfast doctor: what this kernel and this user can do, yes, no or unknown, with the reason; and which tools are missing."""

from __future__ import annotations

import os
import shutil

import click

from holdfast.cli import output
from holdfast.kernel import probe
from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class Ability(Record):
    """Something that Holdfast does, and the questions whose answers it hangs on."""

    name: str
    needs: tuple[str, ...]  # all must be yes
    better: tuple[str, ...]  # without one of these it takes longer, or an older way
    do: str  # what to do where it is missing


ABILITIES = (
    Ability(
        "dump a process of this user",
        ("ptrace_seize", "xstate", "ptrace_sigmask", "ptrace_peeksiginfo", "process_vm_readv", "kcmp"),
        ("pagemap_scan", "proc_children"),
        "sysctl kernel.yama.ptrace_scope=0, or run it as root",
    ),
    Ability(
        "restore a process with the pid that it had",
        ("clone3_set_tid", "set_mm_map"),
        ("userfaultfd",),
        "restore as root, or use holdfast run",
    ),
    Ability(
        "run, dump and restore jobs without root",
        ("user_namespace", "clone3_set_tid_new_namespaces"),
        (),
        "sysctl user.max_user_namespaces=10000",
    ),
    Ability("leave a process running while it is dumped", ("ptrace_seize",), ("pagemap_scan",), ""),
    Ability("carry timers with their ids", ("proc_timers",), ("timer_restore_ids",), "use a kernel with CONFIG_CHECKPOINT_RESTORE"),
    Ability(
        "carry sockets", ("sock_diag_unix", "sock_diag_tcp", "sock_diag_udp", "pidfd_getfd"), (), "modprobe -a unix_diag tcp_diag udp_diag"
    ),
    Ability("compare this kernel with another", ("btf",), (), "use a kernel with CONFIG_DEBUG_INFO_BTF"),
)
# program, what it is for, Debian package
TOOLS = (
    ("qemu-system-x86_64", "boot other kernels", "qemu-system-x86"),
    ("gcc", "tests with C programs", "gcc"),
    ("bpftool", "a second opinion on BTF", "bpftool"),
    ("pahole", "a second opinion on BTF", "dwarves"),
    ("git", "blame a commit", "git"),
    ("criu", "hunt and measure another engine", "criu"),
)


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--all", "everything", is_flag=True, help="Every question that was asked, not only what follows from the answers.")
def command(as_json: bool, everything: bool) -> int:
    """Ask this kernel what it can do for this user. Nothing is changed that outlives a question.

    \b
    Exit codes: 0 whatever the answers are; the first word is OK, LOSSY (something is missing) or UNKNOWN (a question had no answer).
    """
    answers = probe.all_answers()
    abilities = [judge(a, answers) for a in ABILITIES]
    verdicts = {a["answer"] for a in abilities}
    facts = {
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "uid": os.geteuid(),
        "abilities": abilities,
        "questions": [{"name": n, "answer": a.verdict, "reason": a.reason, "value": a.value} for n, a in answers.items()],
        "tools": [tool(*t) for t in TOOLS],
        "everything": everything,
    }
    verdict = "UNKNOWN" if "unknown" in verdicts else "LOSSY" if "no" in verdicts else "OK"
    return output.say(output.Answer("doctor", verdict, facts, lines), as_json)


def judge(ability: Ability, answers: Mapping[str, probe.Answer]) -> dict[str, Any]:
    """Whether an ability is there: yes, no or unknown, the reasons, and what to do."""
    found = [(name, answers[name]) for name in ability.needs]
    wrong = [(n, a) for n, a in found if a.verdict == "no"] or [(n, a) for n, a in found if a.verdict == "unknown"]
    answer = wrong[0][1].verdict if wrong else "yes"
    slower = [name for name in ability.better if not answers[name].yes]
    return {
        "name": ability.name,
        "answer": answer,
        "reasons": [f"{n}: {a.reason}" for n, a in wrong],
        "slower_without": slower,
        "do": ability.do if wrong else "",
    }


def tool(name: str, purpose: str, package: str) -> dict[str, Any]:
    """Where a program is, or the command that installs it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    return {"name": name, "for": purpose, "path": found, "do": "" if found else f"apt-get install {package}"}


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The answer as text."""
    missing = sum(a["answer"] != "yes" for a in facts["abilities"])
    can = f"{len(facts['abilities']) - missing} of {len(facts['abilities'])} things can be done"
    out = [f"{facts['kernel']} {facts['machine']}, uid {facts['uid']}: {can}", ""]
    for a in facts["abilities"]:
        out.append(f"  {a['answer']:<7}  {a['name']}")
        out += [f"{'':11}{reason}" for reason in a["reasons"]]
        if a["slower_without"]:
            out.append(f"{'':11}better with {', '.join(a['slower_without'])}")
        if a["do"]:
            out.append(f"{'':11}do: {a['do']}")
    out.append("")
    for t in facts["tools"]:
        out.append(f"  {'yes' if t['path'] else 'no':<7}  {t['name']:<18}  {t['for']}" + (f"; do: {t['do']}" if t["do"] else ""))
    if facts["everything"]:
        out.append("")
        width = max(len(q["name"]) for q in facts["questions"])
        out += [f"  {q['answer']:<7}  {q['name']:<{width}}  {q['reason']}" for q in facts["questions"]]
    return out
