"""Reading from real nodes: histories, blocks and proofs as the chain has them, and what is not there."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from ledger.block import decode_block
from ledger.certificate import (
    Certifier,
    Certifiers,
    decode_certificate,
    decode_seal,
    seal_hash,
    verify_certificate,
)
from ledger.parameters import CertificateRule
from ledger.state_proof import verify_account_proof
from node import tls
from node.local import LocalNetwork
from tests.integration.harness import Bank, funded
from wallet.client import Freshness
from wallet.connections import Connections

pytestmark = pytest.mark.processes

NODE = "alpha-1"
STRONG = Freshness(strong=True)


async def get(network: LocalNetwork, path: str) -> tuple[int, Any]:
    """Status and JSON of a plain GET at one node."""
    url = network.place(NODE).api_url + path
    async with (
        aiohttp.ClientSession(connector=Connections()) as session,
        session.get(url, ssl=tls.trusting_context(network.network.ca)) as response,
    ):
        return response.status, await response.json(content_type=None)


def test_a_history_is_whole_and_newest_first_however_it_is_paged(running: LocalNetwork, bank: Bank) -> None:
    """Every entry once, with what it posted, down to the opening."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            for amount in (1, 2, 3):
                await client.submit(bank.pay(debtor, creditor, amount).raw)
            address = bank.address(debtor)
            whole = [entry async for entry in client.history(address, STRONG)]
            paged = [entry async for entry in client.history(address, STRONG, page=2)]
            assert paged == whole
            assert [entry.entry for entry in whole] == [5, 4, 3, 2, 1]
            assert [entry.debit for entry in whole] == ["0.03", "0.02", "0.01", "0.00", "0.00"]
            assert [entry.credit for entry in whole][-2:] == ["100.00", "0.00"]
            assert whole[-1].kind == "open_account"

    asyncio.run(scenario())


def test_a_cursor_of_another_account_is_not_found(running: LocalNetwork, bank: Bank) -> None:
    """A page never begins at an entry that isn't this account's."""

    async def scenario() -> None:
        async with bank.client() as client:
            first, second = await funded(bank, client, 10_000), await funded(bank, client, 1)
            place = (await client.account(bank.address(first), STRONG)).last
        assert place is not None
        path = f"/v1/accounts/{bank.address(second)}/payments?cursor={place.height}.{place.index}"
        status, _ = await get(running, path + "&consistency=strong")
        assert status == 404

    asyncio.run(scenario())


def test_an_id_of_two_authors_is_told_apart_by_the_author(running: LocalNetwork, bank: Bank) -> None:
    """Without the author the answer is 409 and names both; with it, the payment."""

    async def scenario() -> None:
        async with bank.client() as client:
            first, second = await funded(bank, client, 10_000), await funded(bank, client, 1_000)
            payment = bank.pay(first, second, 1)
            await client.submit(payment.raw)
            await client.submit(bank.pay(second, first, 2, payment.tx_id).raw)
            path = f"/v1/payments/{payment.id_text}?consistency=strong"
            status, problem = await get(running, path)
            assert status == 409
            assert set(problem["authors"]) == {bank.address(first), bank.address(second)}
            found = await client.payment(payment.id_text, bank.address(second), STRONG)
            assert found.author == bank.address(second)

    asyncio.run(scenario())


def test_a_block_is_the_same_by_height_and_by_hash_and_its_bytes_hash_to_it(
    running: LocalNetwork, bank: Bank
) -> None:
    """By either name, the newest and an older one."""

    async def scenario() -> None:
        async with bank.client(NODE) as client:
            await funded(bank, client, 100)
            newest = await client.block("latest", STRONG)
            for height in (1, newest.height):
                block = await client.block(height)
                assert await client.block(block.hash) == block
                assert decode_block(await client.block_raw(height)).hash.hex() == block.hash
        assert (await get(running, f"/v1/blocks/{newest.height + 1_000}"))[0] == 404
        assert (await get(running, f"/v1/blocks/{'00' * 32}"))[0] == 404

    asyncio.run(scenario())


def test_an_account_and_the_absence_of_one_are_proved_against_the_seal(
    running: LocalNetwork, bank: Bank
) -> None:
    """The proof leads from the record, or from nothing, to a state root that a quorum of nodes certified."""

    async def scenario() -> None:
        async with bank.client() as client:
            holder = await funded(bank, client, 500)
            _, absent = bank.open()
            nodes = await client.nodes()
            certifiers = Certifiers(
                CertificateRule.MAJORITY.value,
                tuple(Certifier(node.id, node.member, bytes.fromhex(node.key)) for node in nodes),
            )
            for owner, balance in ((holder, 500), (absent, None)):
                answer = await client.account_proof(bank.address(owner), STRONG)
                seal = decode_seal(answer.seal)
                assert seal.height == answer.height
                certificate = decode_certificate(answer.certificate)
                verify_certificate(certificate, certifiers)
                chain = (*answer.seals, certificate.seal)
                assert chain[0] == answer.seal
                for parent, child in pairwise(chain):
                    assert decode_seal(child).parent_seal_hash == seal_hash(parent)
                proved = verify_account_proof(answer.proof, owner.account, seal.state_root)
                assert (None if proved is None else proved.balance) == balance

    asyncio.run(scenario())


def test_what_is_on_no_block_is_not_found(running: LocalNetwork, bank: Bank) -> None:
    """A payment that nobody submitted, and an account that nobody opened."""

    async def scenario() -> None:
        signed, holder = bank.open()
        assert (await get(running, f"/v1/payments/{signed.id_text}"))[0] == 404
        assert (await get(running, f"/v1/payments/{signed.id_text}/receipt"))[0] == 404
        assert (await get(running, f"/v1/accounts/{bank.address(holder)}"))[0] == 404

    asyncio.run(scenario())


def test_the_registry_and_the_cluster_are_shown(running: LocalNetwork, bank: Bank) -> None:
    """Members, nodes, assets and parameters as in genesis; a leader and two peers."""

    async def scenario() -> None:
        async with bank.client(NODE) as client:
            members = await client.members()
            assert [member.id for member in members] == ["alpha", "bravo", "central-bank", "charlie"]
            assert [node.id for node in await client.nodes()] == ["alpha-1", "bravo-1", "charlie-1"]
            assert [asset.code for asset in await client.assets()] == ["EUR"]
            assert (await client.parameters()).current.block_envelopes == 5_000
            assert (await client.network()).network_id == running.network.network_id.hex()
            cluster = await client.cluster()
            assert (cluster.node, cluster.quorum) == (NODE, True)
            assert {peer.node for peer in cluster.peers} == {"bravo-1", "charlie-1"}

    asyncio.run(scenario())


def test_a_trial_says_the_outcome_and_changes_nothing(running: LocalNetwork, bank: Bank) -> None:
    """Good and bad ones alike."""

    async def scenario() -> None:
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 100), await funded(bank, client, 1)
            for amount, outcome in ((100, "executed"), (101, "insufficient_funds")):
                trial = await client.simulate(bank.pay(debtor, creditor, amount).raw)
                assert trial.outcome.name == outcome
            assert (await client.account(bank.address(debtor), STRONG)).balance == "1.00"

    asyncio.run(scenario())
