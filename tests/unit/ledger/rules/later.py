"""A version 2 of the rules for tests: as version 1, but that no payment may be of 13 minor units any more.

It shows what a next version is: it builds on the last one, whose blocks are replayed as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ledger.bodies import Kind as KindNumber
from ledger.bodies import Transfer
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.rules import RULES
from ledger.rules.base import Kind, RuleSet
from ledger.rules.v1 import executed_as_v1, transfer
from ledger.rules.v1.kinds import KINDS
from ledger.view import View

UNLUCKY = 13


def _check(view: View, envelope: Envelope, body: Transfer, height: int) -> Outcome:
    if body.amount == UNLUCKY:
        return Outcome.AMOUNT_OVERFLOW
    return transfer.check(view, envelope, body, height)


_KINDS: Mapping[int, Kind[Any]] = MappingProxyType(
    {**KINDS, KindNumber.TRANSFER: replace(transfer.KIND, check=_check)}
)
BOTH: Mapping[int, RuleSet] = MappingProxyType({**RULES, 2: executed_as_v1(2, _KINDS)})
"""Both versions: what a program has that is ready for the next."""
