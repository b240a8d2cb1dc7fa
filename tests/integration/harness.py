"""What the tests of real processes share: a small network with its keys, and payments made with them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.bodies import Body, Kind, OpenAccount, SetMembership, SetNode, Transfer
from ledger.codec import present
from ledger.envelope import build_payload
from ledger.genesis import issuance_tx_id
from ledger.keys import account_id, address, public_bytes
from ledger.policy import single_key
from node.config import Timing, load_config
from node.disk import LevelDatabase
from node.further_node import FurtherNode
from node.local import free_node_ports, wait_until
from node.plan import DEFAULT_ASSET, DEFAULT_ISSUER, plan_network
from node.provision import ADMIN, ISSUANCE, TELLER, ProvisionedNetwork, create_network
from node.store import Store
from wallet.answers import Answer
from wallet.client import Client
from wallet.ids import format_tx_id, new_tx_id
from wallet.keystore import open_keystore
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost
from wallet.payment import sign_payload

PASSPHRASE = "test passphrase"
QUICK = Timing(tick_ms=50, election_ticks=10, heartbeat_ticks=1)
"""Elections begin as late as with the default timers, after 0.5 to 1 s, in ticks twice as long: half the work
for nodes that share few processors, several networks of them at once."""
VALID_FOR_MS = 600_000

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed envelope, and the names by which it is found again."""

    raw: bytes
    tx_id: bytes
    author: bytes

    @property
    def id_text(self) -> str:
        """The id as the API has it."""
        return format_tx_id(self.tx_id)


@dataclass(frozen=True, slots=True)
class Holder:
    """An account and the key of whoever holds it."""

    account: bytes
    key: Key


class Bank:
    """Signs with the keys of a provisioned network's members."""

    def __init__(self, network: ProvisionedNetwork) -> None:
        """Opens the keystores that are needed."""
        self.network = network
        issuer = open_keystore(network.keystore(DEFAULT_ISSUER), PASSPHRASE)
        issuance = account_id(DEFAULT_ISSUER, DEFAULT_ASSET, issuance_tx_id(0))
        self.issuer = Holder(issuance, issuer.private_key(ISSUANCE))
        self.teller = open_keystore(network.keystore("alpha"), PASSPHRASE).private_key(TELLER)

    def client(self, *nodes: str, timeout_ms: int = 20_000) -> Client:
        """A client of these nodes, or of all."""
        urls = [node.api_url for node in self.network.nodes if not nodes or node.id in nodes]
        return Client(urls, ca_file=self.network.ca, timeout_ms=timeout_ms, attempt_timeout_ms=10_000)

    def address(self, holder: Holder) -> str:
        """A holder's account as people see it."""
        return address(self.network.name, holder.account)

    def open(self) -> tuple[Signed, Holder]:
        """An envelope that opens an account at the bank alpha, and its holder."""
        key = ec.generate_private_key(ec.SECP256R1())
        body = OpenAccount(DEFAULT_ASSET, single_key(public_bytes(key)))
        signed = self.by_teller(Kind.OPEN_ACCOUNT, body)
        return signed, Holder(account_id("alpha", DEFAULT_ASSET, signed.tx_id), key)

    def pay(self, debtor: Holder, creditor: Holder, amount: int, tx_id: bytes | None = None) -> Signed:
        """A transfer in minor units."""
        body = Transfer(creditor.account, DEFAULT_ASSET, amount)
        return self._sign(debtor.account, Kind.TRANSFER, body, debtor.key, tx_id)

    def by_teller(self, kind: Kind, body: Body) -> Signed:
        """What the bank alpha's teller decides."""
        return self._sign(b"alpha", kind, body, self.teller)

    def _sign(self, author: bytes, kind: Kind, body: Body, key: Key, tx_id: bytes | None = None) -> Signed:
        return _signed(self.network.network_id, author, kind, body, [key], tx_id)


class Members:
    """All members of a network, who decide with one voice."""

    def __init__(self, network: ProvisionedNetwork) -> None:
        """Opens the keystores that are needed."""
        self._network_id = network.network_id
        self._keys = [
            open_keystore(network.keystore(member.id), PASSPHRASE).private_key(ADMIN)
            for member in network.members
        ]

    def register(self, node: FurtherNode, address: str | None = None) -> bytes:
        """The node's key, and its address or another one."""
        body = SetNode(node.place.id, node.place.member, node.key, address or node.address, 0)
        return self._decide(Kind.SET_NODE, body)

    def change(self, version: int, add: str | None = None, remove: str | None = None) -> bytes:
        """A node comes to vote, or one goes."""
        body = SetMembership(present(add), add is not None, present(remove), version)
        return self._decide(Kind.SET_MEMBERSHIP, body)

    def _decide(self, kind: Kind, body: Body) -> bytes:
        return _signed(self._network_id, b"alpha", kind, body, self._keys).raw


def outcome_of(answer: Answer) -> tuple[int | None, int | None, int | None]:
    """Height, index and the outcome's number of what was submitted: every retry must be told the same."""
    return answer.height, answer.index, None if answer.outcome is None else answer.outcome.number


def _signed(
    network_id: bytes, author: bytes, kind: Kind, body: Body, keys: Sequence[Key], tx_id: bytes | None = None
) -> Signed:
    now_ms = time.time_ns() // 1_000_000
    tx_id = tx_id or new_tx_id(now_ms, os.urandom)
    ordered = sorted(keys, key=public_bytes)
    payload = build_payload(
        network_id=network_id,
        tx_id=tx_id,
        author=author,
        kind=kind,
        body=body,
        valid_from_ms=now_ms - VALID_FOR_MS,
        valid_until_ms=now_ms + VALID_FOR_MS,
        signers=[public_bytes(key) for key in ordered],
    )
    return Signed(sign_payload(payload, ordered), tx_id, author)


def provision(
    directory: Path, nodes: int = 3, timing: Timing = QUICK, banks: int | None = None
) -> ProvisionedNetwork:
    """A network with quick timing on free ports, its keystores cheap to open; a bank a node, or more."""
    plan = plan_network(nodes=nodes, banks=banks, ports=free_node_ports(nodes), timing=timing)
    return create_network(plan, directory, PASSPHRASE, keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))


def prune(network: ProvisionedNetwork, node: str, height: int) -> None:
    """Let a stopped node's store forget the bodies up to a height."""
    with closing(LevelDatabase(load_config(network.config(node)).data, create=False)) as database:
        Store.open(database, network.genesis.read_bytes(), node).prune(height)


async def funded(bank: Bank, client: Client, amount: int) -> Holder:
    """A new account with that much money, executed."""
    signed, holder = bank.open()
    opened = await client.submit(signed.raw)
    assert opened.status == "executed", opened
    paid = await client.submit(bank.pay(bank.issuer, holder, amount).raw)
    assert paid.status == "executed", paid
    return holder


async def leader_of(bank: Bank, *nodes: str) -> str:
    """The node that leads according to one of these nodes, or of all; waits while there is none."""
    found: list[str] = []

    async def known() -> bool:
        async with bank.client(*nodes) as client:
            leader = (await client.cluster()).leader
        found.extend([] if leader is None else [leader])
        return leader is not None

    await wait_until(known, 20, "some node leads")
    return found[0]
