"""Round trips on the host: a restore chooses pids, which needs root there; tests/live/test_run.py is for the ordinary user."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as one that needs root."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.root)
