"""Every bench by name: engine (beside CRIU), drift, tags, hunt."""

from __future__ import annotations

import runpy
import sys

NAMES = ("engine", "drift", "tags", "hunt")


def main() -> int:
    """Run the named bench; without a name, all."""
    wanted = sys.argv[1:2] if sys.argv[1:2] and sys.argv[1] in NAMES else list(NAMES)
    rest = sys.argv[2:] if sys.argv[1:2] == wanted else sys.argv[1:]
    for name in wanted:
        sys.argv = [f"bench.{name}", *rest]
        try:
            runpy.run_module(f"bench.{name}", run_name="__main__")
        except SystemExit as end:
            if end.code:
                return int(end.code) if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
