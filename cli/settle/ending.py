"""What became of one transaction, and what the chain has under an id.

It must not know what is carried out, nor in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.outcome import Outcome
from wallet.answers import Answer
from wallet.client import ANY, Client, Freshness
from wallet.ids import format_tx_id
from wallet.replies import NotFound

BY_CHAIN = "chain"


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one transaction: an outcome with who decided it and where, or None for not known yet."""

    outcome: Outcome | None
    sentence: str
    decided_by: str | None = None
    height: int | None = None

    @property
    def decided(self) -> bool:
        """Whether it stays so: only what the chain decided does, a node's own refusal is of that moment."""
        return self.outcome is not None and self.decided_by == BY_CHAIN

    @property
    def executed(self) -> bool:
        """Whether it did what it was to do."""
        return self.decided and self.outcome is Outcome.EXECUTED


NOT_KNOWN = Ending(None, "The outcome is not known yet.")


@dataclass(frozen=True, slots=True)
class Found:
    """A transaction that the chain has: how it ended, and its JSON form."""

    ending: Ending
    form: Mapping[str, Any]


async def find(client: Client, tx_id: bytes, author: str, fresh: Freshness = ANY) -> Found | None:
    """The transaction that an author (address or member id) used an id for, if the chain has one."""
    try:
        payment = await client.payment(format_tx_id(tx_id), author, fresh)
    except NotFound:
        return None
    if payment.outcome is None:
        return Found(NOT_KNOWN, payment.envelope)
    outcome = Outcome(payment.outcome.number)
    return Found(Ending(outcome, payment.outcome.sentence, BY_CHAIN, payment.height), payment.envelope)


def answered(answer: Answer) -> Ending:
    """What an answer to a submission says."""
    if answer.outcome is None or answer.status in ("pending", "unknown"):
        return NOT_KNOWN
    return Ending(Outcome(answer.outcome.number), answer.outcome.sentence, answer.decided_by, answer.height)
