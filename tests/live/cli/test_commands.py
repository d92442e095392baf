"""The commands as a person or a script meets them: answers, exit codes, bad input."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast.cli import commands
from holdfast.errors import HoldfastError
from tests import harness

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDFAST = os.path.join(os.path.dirname(sys.executable), "holdfast")
VERDICTS = ("OK", "LOSSY", "REFUSED", "UNKNOWN")


def run(*words: str | bytes | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command."""
    return subprocess.run(
        [HOLDFAST, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=harness.PATIENCE_S,
    )


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[harness.Subject]:
    """A program that waits, and ends with exit status 7 when it is sent on."""
    made = harness.start(tmp_path, "pause()\nos._exit(7)")
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture
def image(tmp_path: Path, subject: harness.Subject) -> Path:
    """Its image; it has been ended and its pid is free."""
    done = run("dump", str(subject.pid), "-o", tmp_path / "image")
    assert done.returncode == 0, done.stderr
    subject.process.wait()
    return tmp_path / "image"


def code_of(done: subprocess.CompletedProcess[str]) -> str:
    """The error code that was told."""
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.removeprefix("REFUSED ").partition(":")[0]


def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended and been collected."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([pidfd], [], [], harness.PATIENCE_S)[0]
    finally:
        os.close(pidfd)


# --- answers


def test_check_tells_a_verdict_and_changes_nothing(subject: harness.Subject) -> None:
    done = run("check", str(subject.pid))
    assert done.stdout.split()[0] in VERDICTS
    assert done.returncode in (0, 11), done.stderr
    subject.go()
    assert os.waitstatus_to_exitcode(os.waitpid(subject.pid, 0)[1]) == 7


def test_dump_ends_the_program_and_leaves_a_whole_image_for_its_owner_alone(tmp_path: Path, subject: harness.Subject) -> None:
    done = run("dump", str(subject.pid), "-o", tmp_path / "image")
    assert (done.returncode, done.stdout.split()[0] in VERDICTS) == (0, True), done.stderr
    assert subject.process.wait() == -signal.SIGKILL
    assert stat.S_IMODE((tmp_path / "image").stat().st_mode) == 0o700
    verified = run("verify", tmp_path / "image")
    assert (verified.returncode, verified.stdout.split()[0]) == (0, "OK"), verified.stderr


def test_dump_with_leave_running_leaves_it_running(tmp_path: Path, subject: harness.Subject) -> None:
    done = run("dump", str(subject.pid), "--leave-running", "--json", f"--output={tmp_path / 'image'}")
    assert (done.returncode, json.loads(done.stdout)["left_running"]) == (0, True), done.stderr
    subject.go()
    assert os.waitstatus_to_exitcode(os.waitpid(subject.pid, 0)[1]) == 7


def test_json_has_a_schema_and_the_same_bytes_each_time(image: Path) -> None:
    calls: tuple[tuple[str | Path, ...], ...] = (("show", image), ("verify", image), ("show", image, "--record", "task.process"))
    for words in calls:
        first, second = run(*words, "--json"), run(*words, "--json")
        assert first.stdout == second.stdout
        made = json.loads(first.stdout)
        assert (made["schema"], made["command"], made["verdict"]) == (1, words[0], "OK")
        assert first.stdout == json.dumps(made, indent=2, sort_keys=True) + "\n"


def test_show_names_the_tree_and_every_kind(subject: harness.Subject, image: Path) -> None:
    shown = json.loads(run("show", image, "--json").stdout)
    assert [(p["pid"], p["depth"], p["threads"]) for p in shown["processes"]] == [(subject.pid, 0, 1)]
    assert {"task.process", "mm.anon", "task.cpu"} <= {k["kind"] for k in shown["kinds"]}
    assert shown["arguments"][-2].endswith("/ready")


def test_a_name_that_is_not_text_is_kept(tmp_path: Path, subject: harness.Subject) -> None:
    path = os.fsencode(tmp_path) + b"/im\xffage"
    done = run("dump", str(subject.pid), "-o", path, "--leave-running", "--json")
    made = json.loads(done.stdout)
    assert (made["path"], "path_b64" in made) == (os.fsdecode(tmp_path) + "/im\\xffage", True)
    assert run("show", path).stdout.startswith(f"OK {tmp_path}/im\\xffage: 1 process")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(shell: str) -> None:
    done = run("completion", shell)
    assert (done.returncode, "_HOLDFAST_COMPLETE" in done.stdout) == (0, True)
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("holdfast dump --le", "plain,--leave-running"), ("holdfast resto", "plain,restore"), ("holdfast check --js", "plain,--json")],
)
def test_completion_knows_commands_and_options_however_they_are_read(words: str, wanted: str) -> None:
    env = {"_HOLDFAST_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    assert wanted in run(env=env).stdout.splitlines()


@pytest.mark.parametrize("command", sorted(commands.summaries()))
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert (done.returncode, done.stdout.startswith(f"Usage: holdfast {command}")) == (0, True), done.stderr


def test_doctor_answers_every_ability_with_a_reason() -> None:
    made = json.loads(run("doctor", "--json").stdout)
    assert {a["answer"] for a in made["abilities"]} <= {"yes", "no", "unknown"}
    assert [a["name"] for a in made["abilities"] if a["answer"] != "yes" and not a["reasons"]] == []
    assert [q["name"] for q in made["questions"] if not q["reason"]] == []


# --- restore


@pytest.mark.root
def test_restore_tells_the_pid_and_ends_as_the_program_ends(subject: harness.Subject, image: Path) -> None:
    with subprocess.Popen([HOLDFAST, "restore", image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().split()[1:3] == ["pid", str(subject.pid)]
        subject.go()
        assert parent.wait(harness.PATIENCE_S) == 7


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_restore_passes_a_signal_on_and_ends_with_128_and_its_number(subject: harness.Subject, image: Path, number: int) -> None:
    with subprocess.Popen([HOLDFAST, "restore", "--json", image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert '"pid"' in "".join(iter(parent.stdout.readline, "}\n"))
        parent.send_signal(number)
        assert parent.wait(harness.PATIENCE_S) == 128 + number
    assert not os.path.exists(f"/proc/{subject.pid}")


@pytest.mark.root
def test_restore_stops_and_goes_on_with_the_program(subject: harness.Subject, image: Path) -> None:
    # a group of its own, below us in our session: not orphaned, so that it can be stopped (setpgid(2))
    words: list[str | Path] = [HOLDFAST, "restore", image]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, process_group=0) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        os.kill(subject.pid, signal.SIGSTOP)
        _, status = os.waitpid(parent.pid, os.WUNTRACED)
        assert (os.WIFSTOPPED(status), os.WSTOPSIG(status)) == (True, signal.SIGTSTP)
        subject.go()
        parent.send_signal(signal.SIGCONT)
        assert parent.wait(harness.PATIENCE_S) == 7


@pytest.mark.root
def test_restore_with_detach_returns_at_once(subject: harness.Subject, image: Path) -> None:
    done = run("restore", "--detach", image)
    assert done.returncode == 0, done.stderr
    parent = Path(f"/proc/{subject.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1]
    assert parent != str(os.getpid())
    os.kill(subject.pid, signal.SIGKILL)
    gone(subject.pid)


@pytest.mark.root
def test_restore_of_what_still_runs_is_refused_and_leaves_nothing(tmp_path: Path, subject: harness.Subject) -> None:
    run("dump", str(subject.pid), "-o", tmp_path / "image", "--leave-running")
    done = run("restore", "--detach", tmp_path / "image")
    assert (done.returncode, code_of(done)) == (20, "kernel_lacks.set_tid")
    planned = json.loads(run("restore", "--dry-run", "--json", tmp_path / "image").stdout)
    assert planned["taken"] == [subject.pid]
    subject.go()
    assert os.waitstatus_to_exitcode(os.waitpid(subject.pid, 0)[1]) == 7


def test_a_dry_run_starts_nothing(subject: harness.Subject, image: Path) -> None:
    done = run("restore", "--dry-run", "--json", image)
    made = json.loads(done.stdout)
    assert (done.returncode, made["pids"], made["taken"]) == (0, [subject.pid], []), done.stderr
    assert not os.path.exists(f"/proc/{subject.pid}")


@pytest.mark.root
def test_the_api_gives_a_child_to_wait_for(subject: harness.Subject, image: Path) -> None:
    again = holdfast.restore(image)
    subject.go()
    assert (again.pid, again.wait()) == (subject.pid, 7)


@pytest.mark.root
def test_the_api_detaches(subject: harness.Subject, image: Path) -> None:
    again = holdfast.restore(image, detach=True)
    parent = Path(f"/proc/{again.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1]
    os.kill(again.pid, signal.SIGKILL)
    gone(again.pid)
    assert (again.pid, again.detached, parent != str(os.getpid())) == (subject.pid, True, True)
    with pytest.raises(HoldfastError) as caught:
        again.wait()
    assert caught.value.code == "usage.detached"


@pytest.mark.root
def test_an_error_of_a_detached_restore_is_the_same_error(tmp_path: Path, subject: harness.Subject) -> None:
    holdfast.dump(subject.pid, tmp_path / "image", leave_running=True)
    with pytest.raises(HoldfastError) as caught:
        holdfast.restore(tmp_path / "image", detach=True)
    assert (caught.value.code, caught.value.exit_code) == ("kernel_lacks.set_tid", 20)


# --- what is wrong


def test_wrong_calls_exit_with_2(tmp_path: Path) -> None:
    codes = {
        code_of(run(*words)): run(*words).returncode
        for words in (
            ["dump", "1"],
            ["dump", "x", "-o", tmp_path / "i"],
            ["dump", "0", "-o", tmp_path / "i"],
            ["nosuch"],
            ["check", "--nosuch", "1"],
        )
    }
    assert codes == dict.fromkeys(("usage.option", "usage.target", "usage.pid.range", "usage.unknown_command", "usage.click"), 2)


def test_our_own_pid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError) as caught:
        holdfast.dump(os.getpid(), tmp_path / "image")
    assert caught.value.code == "usage.pid"


def test_a_pid_that_nobody_has_exits_with_40(tmp_path: Path) -> None:
    free = int(Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii")) + 1
    for words in (["dump", str(free), "-o", tmp_path / "image"], ["check", str(free)]):
        done = run(*words)
        assert (done.returncode, code_of(done)) == (40, "target_changed.died")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_image_exits_with_30(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    (tmp_path / "file").touch(mode=0o600)
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "other" / "state").write_bytes(b"not an image at all" * 99)
    (tmp_path / "other" / "state").chmod(0o600)
    wanted = {"none": "bad_image.absent", "empty": "bad_image.unsealed", "file": "bad_image.not_directory", "other": "bad_image.magic"}
    for command in ("restore", "show", "verify"):
        found = {name: run(command, tmp_path / name) for name in wanted}
        assert {name: (code_of(done), done.returncode) for name, done in found.items()} == {n: (c, 30) for n, c in wanted.items()}


def test_a_damaged_page_is_found_by_verify_alone(image: Path) -> None:
    with (image / "pages-0").open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    assert run("show", image).returncode == 0
    done = run("verify", image)
    assert (done.returncode, code_of(done)) == (30, "bad_image.pages_digest")


def test_an_image_is_never_overwritten(tmp_path: Path, subject: harness.Subject) -> None:
    (tmp_path / "image").mkdir()
    done = run("dump", str(subject.pid), "-o", tmp_path / "image")
    assert (done.returncode, code_of(done), list((tmp_path / "image").iterdir())) == (2, "usage.image.exists", [])
    subject.go()
    assert os.waitstatus_to_exitcode(os.waitpid(subject.pid, 0)[1]) == 7


@pytest.mark.root
def test_another_users_process_is_refused_with_a_reason(subject: harness.Subject, tmp_path: Path) -> None:
    # by a process that gives up root: the command itself may lie where no other user can read it
    holdfast.check(subject.pid)
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(65534, 65534, 65534)
            holdfast.check(subject.pid)
        except HoldfastError as error:
            os._exit(error.exit_code if error.code == "kernel_lacks.permission" and error.do else 1)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 20


def test_all_four_parts_of_every_refusal_are_told(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as outside:
        done = run("dump", str(outside.pid), "-o", tmp_path / "image")
        as_json = json.loads(run("check", str(outside.pid), "--json").stdout)
        assert (done.returncode, done.stderr.partition("\n")[0]) == (
            10,
            f"REFUSED refused.dump: pid {outside.pid} cannot be dumped: 2 reasons",
        )
        assert len(as_json["refusals"]) == 2
        for refusal in as_json["refusals"]:
            assert [part for part in ("code", "what", "where", "why", "do", "kind") if not refusal[part]] == []
            assert f"refused.{refusal['code']}: {refusal['what']}\n  where  {refusal['where']}\n  why    {refusal['why']}" in done.stderr
        outside.kill()


def test_a_mistake_of_ours_exits_with_70_and_a_traceback_and_the_target_lives(tmp_path: Path, subject: harness.Subject) -> None:
    done = run("dump", str(subject.pid), "-o", tmp_path / "image", env={"HOLDFAST_FAULT": "dump.described:raise"})
    assert (done.returncode, "Traceback" in done.stderr, "internal.fault" in done.stderr) == (70, True, True)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("image")] == []
    subject.go()
    assert os.waitstatus_to_exitcode(os.waitpid(subject.pid, 0)[1]) == 7


def test_no_room_for_the_image_exits_with_20_and_leaves_nothing(tmp_path: Path, subject: harness.Subject) -> None:
    words: list[str | Path] = ["prlimit", "--fsize=65536", HOLDFAST, "dump", str(subject.pid), "-o", tmp_path / "image"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, code_of(done)) == (20, "kernel_lacks.resource")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("image")] == []
    subject.go()
    assert os.waitstatus_to_exitcode(os.waitpid(subject.pid, 0)[1]) == 7


def test_an_answer_that_nobody_reads_is_no_mistake(image: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([HOLDFAST, "show", image], stdout=write, stderr=subprocess.PIPE, text=True) as done:
        os.close(write)
        assert done.stderr is not None
        assert (done.stderr.read(), done.wait()) == ("", 141)


def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    done = run("demo", "--mib", "8", "--json", "--folder", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["checks"]) == 13
