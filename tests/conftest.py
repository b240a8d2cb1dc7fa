"""The order of the tests (the long ones at once, so that no process is left alone with one at the end), and
what processes that they start inherit.

It must not know any single test: a folder's tests are long or short.
"""

from __future__ import annotations

import gc
import signal
from itertools import chain
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = [HERE / folder for folder in ("simulation", "mutants", "integration", "storage")]
SINGLE = HERE / "simulation"
"""Its tests share nothing, and each is as long as many another file."""
PROCESSES = 2
"""As many as scripts/test starts. Each begins with its part of the list, then takes from the others'."""


def pytest_configure() -> None:
    """Let processes that tests start hear Ctrl-C: what a shell runs in the background is begun deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests out, those of the long folders first; else they stay in their order, which is random.

    The tests of a file stay together: they share its networks.
    """
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in LONG))
    groups: dict[str | Path, list[pytest.Item]] = {}
    for item in items:
        name = item.nodeid if item.path.is_relative_to(SINGLE) else item.path
        groups.setdefault(name, []).append(item)
    hands = (list(groups.values())[process::PROCESSES] for process in range(PROCESSES))
    items[:] = chain.from_iterable(chain.from_iterable(hands))


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lasts to the end: it took a tenth of a simulation's time."""
    gc.freeze()
