"""Payments through three real nodes over HTTPS: the same everywhere, once, and provable offline."""

from __future__ import annotations

import asyncio

import pytest

from ledger.receipt import verify_receipt
from node.local import LocalNetwork
from tests.integration.harness import Bank, funded, leader_of
from wallet.client import Freshness

pytestmark = pytest.mark.processes


def test_a_payment_settles_the_same_at_every_node_and_its_receipt_verifies_offline(
    running: LocalNetwork, bank: Bank
) -> None:
    """From a signed envelope to a certified receipt, with equal blocks and balances at all nodes."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            payment = bank.pay(debtor, creditor, 2_500)
            answer = await client.submit(payment.raw, wait="certified")
            assert (answer.status, answer.decided_by) == ("certified", "chain")
            assert answer.height is not None
        hashes = set()
        for node in running.node_ids:
            async with bank.client(node) as one:
                executed = Freshness(min_height=answer.height)
                account = await one.account(bank.address(debtor), executed)
                assert (account.balance, account.entry_count) == ("75.00", 2 + 1)
                found = await one.payment(payment.id_text, fresh=executed)
                assert (found.height, found.index) == (answer.height, answer.index)
                hashes.add((await one.block(answer.height)).hash)
                receipt = await one.receipt(payment.id_text)
            proved = verify_receipt(receipt, bank.network.network_id)
            assert (proved.height, proved.envelope.raw) == (answer.height, payment.raw)
            assert len(proved.signed_by) >= 2
        assert len(hashes) == 1

    asyncio.run(scenario())


def test_the_same_bytes_at_every_node_pay_once_and_give_the_first_answer(
    running: LocalNetwork, bank: Bank
) -> None:
    """A retry, at whichever node and at the same moment, is the same payment."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
        payment = bank.pay(debtor, creditor, 400)

        async def at(node: str) -> tuple[str, int | None, int | None]:
            async with bank.client(node) as one:
                answer = await one.submit(payment.raw)
                return answer.status, answer.height, answer.index

        answers = await asyncio.gather(*(at(node) for node in running.node_ids * 3))
        assert len({(height, index) for _, height, index in answers}) == 1
        assert {status for status, _, _ in answers} <= {"executed", "certified"}
        async with bank.client() as client:
            account = await client.account(bank.address(debtor), Freshness(strong=True))
            assert account.balance == "96.00"

    asyncio.run(scenario())


def test_other_content_under_a_used_id_is_refused(running: LocalNetwork, bank: Bank) -> None:
    """The id stays with what was signed first."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            first = bank.pay(debtor, creditor, 1)
            await client.submit(first.raw)
            second = await client.submit(bank.pay(debtor, creditor, 2, first.tx_id).raw)
            assert second.outcome is not None
            assert second.outcome.name == "id_used_with_other_content"

    asyncio.run(scenario())


def test_followers_take_payments_and_pass_them_to_the_leader(running: LocalNetwork, bank: Bank) -> None:
    """A client needs to know one node only, whichever it is."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
        leader = await leader_of(bank)
        for node in running.node_ids:
            async with bank.client(node) as one:
                answer = await one.submit(bank.pay(debtor, creditor, 10).raw)
                assert (answer.status, answer.decided_by) == ("executed", "chain"), (node, leader)

    asyncio.run(scenario())


def test_a_batch_is_answered_in_order_with_a_word_for_each(running: LocalNetwork, bank: Bank) -> None:
    """Good ones are executed; the one without funds is refused, and costs the others nothing."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 1_000), await funded(bank, client, 1)
            amounts = [10] * 50 + [1_000_000] + [10] * 49
            answers = await client.submit_batch([bank.pay(debtor, creditor, a).raw for a in amounts])
            names = [answer.outcome.name if answer.outcome else None for answer in answers]
            assert names == ["executed"] * 50 + ["insufficient_funds"] + ["executed"] * 49
            account = await client.account(bank.address(debtor), Freshness(strong=True))
            assert account.balance == "0.10"

    asyncio.run(scenario())
