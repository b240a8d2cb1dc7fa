"""The order of the tests: the long ones at once, so that no process is left alone with one at the end.

It must not know any single test: a folder's tests are long or short.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = [HERE / folder for folder in ("simulation", "mutants", "integration", "storage")]
PROCESSES = 2
"""As many as scripts/test starts. Each begins with its part of the list, then takes from the others'."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests out, those of the long folders first; else they stay in their order, which is random."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in LONG))
    items[:] = [item for process in range(PROCESSES) for item in items[process::PROCESSES]]
