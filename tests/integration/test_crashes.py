"""Nodes that stop, die and come back: nothing that was acknowledged is lost, and nothing happens twice."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence

import aiohttp
import pytest

from node import tls
from node.config import load_config
from node.local import LocalNetwork
from node.run import EXIT_OK, EXIT_STOPPED_ITSELF
from tests.integration.harness import QUICK, Bank, Holder, Signed, funded, leader_of, outcome_of
from wallet.answers import Answer
from wallet.client import Client, Freshness
from wallet.connections import Connections

pytestmark = pytest.mark.processes

PAYERS = 8
PAYMENTS_EACH = 40
READ_EVERY = 8
"""Every payment is submitted again; every eighth is read by itself too."""
STOPPED_WITHIN_S = 10.0
NO_QUORUM_WITHIN_S = 2 * QUICK.election_ticks * QUICK.tick_ms / 1_000
"""The longest election timeout. A leader may have checked its quorum just before the others died: it notices
at the check after the next."""
BUSY_MACHINE_S = 2.0
"""What a machine may add that runs other tests."""


def _others(network: LocalNetwork, *without: str) -> tuple[str, ...]:
    return tuple(node for node in network.node_ids if node not in without)


def test_a_stopping_leader_hands_over_and_ends_with_0(shaken: LocalNetwork, bank: Bank) -> None:
    """Rolling restarts: the others lead at once, and the node that comes back has all that it missed."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
        leader = await leader_of(bank)
        others = _others(shaken, leader)
        shaken.signal(leader, signal.SIGTERM)
        async with bank.client(*others) as client:
            answer = await client.submit(bank.pay(debtor, creditor, 100).raw)
            assert answer.status == "executed"
        assert shaken.wait(leader) == EXIT_OK
        assert await leader_of(bank, *others) != leader
        shaken.start([leader])
        await shaken.ready([leader])
        async with bank.client(leader) as client:
            account = await client.account(bank.address(debtor), Freshness(min_height=answer.height or 0))
            assert account.balance == "99.00"

    asyncio.run(scenario())


async def _pay_one_after_the_other(
    bank: Bank, client: Client, debtor: Holder, creditor: Holder, acknowledged: list[tuple[Signed, Answer]]
) -> None:
    for _ in range(PAYMENTS_EACH):
        payment = bank.pay(debtor, creditor, 1)
        answer = await client.submit(payment.raw, timeout_ms=30_000)
        acknowledged.append((payment, answer))


async def _check_acknowledged(
    bank: Bank, nodes: Sequence[str], acknowledged: Sequence[tuple[Signed, Answer]]
) -> None:
    """At every node the payments stand where their submitters were told, once; retries have that outcome."""
    assert all(answer.outcome is not None and answer.outcome.name == "executed" for _, answer in acknowledged)
    places = Counter((answer.height, answer.index) for _, answer in acknowledged)
    assert set(places.values()) == {1}
    highest = max(answer.height or 0 for _, answer in acknowledged)
    for node in nodes:
        async with bank.client(node) as client:
            for payment, answer in acknowledged[::READ_EVERY]:
                found = await client.payment(payment.id_text, fresh=Freshness(min_height=highest))
                assert found.outcome is not None
                assert (found.height, found.index, found.outcome.number) == outcome_of(answer)
            again = await client.submit_batch([payment.raw for payment, _ in acknowledged])
            assert {a.status for a in again} <= {"executed", "certified"}
            assert [outcome_of(a) for a in again] == [outcome_of(a) for _, a in acknowledged]


def test_a_leader_that_dies_under_load_loses_nothing_that_was_acknowledged(
    shaken: LocalNetwork, bank: Bank
) -> None:
    """kill -9 in the middle: every payment gets its outcome, stands once, and the dead node catches up."""

    async def scenario() -> None:
        acknowledged: list[tuple[Signed, Answer]] = []
        async with bank.client(timeout_ms=40_000) as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            leader = await leader_of(bank)
            paying = [
                asyncio.create_task(_pay_one_after_the_other(bank, client, debtor, creditor, acknowledged))
                for _ in range(PAYERS)
            ]
            await asyncio.wait(paying, timeout=0.3)
            assert len(acknowledged) < PAYERS * PAYMENTS_EACH
            shaken.kill(leader)
            await asyncio.gather(*paying)
        assert {answer.status for _, answer in acknowledged} <= {"executed", "certified"}
        assert len(acknowledged) == PAYERS * PAYMENTS_EACH
        shaken.start([leader])
        await shaken.ready([leader])
        await _check_acknowledged(bank, shaken.node_ids, acknowledged)
        async with bank.client() as client:
            account = await client.account(bank.address(debtor), Freshness(strong=True))
            assert account.balance == f"{100 - PAYERS * PAYMENTS_EACH / 100:.2f}"

    asyncio.run(scenario())


