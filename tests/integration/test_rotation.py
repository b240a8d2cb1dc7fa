"""Certificates and keys of nodes that change while payers pay: no payment fails, and none waits for long."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node import operators, tls
from node.certificates import LOOK_EVERY_S
from node.config import Listen, load_config
from node.local import wait_until
from node.provision import ProvisionedNetwork, load_network
from tests.campaigns.load import paying, violations
from tests.integration.harness import PASSPHRASE, Bank, leader_of, provision
from tests.integration.operating import Operator
from wallet.client import Client, Freshness
from wallet.errors import WalletError

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("own_environment")]

PAYERS = 3
PAID_BEFORE_AND_AFTER = 30
TAKEN_UP_WITHIN_S = LOOK_EVERY_S + 15
LINKED_WITHIN_S = 20
CHANGED_WITHIN_S = 60
LONGEST_GAP_S = 20.0
"""While the leader that goes hands over no payment is executed: a fraction of a second, but 8 s were seen
on a machine that had five other things to do. tests/campaigns/membership.py measures it."""
STRONG = Freshness(strong=True)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """An operator with three nodes that run."""
    made = Operator(provision(tmp_path / "net"))
    made.document("up")
    yield made
    made.end()


def logged(operator: Operator, node: str) -> Counter[str]:
    """How often a node has logged each event."""
    lines = operator.network_command("logs", node, "-n", "1000", "--json").stdout.splitlines()
    return Counter(json.loads(line)["event"] for line in lines)


async def all_linked(operator: Operator) -> bool:
    """Whether every node has a link to every other."""
    ports = [operators.admin_port(operator.network, place.id) for place in operator.network.nodes]
    reports = [await operators.report(port) for port in ports]
    return all(peer.connected for report in reports for peer in report.peers)


def links(operator: Operator, node: str) -> tuple[int, int]:
    """How many links a node has made and lost since it started."""
    events = logged(operator, node)
    return events["peer_connected"], events["peer_disconnected"]


def shown(listen: Listen, context: ssl.SSLContext, name: str) -> bytes:
    """The certificate that a new connection is shown."""
    with (
        socket.create_connection((listen.host, listen.port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=name) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


def shown_by(network: ProvisionedNetwork, node: str) -> tuple[bytes, ...]:
    """What a node shows to peers, and to clients of its API."""
    config, name = load_config(network.config(node)), tls.node_name(node, network.name)
    peers = tls.peer_client_context(tls.TlsFiles(config.ca, config.certificate, config.key))
    clients = tls.trusting_context(config.ca)
    return shown(config.peer, peers, name), shown(config.api, clients, config.api.host)


def on_disk(network: ProvisionedNetwork, node: str) -> tuple[bytes, ...]:
    """A node's two certificates as they lie in its folder."""
    config = load_config(network.config(node))
    return tuple(
        ssl.PEM_cert_to_DER_cert(path.read_text()) for path in (config.certificate, config.api_certificate)
    )


def test_certificates_are_renewed_under_load(operator: Operator) -> None:
    """With new keys: the same processes over the same links, and new connections are shown the new ones."""
    network = operator.network
    nodes = [place.id for place in network.nodes]
    pids = {node["node"]: node["pid"] for node in operator.document("status")}
    old = {node: on_disk(network, node) for node in nodes}
    assert {node: shown_by(network, node) for node in nodes} == old

    async def all_taken_up() -> bool:
        return all(logged(operator, node)["certificate_taken_up"] >= 2 for node in nodes)

    async def scenario() -> None:
        async with paying(Bank(network), PAYERS) as load:
            await load.history.more(PAID_BEFORE_AND_AFTER)
            await wait_until(lambda: all_linked(operator), LINKED_WITHIN_S, "all nodes are linked")
            standing = {node: links(operator, node) for node in nodes}
            renewed = await asyncio.to_thread(operator.network_command, "renew", "--new-key", "--json")
            assert renewed.exit_code == 0, renewed.output
            await wait_until(all_taken_up, TAKEN_UP_WITHIN_S, "every node shows its new certificates")
            await load.history.more(PAID_BEFORE_AND_AFTER)
            new = {node: await asyncio.to_thread(shown_by, network, node) for node in nodes}
            assert {node: links(operator, node) for node in nodes} == standing
        assert new == {node: on_disk(network, node) for node in nodes}
        assert not any(set(new[node]) & set(old[node]) for node in nodes)
        assert await violations(load, nodes) == []

    asyncio.run(scenario())
    status = operator.document("status")
    assert {node["node"]: node["pid"] for node in status} == pids
    assert all(node["ready"] for node in status)


