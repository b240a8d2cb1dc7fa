"""Networks of real node processes: one for tests that leave it whole, one for those that don't.

Each is a module's own and ends with it: nodes that nobody asks anything still tick, and take the time of
the tests that follow.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.local import LocalNetwork
from tests.integration.harness import Bank, provision
from tests.integration.operating import ENVIRONMENT


def _running(directory: Path) -> Iterator[LocalNetwork]:
    with LocalNetwork(provision(directory)) as network:
        network.start()
        asyncio.run(network.ready())
        yield network


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Three nodes that every test leaves running."""
    yield from _running(tmp_path_factory.mktemp("running") / "net")


@pytest.fixture(scope="module")
def _shaken_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    yield from _running(tmp_path_factory.mktemp("shaken") / "net")


@pytest.fixture
def shaken(_shaken_network: LocalNetwork) -> LocalNetwork:
    """Three nodes to be killed at will: what an earlier test left dead is running again."""
    dead = [node for node in _shaken_network.node_ids if not _shaken_network.is_running(node)]
    _shaken_network.start(dead)
    asyncio.run(_shaken_network.ready())
    return _shaken_network


@pytest.fixture
def bank(request: pytest.FixtureRequest) -> Bank:
    """The keys of whichever network the test uses."""
    name = "shaken" if "shaken" in request.fixturenames else "running"
    network: LocalNetwork = request.getfixturevalue(name)
    return Bank(network.network)


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and nodes without the environment of whoever runs the tests."""
    for name in os.environ.keys() - ENVIRONMENT.keys():
        monkeypatch.delenv(name)
