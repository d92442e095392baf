"""holdfast: the entry. A hot command is read by hand and imports nothing else; any other is loaded by name, with click."""

from __future__ import annotations

import gc
import os
import sys

from holdfast.cli import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HOT = ("dump", "restore", "run")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    gc.disable()  # a dump makes too little garbage to be worth a look; the other commands switch it on again
    words = sys.argv[1:] if words is None else list(words)
    name = words[0] if words else ""
    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    hot = name in HOT
    used = bundle.load(name) if hot else {}
    from holdfast.errors import HoldfastError  # it is in the bundle

    # what fails after this line is told in one place
    try:
        code = _run(name, words)
        sys.stdout.flush()
    except HoldfastError as error:
        from holdfast.cli import output  # a failed start may be before any output

        code = output.crashed(error, name, as_json) if error.exit_code == 70 else output.failed(error, name, as_json)
    except BrokenPipeError:
        return _unread()
    except KeyboardInterrupt as ended:
        return 128 + getattr(ended, "number", 2)
    except OSError as error:
        from holdfast.cli import output  # as above

        known = output.outside(error)
        return output.crashed(error, name, as_json) if known is None else output.failed(known, name, as_json)
    except Exception as error:  # noqa: BLE001 - the last resort: it is told, with its traceback
        from holdfast.cli import output  # as above

        return _unread() if isinstance(error, output.Unread) else output.crashed(error, name, as_json)
    if hot:
        bundle.renew(name, used)
    return code


def _run(name: str, words: Sequence[str]) -> int:
    if name in HOT:
        module = f"holdfast.cli.{name}"
        __import__(module)  # importlib costs more than the rest of this file
        return int(sys.modules[module].main(words[1:]))
    gc.enable()
    from holdfast.cli import commands  # click

    return commands.main(words)


# Nobody reads our answer: say nothing more, and let the exit code say what a shell expects (128 + SIGPIPE).
def _unread() -> int:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return 141
