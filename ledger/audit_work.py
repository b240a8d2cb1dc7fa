"""What a running audit has counted and found so far, and the signatures that it has yet to verify.

Must not know what is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.audit_report import Check, Finding, Verify
from ledger.rules.base import RuleSet

MAX_FINDINGS: Final = 1_000
"""Findings beyond this number are counted and not kept."""


@dataclass(slots=True)
class Work:
    """What a running audit has counted and found so far."""

    verify: Verify
    rules: Mapping[int, RuleSet]
    findings: list[Finding] = field(default_factory=list)
    omitted: int = 0
    certified: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    supply: dict[str, int] = field(default_factory=dict)
    positions: dict[str, dict[str, int]] = field(default_factory=dict)
    issued: dict[str, int] = field(default_factory=dict)
    uncertified_handovers: list[int] = field(default_factory=list)
    pending: list[Check] = field(default_factory=list)
    places: list[Finding] = field(default_factory=list)

    def found(self, code: str, height: int | None, index: int | None, what: str) -> None:
        """Keep a finding, or count it where there are too many."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, height, index, what))
        else:
            self.omitted += 1

    def count(self, what: str, number: int = 1) -> None:
        """So many more of something were checked."""
        self.counts[what] = self.counts.get(what, 0) + number

    def expect_signature(self, check: Check, otherwise: Finding) -> None:
        """Have a signature verified with the next ones; `otherwise` is found where it is bad."""
        self.pending.append(check)
        self.places.append(otherwise)

    def verify_pending(self, least: int = 1) -> None:
        """Verify the signatures that wait, where there are `least` of them."""
        if len(self.pending) < least:
            return
        for position in self.verify(self.pending):
            place = self.places[position]
            self.found(place.code, place.height, place.index, place.what)
        self.count("signatures", len(self.pending))
        self.pending, self.places = [], []
