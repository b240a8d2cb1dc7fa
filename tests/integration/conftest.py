"""Networks of real node processes: one for tests that leave it whole, and fresh ones for those that don't."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.local import LocalNetwork
from tests.integration.harness import Bank, provision


def _running(directory: Path) -> Iterator[LocalNetwork]:
    with LocalNetwork(provision(directory)) as network:
        network.start()
        asyncio.run(network.ready())
        yield network


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Three nodes that every test leaves running."""
    yield from _running(tmp_path_factory.mktemp("running") / "net")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[LocalNetwork]:
    """Three nodes of the test's own, to be killed at will."""
    yield from _running(tmp_path / "net")


@pytest.fixture
def bank(request: pytest.FixtureRequest) -> Bank:
    """The keys of whichever network the test uses."""
    name = "fresh" if "fresh" in request.fixturenames else "running"
    network: LocalNetwork = request.getfixturevalue(name)
    return Bank(network.network)
