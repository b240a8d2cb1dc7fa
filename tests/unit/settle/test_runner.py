"""A plan carried out on a chain in memory: what is sent, what is held back, and what is reported of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from cli.settle.journal import Journal
from cli.settle.orders import Order
from cli.settle.plan import Plan
from cli.settle.recall import PROBES, Recall
from cli.settle.report import Report, make_report, to_document
from cli.settle.runner import Carried, Progress, Runner, carry_out
from cli.settle.signing import Desk
from cli.settle.unchanged import FileChanged
from ledger.outcome import Outcome
from tests.unit.settle.played import NETWORK, NOW_MS, SCALE, PlayedChain, make_desk, order, plan
from wallet.client import Client

ORDERS = (order(2, "1", "9", 1000), order(3, "1", "9", 2000), order(4, "2", "8", 500))


@dataclass
class Settling:
    """Runs of one batch: the chain and the desk stay, the journal may be lost."""

    journal: Path
    chain: PlayedChain = field(default_factory=PlayedChain)
    desk: Desk = field(default_factory=make_desk)
    runs: int = 0
    told: list[tuple[str, int, int]] = field(default_factory=list)

    def run(self, made: Plan) -> Report:
        """What the next run reports; each signs at another time."""
        self.runs += 1
        self.desk.now_ms = NOW_MS + self.runs
        return asyncio.run(self._run(made))

    async def _run(self, made: Plan) -> Report:
        height, client = self.chain.height, cast(Client, self.chain)
        with Journal(self.journal, bytes(32), made.batch) as journal:
            runner = Runner(client, journal, self.desk, NETWORK, SCALE)
            recall = Recall(client, self.desk, NETWORK, SCALE, height)
            endings = await recall.endings(made, journal.envelopes, self.shown)
            await carry_out(runner, made, endings, self.shown)
        return make_report(Carried(made, height, endings, 0.0), ())

    @contextmanager
    def shown(self, label: str) -> Iterator[Progress]:
        """Keep what a person would be shown."""
        yield lambda done, total: self.told.append((label, done, total))


@pytest.fixture
def settling(tmp_path: Path) -> Settling:
    """A chain that has nothing yet."""
    return Settling(tmp_path / "batch.journal")


def test_every_order_settles_once_with_the_journal_and_without(settling: Settling) -> None:
    """The chain has each order's two transfers and each account once, whatever runs follow."""
    first = settling.run(plan(*ORDERS))
    assert (first.settled, first.settled_earlier, first.amount) == (3, 0, 3500)
    executed = settling.chain.executed
    assert len(executed) == 4 + 2 * 3
    assert settling.run(plan(*ORDERS)).settled_earlier == 3
    settling.journal.unlink()
    assert settling.run(plan(*ORDERS)).settled_earlier == 3
    assert settling.chain.executed == executed


def test_what_a_lost_journal_leaves_unpaid_is_paid(settling: Settling) -> None:
    """The chain knows the first orders; those after them, and a line mended since, are paid."""
    settling.run(plan(ORDERS[0], ORDERS[2]))
    settling.journal.unlink()
    report = settling.run(plan(*ORDERS, order(5, "2", "8", 1)))
    assert (report.settled, report.settled_earlier) == (4, 2)
    assert len(settling.chain.executed) == 4 + 2 * 4


@pytest.mark.parametrize(
    ("now", "line"),
    [
        ((order(2, "1", "9", 9900), *ORDERS[1:]), 2),
        ((ORDERS[0], order(3, "3", "9", 2000), ORDERS[2]), 3),
        ((*ORDERS[:2], order(4, "2", "9", 500)), 4),
        ((ORDERS[0], order(3, "7", "9", 1), order(4, "1", "9", 2000), order(5, "2", "8", 500)), 3),
    ],
)
def test_without_the_journal_the_chain_tells_a_changed_file(
    settling: Settling, now: tuple[Order, ...], line: int
) -> None:
    """Another amount, payer or payee, or a line put in: nothing is sent, and the restored file goes on."""
    settling.run(plan(*ORDERS))
    settling.journal.unlink()
    sent = len(settling.chain.sent)
    with pytest.raises(FileChanged, match=f"Line {line} "):
        settling.run(plan(*now))
    assert len(settling.chain.sent) == sent
    assert settling.run(plan(*ORDERS)).settled_earlier == 3


def test_who_lost_the_journal_sees_how_far_the_chain_is_asked(settling: Settling) -> None:
    """Two reads an order, each counted; with the journal nothing is asked and nothing shown of it."""
    settling.run(plan(*ORDERS))
    settling.told.clear()
    settling.run(plan(*ORDERS))
    assert not [label for label, _, _ in settling.told if label.startswith(("Looking", "Reading"))]
    settling.journal.unlink()
    settling.run(plan(*ORDERS))
    for label in ("Reading 3 earlier fundings", "Reading 3 earlier payments"):
        assert [told[1:] for told in settling.told if told[0] == label] == [(1, 3), (2, 3), (3, 3)]