class Replacement:
    """A further node of the leader's bank, and the decision that it takes the leader's place."""

    def __init__(self, operator: Operator, folder: Path, old: str) -> None:
        """Writes the new node's files and starts nothing."""
        self._operator = operator
        self._signing = folder / "passphrase"
        self._signing.write_text(PASSPHRASE + "\n")
        self.old, self.member = old, next(p.member for p in operator.network.nodes if p.id == old)
        self.new = f"{self.member}-2"
        network = operator.network.directory
        self.added = self._run("network", "add-node", network, "--node", self.new, "--member", self.member)
        operator.network = load_network(network)

    def register_and_start(self) -> None:
        """The members register its key and address, and it runs; it has no vote."""
        key, address = self.added["key"], self.added["address"]
        names = ("--member", self.member, "--key", key, "--address", address)
        self._decide("register", self.new, *names)
        self._operator.document("up", self.new)

    def decide(self) -> None:
        """The members decide that it takes the old one's place."""
        self._decide("replace", self.old, self.new, "--yes")

    def _decide(self, *arguments: str) -> None:
        network = self._operator.network.directory
        self._run("members", *arguments, "--network", network, "--passphrase-file", self._signing)

    def _run(self, *arguments: str | Path) -> dict[str, Any]:
        done = self._operator.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    async def is_so(self, client: Client) -> bool:
        """Whether the new one votes, the old one has no part, and nothing is left to do."""
        try:
            found = await client.membership(STRONG)
        except WalletError:
            return False
        at_rest = not (found.outgoing or found.learners or found.decision.pending)
        return at_rest and self.new in found.voters and self.old not in found.voters


def test_the_leaders_key_is_rotated_under_load(operator: Operator, tmp_path: Path) -> None:
    """A new node takes its place in one decision, and it can be stopped; each payment has its one outcome."""
    bank = Bank(operator.network)

    async def scenario() -> None:
        async with paying(bank, PAYERS) as load:
            await load.history.more(PAID_BEFORE_AND_AFTER)
            replacement = Replacement(operator, tmp_path, await leader_of(bank))
            await asyncio.to_thread(replacement.register_and_start)
            began = time.monotonic()
            await asyncio.to_thread(replacement.decide)
            async with bank.client() as client:
                await wait_until(lambda: replacement.is_so(client), CHANGED_WITHIN_S, "the new node votes")
            down = await asyncio.to_thread(operator.document, "down", replacement.old)
            await load.history.more(PAID_BEFORE_AND_AFTER)
            gap_s = load.history.longest_gap_s(began, time.monotonic())
        assert [node["exit_code"] for node in down] == [0]
        assert gap_s < LONGEST_GAP_S
        bank.network = operator.network
        voters = [place.id for place in operator.network.nodes if place.id != replacement.old]
        assert await violations(load, voters) == []
        async with bank.client(replacement.new) as client:
            answer = await client.submit(bank.pay(load.creditor, bank.issuer, 1).raw, wait="certified")
            assert answer.height is not None
            signers = {each.node for each in (await client.certificate(answer.height)).signatures}
        assert signers <= set(voters)

    asyncio.run(scenario())
