"""Write the `holdfast` command: the base interpreter without site, which alone would cost more than a small dump."""

import os
import sys

TEXT = """\
#!{python} -IS
import os, sys
sys.path[:0] = [{src!r}]
sys.path.append({site!r})
from holdfast.cli.main import main
code = main()
try:
    sys.stdout.flush()
    sys.stderr.flush()
except OSError:  # a closed pipe: the interpreter's own way out reports it
    sys.exit(code)
# taking the interpreter down costs 2 ms that nobody waits for
os._exit(code or 0)
"""


def write(python: str, src: str, site: str, path: str) -> None:
    """An executable script at `path`, replaced in one step.

    Needs:   `python` is absolute and without spaces: the kernel splits a #! line at the first one
    Source:  execve(2), "Interpreter scripts"
    """
    if not python.startswith("/") or " " in python:
        raise SystemExit(f"venv: the interpreter's path cannot stand in a #! line: {python!r}")
    new = f"{path}.new"
    with open(new, "w", encoding="utf-8") as out:
        out.write(TEXT.format(python=python, src=src, site=site))
    os.chmod(new, 0o755)
    os.rename(new, path)


if __name__ == "__main__":
    write(*sys.argv[1:])
