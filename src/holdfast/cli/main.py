"""holdfast: the entry. dump and restore are read by hand and import nothing else; any other command is loaded by name, with click."""

from __future__ import annotations

import gc
import os
import sys

from holdfast.errors import HoldfastError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HOT = ("dump", "restore")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    gc.disable()  # nothing here makes enough garbage to be worth a look; the other commands switch it on again
    words = sys.argv[1:] if words is None else list(words)
    name = words[0] if words else ""
    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    # what fails after this line is told in one place
    try:
        if name == "dump":
            from holdfast.cli import dump  # hot

            return dump.main(words[1:])
        if name == "restore":
            from holdfast.cli import restore  # hot

            return restore.main(words[1:])
        gc.enable()
        from holdfast.cli import commands  # click

        return commands.main(words)
    except HoldfastError as error:
        from holdfast.cli import output  # a failed start may be before any output

        if error.exit_code == 70:
            return output.crashed(error, name, as_json)
        return output.failed(error, name, as_json)
    except BrokenPipeError:
        return _unread()
    except KeyboardInterrupt as ended:
        return 128 + getattr(ended, "number", 2)
    except Exception as error:  # noqa: BLE001 - the last resort: it is told, with its traceback
        from holdfast.cli import output  # as above

        return output.crashed(error, name, as_json)


# Nobody reads our answer: say nothing more, and let the exit code say what a shell expects (128 + SIGPIPE).
def _unread() -> int:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return 141
