"""python -m holdfast: the same as the command."""

from __future__ import annotations

import sys

from holdfast.cli.main import main

sys.exit(main())
