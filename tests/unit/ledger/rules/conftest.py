"""A fresh world for every test of the rules."""

from __future__ import annotations

import pytest

from tests.unit.ledger.rules.world import World


@pytest.fixture
def world() -> World:
    """The test network at height 0."""
    return World()
