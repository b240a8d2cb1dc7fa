"""Version 1 of the rules: the one explicit list of its kinds, and how a block of them is executed.

Must not know storage, the network or time but a block's own.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ledger.rules.base import Kind, RuleSet
from ledger.rules.v1.execute import execute, preview
from ledger.rules.v1.kinds import KINDS


def executed_as_v1(version: int, kinds: Mapping[int, Kind[Any]]) -> RuleSet:
    """Rules of these kinds whose blocks are executed as version 1's are; a later version may build on it."""
    return RuleSet(version, kinds, partial(execute, kinds), partial(preview, kinds))


RULES_V1 = executed_as_v1(1, KINDS)
