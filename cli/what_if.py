"""What a change of the cluster's membership does to its quorum: how many must run, how many may fail.

Values and sums only; it must not know where they come from. A block takes the majority of the voters, a
certificate what its rule says; the larger of the two is called the quorum here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Set

    from wallet.network_answers import Membership


@dataclass(frozen=True, slots=True)
class Strength:
    """A set of voters: how many of them must run, and which of them do."""

    voters: tuple[str, ...]
    quorum: int
    reachable: tuple[str, ...]

    @property
    def tolerated(self) -> int:
        """How many of them may fail."""
        return len(self.voters) - self.quorum

    @property
    def has_quorum(self) -> bool:
        """Whether enough of them run."""
        return len(self.reachable) >= self.quorum

    def document(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "voters": list(self.voters),
            "quorum": self.quorum,
            "tolerated_failures": self.tolerated,
            "reachable": list(self.reachable),
        }


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The voters as they are, and as they would be."""

    before: Strength
    after: Strength

    def check(self) -> None:
        """Refuse what would leave a cluster without a quorum, given which nodes run now."""
        if self.after.has_quorum:
            return
        silent = sorted({*self.after.voters} - {*self.after.reachable})
        raise CommandError(
            f"The cluster would lose its quorum: {self.after.quorum} of {len(self.after.voters)} voting "
            f"nodes must run, and only {len(self.after.reachable)} can be reached "
            f"(not {', '.join(silent) or 'enough'}).",
            "Start the nodes that are down, or add a node first. `nostro members` shows who votes.",
            Exit.UNREACHABLE,
        )


def what_if(found: Membership, reachable: Set[str], add: str | None, remove: str | None) -> WhatIf:
    """What voting would be with `add` among the voters and without `remove`.

    A node to be added counts as one that runs: it votes only once it has caught up.
    """
    after = ({*found.voters} | {*filter(None, [add])}) - {*filter(None, [remove])}
    return WhatIf(
        _strength(found.voters, reachable, found.certificate_rule),
        _strength(tuple(sorted(after)), reachable | {*filter(None, [add])}, found.certificate_rule),
    )


def _strength(voters: tuple[str, ...], reachable: Set[str], rule: str) -> Strength:
    from ledger.parameters import CertificateRule, quorum

    count, number = len(voters), CertificateRule[rule.upper()]
    least = quorum(number, max(count, 4)) if number is CertificateRule.BYZANTINE else 0
    needed = max(quorum(CertificateRule.MAJORITY, count), least)
    return Strength(voters, needed, tuple(node for node in voters if node in reachable))
