"""What a drill rehearses: which nodes survive, which are lost, and who comes in the place of one.

Only values and their checks. It must not know how any of it is done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from ledger.records import NodeRecord


@dataclass(frozen=True, slots=True)
class Loss:
    """The voting nodes that survive, and those that are lost; both in order of their ids."""

    survivors: tuple[str, ...]
    lost: tuple[str, ...]


def loss_of(voters: Sequence[str], named: Sequence[str]) -> Loss:
    """The loss to rehearse: of all but the named survivors, or of just so many that the rest is no quorum.

    Raises CommandError where a quorum would survive, nothing could be lost, or a name is no voter's.
    """
    voters = sorted(voters)
    if len(voters) < 2:
        raise CommandError(
            f"Of {len(voters)} voting node there is no quorum to lose while another node survives.",
            "Rehearse with a network of at least two voting nodes.",
            Exit.USAGE,
        )
    strangers = sorted(set(named) - set(voters))
    if strangers:
        raise CommandError(
            f"{strangers[0]} is no voting node of this network.",
            f"The voting nodes: {', '.join(voters)}.",
            Exit.USAGE,
        )
    quorum = len(voters) // 2 + 1
    survivors = sorted(set(named)) or voters[: max(1, len(voters) - quorum)]
    if len(survivors) >= quorum:
        raise CommandError(
            f"With {len(survivors)} of {len(voters)} voting nodes left no quorum is lost: {quorum} are one.",
            f"Name at most {quorum - 1} with --survivor.",
            Exit.USAGE,
        )
    return Loss(tuple(survivors), tuple(node for node in voters if node not in survivors))


def newcomer(nodes: Mapping[str, NodeRecord], lost: Collection[str]) -> tuple[str, str]:
    """The id of the node that is restored, which no node of the chain has, and its member, who lost one."""
    member = min(nodes[node].member for node in lost)
    number = 1
    while (name := f"{member}-drill-{number}") in nodes:
        number += 1
    return name, member
