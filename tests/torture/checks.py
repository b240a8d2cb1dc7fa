"""What must hold of a history, whatever the nodes suffered.

Every check gives sentences about what is wrong. It must not know nodes, stores or how the load was made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from tests.torture.history import Fate, Paid, Place, Read
from tests.torture.linearizable import MOST_CONFIGURATIONS, NEVER, Step, What, check


def steps_of(account: int, payments: Sequence[Paid], reads: Sequence[Read]) -> list[Step]:
    """What happened to one account, for the search."""
    steps = [
        Step(What.READ, read.balance, read.invoked_s, read.returned_s, rank=_rank(read))
        for read in reads
        if read.account == account
    ]
    for payment in payments:
        what = _effect(payment, account)
        if what is not None:
            certain = payment.fate is not Fate.UNKNOWN
            returned_s = payment.returned_s if certain else NEVER
            steps.append(Step(what, payment.amount, payment.invoked_s, returned_s, certain, _rank(payment)))
    return steps


def _effect(payment: Paid, account: int) -> What | None:
    if payment.fate is Fate.SHORT:
        return What.SHORT if payment.debtor == account else None
    if payment.fate is Fate.REFUSED:
        return None
    if payment.debtor == account:
        return What.DEBIT
    return What.CREDIT if payment.creditor == account else None


def _rank(event: Paid | Read) -> tuple[float, float]:
    """Where the chain says that it stands: a read stands after all of the block that it read."""
    if isinstance(event, Read):
        return (event.height, math.inf)
    return (math.inf, math.inf) if event.place is None else event.place


def not_linearizable(
    accounts: Sequence[int], initial: int, payments: Sequence[Paid], reads: Sequence[Read]
) -> Iterator[str]:
    """Accounts on which what clients saw fits into no order, or on which the search gave up."""
    for account in accounts:
        verdict = check(steps_of(account, payments, reads), initial)
        if verdict.linearizable is False:
            yield f"account {account}: {verdict.stuck} fits nowhere; it can have {verdict.balances[:9]} then"
        elif verdict.linearizable is None:
            yield (
                f"account {account}: undecided after {MOST_CONFIGURATIONS:,} configurations; "
                f"the order of the chain doesn't fit at {verdict.stuck}"
            )


def out_of_order(payments: Sequence[Paid], reads: Sequence[Read]) -> Iterator[str]:
    """Pairs, over all accounts, that the chain has in another order than the one in which they took place.

    With this, and balances that the audit replays, the chain's order itself is strictly serializable.
    """
    events: list[Paid | Read] = [payment for payment in payments if payment.place is not None]
    events.extend(reads)
    latest: Paid | Read | None = None
    for _, group in groupby(sorted(events, key=_rank), key=_rank):
        together = list(group)
        for event in together:
            if latest is not None and event.returned_s < latest.invoked_s:
                yield f"{event} was over before {latest} began, and stands after it"
        candidates = together if latest is None else [latest, *together]
        latest = max(candidates, key=lambda event: event.invoked_s)


def places_given_twice(payments: Sequence[Paid]) -> Iterator[str]:
    """Places that more than one payment was told."""
    counts = Counter(payment.place for payment in payments if payment.place is not None)
    for place, count in counts.items():
        if count > 1:
            yield f"{place} was given to {count} payments"


def sum_at_one_height(reads: Sequence[Read]) -> int | None:
    """The sum of all accounts, where these reads of each show one and the same height; else None.

    An account that was read at a greater height hasn't changed since if its newest entry is older.
    """
    height = min(read.height for read in reads)
    if any(read.last is not None and read.last[0] > height for read in reads):
        return None
    return sum(read.balance for read in reads)


def contradicts_store(payment: Paid, found: Sequence[tuple[Place, Fate]]) -> str | None:
    """What is wrong about a payment, given all places and fates that one store has for its id."""
    if len(found) > 1:
        return f"{payment.tx_id} happened {len(found)} times: {found}"
    if payment.fate is Fate.UNKNOWN:
        return None
    if payment.fate is Fate.REFUSED:
        return f"{payment.tx_id} was refused for good, and stands at {found[0]}" if found else None
    if not found:
        return f"{payment.tx_id} was acknowledged at {payment.place}, and is lost"
    if found[0] != (payment.place, payment.fate):
        return f"{payment.tx_id} stands at {found[0]}, its payer was told {(payment.place, payment.fate)}"
    return None
