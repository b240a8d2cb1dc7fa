"""The cluster grows by a node and loses its leader for good, with real processes, while it is in use."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.receipt import verify_receipt
from node import operators
from node.further_node import FurtherNode, add_node, free_base_port
from node.local import LocalNetwork, wait_until
from node.plan import PlannedNode
from node.provision import ProvisionedNetwork, load_network
from tests.integration.harness import Bank, Members, Signed, funded, leader_of, provision
from wallet.client import Client

pytestmark = pytest.mark.processes

CHANGE_S = 60
VERIFIER = Path(__file__).parents[2] / "scripts" / "verify_receipt.py"


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[LocalNetwork]:
    """Three nodes of four banks."""
    with LocalNetwork(provision(tmp_path / "net", banks=4)) as network:
        network.start()
        asyncio.run(network.ready())
        yield network


def test_a_fourth_node_comes_and_the_leader_goes(growing: LocalNetwork, tmp_path: Path) -> None:
    """The fourth votes, the leader hands over and idles, payments go on, receipts and audits hold.

    The third is down until the fourth leads, of whom it then has to learn from others.
    """
    members = Members(growing.network)

    async def scenario() -> tuple[str, list[Signed]]:
        bank = Bank(growing.network)
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            payments = [bank.pay(debtor, creditor, 1)]
            await _settle(client, payments[-1])
            growing.kill("charlie-1")
            await _execute(client, members.register(_further(growing)))
        growing.start(["delta-1"])
        bank = Bank(growing.network)
        async with bank.client() as client:
            await _execute(client, members.change(1, add="delta-1"))
            await _carried_out(client, 4)
        await growing.ready(["delta-1"])
        await _hand_over(growing, await leader_of(bank), "delta-1")
        growing.start(["charlie-1"])
        await growing.ready(["charlie-1"])
        leader = await leader_of(bank)
        others = [node for node in growing.node_ids if node != leader]
        async with bank.client(*others) as client:
            payments.append(bank.pay(debtor, creditor, 1))
            await _settle(client, payments[-1])
            await _execute(client, members.change(2, remove=leader))
            await _carried_out(client, 3)
            payments.append(bank.pay(debtor, creditor, 1))
            await _settle(client, payments[-1])
            for number, payment in enumerate(payments):
                receipt = await client.receipt(payment.id_text)
                verify_receipt(receipt, growing.network.network_id)
                (tmp_path / f"{number}.receipt").write_bytes(receipt)
        status, reason = await growing.ask_admin(leader, "/readyz")
        assert (status, "retired" in reason) == (503, True), reason
        assert growing.is_running(leader)
        return leader, payments

    leader, payments = asyncio.run(scenario())
    for number in range(len(payments)):
        _verify_alone(tmp_path / f"{number}.receipt", growing.network)
    assert set(growing.stop().values()) == {0}
    for node in growing.node_ids:
        _audit(growing.network, node)
    assert leader in growing.node_ids


def _further(growing: LocalNetwork) -> FurtherNode:
    """The bank delta gets a node."""
    base = free_base_port(growing.network)
    made = add_node(growing.network, PlannedNode("delta-1", "127.0.0.1", base, base + 1, base + 2), "delta")
    growing.network = load_network(growing.network.directory)
    return made


async def _settle(client: Client, payment: Signed) -> None:
    answer = await client.submit(payment.raw, wait="certified")
    assert answer.status == "certified", answer


async def _execute(client: Client, raw: bytes) -> None:
    answer = await client.submit(raw)
    assert answer.outcome is not None
    assert (answer.status, answer.outcome.name) == ("executed", "executed"), answer


async def _carried_out(client: Client, voters: int) -> None:
    """Wait until so many nodes vote, and what was decided is so."""

    async def is_so() -> bool:
        found = await client.membership()
        return len(found.voters) == voters and not found.outgoing and not found.decision.pending

    await wait_until(is_so, CHANGE_S, f"{voters} nodes vote")


async def _hand_over(growing: LocalNetwork, leader: str, to: str) -> None:
    """Let a node lead, unless it does."""
    if leader != to:
        await operators.hand_over(operators.admin_port(growing.network, leader), to)
    bank = Bank(growing.network)

    async def leads() -> bool:
        return await leader_of(bank, to) == to

    await wait_until(leads, CHANGE_S, f"{to} leads")


def _verify_alone(receipt: Path, network: ProvisionedNetwork) -> None:
    done = subprocess.run(
        [sys.executable, str(VERIFIER), str(receipt), network.network_id.hex()],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _audit(network: ProvisionedNetwork, node: str) -> None:
    store = network.config(node).parent / "data"
    done = subprocess.run(
        [sys.executable, "-m", "cli", "audit", str(store), "--genesis", str(network.genesis)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