def test_a_leader_that_is_asked_to_stop_under_load_loses_nothing(shaken: LocalNetwork, bank: Bank) -> None:
    """SIGTERM, impatiently repeated and followed by SIGINT: it still ends with 0, and soon; every payment is
    answered.
    """

    async def scenario() -> None:
        acknowledged: list[tuple[Signed, Answer]] = []
        async with bank.client(timeout_ms=40_000) as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            leader = await leader_of(bank)
            paying = [
                asyncio.create_task(_pay_one_after_the_other(bank, client, debtor, creditor, acknowledged))
                for _ in range(PAYERS)
            ]
            await asyncio.wait(paying, timeout=0.3)
            assert len(acknowledged) < PAYERS * PAYMENTS_EACH
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                shaken.signal(leader, number)
            started = time.monotonic()
            assert await asyncio.to_thread(shaken.wait, leader) == EXIT_OK
            assert time.monotonic() - started < STOPPED_WITHIN_S
            await asyncio.gather(*paying)
        assert {answer.status for _, answer in acknowledged} <= {"executed", "certified"}
        shaken.start([leader])
        await shaken.ready([leader])
        await _check_acknowledged(bank, shaken.node_ids, acknowledged)

    asyncio.run(scenario())


def test_all_nodes_dying_at_once_come_back_with_everything(shaken: LocalNetwork, bank: Bank) -> None:
    """A power cut in every bank: what was acknowledged is on the disks."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            payments = [bank.pay(debtor, creditor, 1) for _ in range(200)]
            answers = await client.submit_batch([payment.raw for payment in payments])
        for node in shaken.node_ids:
            shaken.kill(node)
        shaken.start()
        await shaken.ready()
        await _check_acknowledged(bank, shaken.node_ids, list(zip(payments, answers, strict=True)))

    asyncio.run(scenario())


def test_without_a_quorum_reads_answer_and_submissions_are_refused_in_time(
    shaken: LocalNetwork, bank: Bank
) -> None:
    """The node that is left says what it knows, and that it can't settle; with the others it can again."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            last = await client.submit(bank.pay(debtor, creditor, 1).raw)
            assert last.height is not None
            assert last.time_ms is not None
        leader = await leader_of(bank)
        left, *lost = leader, *_others(shaken, leader)
        for node in lost:
            shaken.kill(node)
        payment = bank.pay(debtor, creditor, 100)
        url = shaken.place(left).api_url
        trusting = tls.trusting_context(shaken.network.ca)
        async with aiohttp.ClientSession(connector=Connections()) as session:
            started = time.monotonic()
            headers = {"Content-Type": "application/msgpack"}
            async with session.post(
                f"{url}/v1/payments?wait=executed", data=payment.raw, headers=headers, ssl=trusting
            ) as response:
                problem = await response.json()
                assert (response.status, problem["type"]) == (503, "urn:nostro:outcome:no_quorum")
                assert (problem["tx_id"], problem["decided_by"]) == (payment.id_text, "node")
                assert "leader" not in problem
                assert "Retry-After" in response.headers
            assert time.monotonic() - started < NO_QUORUM_WITHIN_S + BUSY_MACHINE_S
            address = bank.address(debtor)
            async with session.get(f"{url}/v1/accounts/{address}", ssl=trusting) as response:
                assert (response.status, (await response.json())["balance"]) == (200, "99.99")
                assert int(response.headers["Ledger-Height"]) >= last.height
                assert last.time_ms <= int(response.headers["Ledger-Time"]) <= time.time_ns() // 1_000_000
            strong = f"{url}/v1/accounts/{address}?consistency=strong&timeout_ms=2000"
            async with session.get(strong, ssl=trusting) as response:
                assert response.status == 503
        assert (await shaken.ask_admin(left, "/readyz"))[0] == 503
        shaken.start(lost)
        await shaken.ready()
        async with bank.client() as client:
            answer = await client.submit(payment.raw)
            assert answer.status in ("executed", "certified")

    asyncio.run(scenario())


def test_a_node_that_was_paused_catches_up(shaken: LocalNetwork, bank: Bank) -> None:
    """SIGSTOP for longer than an election, of the leader: the others go on, and it follows when it wakes."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
        leader = await leader_of(bank)
        shaken.signal(leader, signal.SIGSTOP)
        async with bank.client(*_others(shaken, leader)) as client:
            answer = await client.submit(bank.pay(debtor, creditor, 100).raw, timeout_ms=20_000)
            assert answer.status == "executed"
        shaken.signal(leader, signal.SIGCONT)
        async with bank.client(leader) as client:
            account = await client.account(bank.address(debtor), Freshness(min_height=answer.height or 0))
            assert account.balance == "99.00"

    asyncio.run(scenario())


def test_a_node_whose_disk_was_emptied_stops_itself(shaken: LocalNetwork, bank: Bank) -> None:
    """The others remember its seals: it must not vote as if it had promised nothing."""

    async def scenario() -> None:
        async with bank.client() as client:
            await funded(bank, client, 100)
        node = _others(shaken, await leader_of(bank))[0]
        shaken.signal(node, signal.SIGTERM)
        assert shaken.wait(node) == EXIT_OK
        data = load_config(shaken.network.config(node)).data
        kept = data.rename(data.with_name("kept"))
        shaken.start([node])
        assert shaken.wait(node) == EXIT_STOPPED_ITSELF
        assert '"word": "lost_state"' in shaken.last_lines(node)
        shutil.rmtree(data)
        kept.rename(data)
        shaken.start([node])
        await shaken.ready([node])

    asyncio.run(scenario())