def test_a_new_batch_asks_the_chain_for_a_few_orders_only(settling: Settling) -> None:
    """Up to twice the number of probes, however many orders the file has."""
    made = plan(*(order(line, "1", "9", 1) for line in range(2, 302)))
    assert settling.run(made).settled == 300
    assert PROBES < settling.chain.reads <= 2 * PROBES


def test_an_order_whose_funding_the_chain_refused_is_not_sent(settling: Settling) -> None:
    """The issuer's limit is reached: the report says so, of that order alone, and its payment is withheld."""
    made = plan(*ORDERS)
    settling.chain.refusals[made.payments[1].funding_tx_id] = (Outcome.INSUFFICIENT_FUNDS, "chain")
    report = settling.run(made)
    assert (report.settled, report.amount) == (2, 1500)
    assert [unpaid.order.line for unpaid in report.withheld] == [3]
    assert (report.refused, report.open) == ((), ())
    (unprepared,) = report.unprepared
    assert (unprepared.line, unprepared.ending.outcome) == (3, Outcome.INSUFFICIENT_FUNDS)
    assert made.payments[1].tx_id not in {envelope.payload.tx_id for envelope in settling.chain.sent}


def test_an_order_whose_funding_a_node_refused_waits_for_the_next_run(settling: Settling) -> None:
    """A node's word is of that moment: nothing of the order is final, and the next run pays it."""
    made = plan(*ORDERS)
    settling.chain.refusals[made.payments[1].funding_tx_id] = (Outcome.OVERLOADED, "node")
    report = settling.run(made)
    assert [(unpaid.order.line, unpaid.sent) for unpaid in report.open] == [(3, False)]
    assert (report.settled, report.refused, report.withheld) == (2, (), ())
    settling.chain.refusals.clear()
    report = settling.run(made)
    assert (report.settled, report.settled_earlier, report.unprepared) == (3, 2, ())


def test_a_payment_that_a_node_refused_is_open_and_one_that_the_chain_refused_is_not(
    settling: Settling,
) -> None:
    """Both were sent; only the chain's refusal stays."""
    made = plan(*ORDERS)
    settling.chain.refusals[made.payments[0].tx_id] = (Outcome.NO_QUORUM, "node")
    settling.chain.refusals[made.payments[2].tx_id] = (Outcome.CREDIT_FROZEN, "chain")
    report = settling.run(made)
    assert [(unpaid.order.line, unpaid.sent) for unpaid in report.open] == [(2, True)]
    assert [(unpaid.order.line, unpaid.sent) for unpaid in report.refused] == [(4, True)]
    assert report.unprepared == ()


@pytest.mark.parametrize(("decided_by", "withheld"), [("chain", 2), ("node", 0)])
def test_an_order_with_an_account_that_is_not_open_is_not_funded(
    settling: Settling, decided_by: str, withheld: int
) -> None:
    """The payee's account is missing: neither of the two orders to it is funded or paid."""
    made = plan(*ORDERS)
    payee = made.payments[0].payee
    settling.chain.refusals[payee.opening_tx_id] = (Outcome.NOT_PERMITTED, decided_by)
    report = settling.run(made)
    assert (report.settled, len(report.withheld), len(report.open)) == (1, withheld, 2 - withheld)
    assert [(unprepared.customer, unprepared.line) for unprepared in report.unprepared] == [(payee, None)]
    assert report.accounts == 3
    assert len(settling.chain.executed) == 3 + 2


def test_the_document_tells_each_sort_by_itself(settling: Settling) -> None:
    """For programs: what was refused, withheld, is open, and what was not prepared, with who decided it."""
    made = plan(*ORDERS)
    settling.chain.refusals[made.payments[0].funding_tx_id] = (Outcome.INSUFFICIENT_FUNDS, "chain")
    settling.chain.refusals[made.payments[1].tx_id] = (Outcome.OVERLOADED, "node")
    document = to_document(settling.run(made), "may", "CZK", SCALE)
    assert (document["settled"], document["amount"], document["refused"]) == (1, "5.00", [])
    (withheld,), (still_open,), (unprepared,) = (
        document["withheld"],
        document["open"],
        document["unprepared"],
    )
    assert (withheld["line"], withheld["sent"], withheld["decided_by"]) == (2, False, "chain")
    assert (still_open["line"], still_open["outcome"], still_open["decided_by"]) == (3, "overloaded", "node")
    assert (unprepared["what"], unprepared["line"], unprepared["account"]) == ("funding", 2, "1")
