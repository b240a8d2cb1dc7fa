"""What the client may conclude about one submitted payment from what the nodes answer, or don't.

Pure: it must not know sockets or clocks. The rule that everything follows from: once an attempt may have
delivered the bytes to a node, no other node's refusal proves that the payment won't be executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from ledger.outcome import OUTCOMES, Outcome, OutcomeClass
from wallet.answers import Answer, OutcomeView, Problem, Submitted, Wait

RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed, here or at another node."""

_NOT_TAKEN = frozenset({Outcome.OVERLOADED, Outcome.TOO_MANY_PENDING, Outcome.STOPPING})
"""With these a node says that it did not take the bytes in; with others of its class it may hold them."""


_ENOUGH: Final[Mapping[Wait, frozenset[str]]] = {
    "none": frozenset({"pending", "executed", "certified"}),
    "executed": frozenset({"executed", "certified"}),
    "certified": frozenset({"certified"}),
}
"""The statuses that end each way of waiting."""

_REQUEST_TIMEOUT = 408
"""The body didn't arrive whole, so nothing was submitted."""


class Submission:
    """One envelope on its way: collects what is known and says when that is enough."""

    def __init__(self, tx_id: str, wait: Wait) -> None:
        self.tx_id = tx_id
        self.attempts = 0
        self.wait = wait
        self._may_be_taken = False
        self._best: Answer | None = None
        self._problem: Problem | None = None

    def lost(self) -> None:
        """An attempt ended without an answer after bytes may have been sent."""
        self._may_be_taken = True

    def answered(self, submitted: Submitted) -> Answer | None:
        """Take a node's answer; returns the result once it is what was waited for."""
        if submitted.tx_id != self.tx_id:
            self.lost()
            return None
        self._may_be_taken = True
        answer = Answer(
            status=submitted.status,
            tx_id=submitted.tx_id,
            attempts=self.attempts,
            author=submitted.author,
            decided_by=submitted.decided_by,
            outcome=submitted.outcome,
            height=submitted.height,
            index=submitted.index,
            duplicate_of=submitted.duplicate_of,
            time_ms=submitted.time_ms,
        )
        if self._best is None or submitted.status != "pending":
            self._best = answer
        return answer if submitted.status in _ENOUGH[self.wait] else None

    def refused(self, problem: Problem) -> Answer | None:
        """Take a node's problem; returns a result where it is certain, None to try again."""
        self._problem = problem
        outcome = _outcome_of(problem)
        if problem.status in RETRY_STATUSES:
            self._may_be_taken |= outcome not in _NOT_TAKEN and problem.status != _REQUEST_TIMEOUT
            return None
        if self._may_be_taken and not _never_on_chain(outcome):
            return None
        view = None if outcome is None else view_outcome(outcome)
        return self._result("refused", decided_by="node", author=problem.author, outcome=view)

    @property
    def may_be_taken(self) -> bool:
        """Whether an attempt may have delivered the bytes to a node that can still get them executed."""
        return self._may_be_taken

    def at_deadline(self) -> Answer:
        """The result when the time is over: the best that a node said, or that it is unknown."""
        if self._best is not None:
            return msgspec.structs.replace(self._best, attempts=self.attempts)
        return self._result("unknown", reached=self._may_be_taken)

    def _result(
        self,
        status: Literal["refused", "unknown"],
        *,
        reached: bool = True,
        decided_by: Literal["node"] | None = None,
        author: str | None = None,
        outcome: OutcomeView | None = None,
    ) -> Answer:
        return Answer(
            status=status,
            tx_id=self.tx_id,
            attempts=self.attempts,
            reached=reached,
            author=author,
            decided_by=decided_by,
            outcome=outcome,
            problem=self._problem,
        )


def view_outcome(outcome: Outcome) -> OutcomeView:
    """The outcome table's row, in the form in which nodes send it."""
    info = OUTCOMES[outcome]
    fields = {name: getattr(info, name) for name in OutcomeView.__struct_fields__}
    return OutcomeView(**{**fields, "class_": str(info.class_)})


def _never_on_chain(outcome: Outcome | None) -> bool:
    """Whether this outcome, from any honest node, proves that the bytes are on no block and never will be."""
    return outcome is Outcome.BAD_SIGNATURE or (
        outcome is not None and OUTCOMES[outcome].class_ is OutcomeClass.MALFORMED
    )


def _outcome_of(problem: Problem) -> Outcome | None:
    """The outcome that a problem carries, where this version knows it."""
    try:
        return None if problem.outcome is None else Outcome(problem.outcome)
    except ValueError:
        return None
