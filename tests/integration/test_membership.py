"""The cluster grows by a node and loses its leader for good, with real processes, while it is in use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.bodies import Body, Kind, SetMembership, SetNode
from ledger.codec import present
from ledger.envelope import build_payload
from ledger.keys import public_bytes
from ledger.receipt import verify_receipt
from node.further_node import FurtherNode, add_node, free_base_port
from node.local import LocalNetwork, free_node_ports, wait_until
from node.plan import PlannedNode, plan_network
from node.provision import ADMIN, ProvisionedNetwork, create_network, load_network
from tests.integration.harness import PASSPHRASE, QUICK, VALID_FOR_MS, Bank, Signed, funded, leader_of
from wallet.client import Client
from wallet.ids import new_tx_id
from wallet.keystore import open_keystore
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost
from wallet.payment import sign_payload

pytestmark = pytest.mark.processes

CHANGE_S = 60
VERIFIER = Path(__file__).parents[2] / "scripts" / "verify_receipt.py"


class Members:
    """All members of a network, who decide with one voice."""

    def __init__(self, network: ProvisionedNetwork) -> None:
        self._network_id = network.network_id
        self._keys = [
            open_keystore(network.keystore(member.id), PASSPHRASE).private_key(ADMIN)
            for member in network.members
        ]

    def register(self, node: FurtherNode) -> bytes:
        """The node's key and address."""
        body = SetNode(node.place.id, node.place.member, node.key, node.address, 0)
        return self._decide(Kind.SET_NODE, body)

    def change(self, version: int, add: str | None = None, remove: str | None = None) -> bytes:
        """A node comes to vote, or one goes."""
        body = SetMembership(present(add), add is not None, present(remove), version)
        return self._decide(Kind.SET_MEMBERSHIP, body)

    def _decide(self, kind: Kind, body: Body) -> bytes:
        now_ms = time.time_ns() // 1_000_000
        keys = sorted(self._keys, key=public_bytes)
        payload = build_payload(
            network_id=self._network_id,
            tx_id=new_tx_id(now_ms, os.urandom),
            author=b"alpha",
            kind=kind,
            body=body,
            valid_from_ms=now_ms - VALID_FOR_MS,
            valid_until_ms=now_ms + VALID_FOR_MS,
            signers=[public_bytes(key) for key in keys],
        )
        return sign_payload(payload, keys)


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[LocalNetwork]:
    """Three nodes of four banks."""
    plan = plan_network(nodes=3, banks=4, ports=free_node_ports(3), timing=QUICK)
    made = create_network(plan, tmp_path / "net", PASSPHRASE, keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))
    with LocalNetwork(made) as network:
        network.start()
        asyncio.run(network.ready())
        yield network


def test_a_fourth_node_comes_and_the_leader_goes(growing: LocalNetwork, tmp_path: Path) -> None:
    """The fourth votes, the leader hands over and idles, payments go on, receipts and audits hold."""
    members = Members(growing.network)

    async def scenario() -> tuple[str, list[Signed]]:
        bank = Bank(growing.network)
        async with bank.client() as client:
            debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
            payments = [bank.pay(debtor, creditor, 1)]
            await _settle(client, payments[-1])
            await _execute(client, members.register(_further(growing)))
        growing.start(["delta-1"])
        bank = Bank(growing.network)
        async with bank.client() as client:
            await _execute(client, members.change(1, add="delta-1"))
            await _carried_out(client, 4)
        await growing.ready(["delta-1"])
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
