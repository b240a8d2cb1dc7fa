"""A quorum is lost for good, and the survivors go on: real processes, the command line, an audit after it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ledger.keys import public_bytes
from node.config import load_config
from node.further_node import FurtherNode, add_node, free_base_port
from node.local import LocalNetwork, free_node_ports, wait_until
from node.plan import PlannedNode, plan_network
from node.provision import ADMIN, ProvisionedNetwork, create_network, load_network
from tests.integration.harness import PASSPHRASE, QUICK, Bank, Holder, Members, funded, prune
from wallet.client import Client
from wallet.keystore import open_keystore
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

pytestmark = pytest.mark.processes

JOINS_S = 60
VERIFIER = Path(__file__).parents[2] / "scripts" / "verify_receipt.py"


def _network(directory: Path, nodes: int, banks: int) -> ProvisionedNetwork:
    plan = plan_network(nodes=nodes, banks=banks, ports=free_node_ports(nodes), timing=QUICK)
    return create_network(plan, directory, PASSPHRASE, keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))


def _started(network: ProvisionedNetwork) -> Iterator[LocalNetwork]:
    with LocalNetwork(network) as local:
        local.start()
        asyncio.run(local.ready())
        yield local


@pytest.fixture
def three(tmp_path: Path) -> Iterator[LocalNetwork]:
    """Three nodes of four banks."""
    yield from _started(_network(tmp_path / "net", 3, 4))


@pytest.fixture
def five(tmp_path: Path) -> Iterator[LocalNetwork]:
    """Five nodes of five banks."""
    yield from _started(_network(tmp_path / "net", 5, 5))


def nostro(*arguments: object, code: int = 0) -> dict[str, Any]:
    """Run a command as a person would, and give what it answered."""
    command = [sys.executable, "-m", "cli", *map(str, arguments), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout or ended.stderr)
    return document


def _propose(network: ProvisionedNetwork, survivors: Sequence[str], file: Path) -> dict[str, Any]:
    """The decision, to be signed by the first banks that are more than half of all."""
    banks = [member.id for member in network.members]
    signing = banks[: len(banks) // 2 + 1]
    keys = [open_keystore(network.keystore(bank), PASSPHRASE).private_key(ADMIN) for bank in signing]
    signers = [word for key in keys for word in ("--signer", public_bytes(key).hex())]
    configs = [network.config(node) for node in survivors]
    proposed = nostro("node", "recover", *configs, "--propose", file, *signers)
    word = file.with_name("passphrase")
    word.write_text(PASSPHRASE)
    word.chmod(0o600)
    for bank in signing:
        keystore = ("--keystore", network.keystore(bank), "--passphrase-file", word)
        nostro("payment", "sign", file, "--signer", ADMIN, "--yes", *keystore)
    return proposed


def _audit(network: ProvisionedNetwork, node: str) -> None:
    data = load_config(network.config(node)).data
    report = nostro("audit", data, "--genesis", network.genesis)
    assert report["findings"] == [], report


def _verify_alone(receipt: Path, network: ProvisionedNetwork) -> None:
    """A receipt proves its payment to the script that knows the network's id and nothing else."""
    command = [sys.executable, "-I", str(VERIFIER), str(receipt), network.network_id.hex()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def _waits(local: LocalNetwork, node: str) -> bool:
    """Whether a node runs and isn't ready."""
    try:
        status, _ = await local.ask_admin(node, "/readyz")
    except aiohttp.ClientError:
        return False
    return status == 503


async def _pay(bank: Bank, debtor: Holder, *nodes: str) -> int:
    """A payment that the nodes certify, and its height."""
    async with bank.client(*nodes) as client:
        answer = await client.submit(bank.pay(debtor, bank.issuer, 1).raw, wait="certified")
        assert answer.status == "certified", answer
        assert answer.height is not None
        return answer.height


def _further(local: LocalNetwork) -> FurtherNode:
    """The bank delta gets a node."""
    base = free_base_port(local.network)
    made = add_node(local.network, PlannedNode("delta-1", "127.0.0.1", base, base + 1, base + 2), "delta")
    local.network = load_network(local.network.directory)
    return made


async def _join(local: LocalNetwork, client: Client) -> None:
    """Delta's node comes to vote."""
    members = Members(local.network)
    answer = await client.submit(members.register(_further(local)))
    assert answer.status == "executed", answer
    local.start(["delta-1"])
    version = (await client.membership()).decision.version
    decided = await client.submit(members.change(version, add="delta-1"))
    assert decided.outcome is not None
    assert decided.outcome.name == "executed", decided
    await local.ready(["delta-1"], timeout_s=JOINS_S)


def test_one_of_three_goes_on_and_another_joins(three: LocalNetwork, tmp_path: Path) -> None:
    """Payments go on, a new node votes, a lost one that comes back takes no part, and the audit is clean.

    Receipts and backups lead from genesis across the recovery, and across the hand-over after it. The new
    node begins with a snapshot across the recovery, for the survivor has forgotten the first blocks.
    """
    network, file = three.network, tmp_path / "decision.json"
    bank = Bank(network)

    async def before() -> tuple[Holder, int]:
        async with bank.client("alpha-1") as client:
            debtor = await funded(bank, client, 10_000)
        return debtor, await _pay(bank, debtor, "alpha-1")

    debtor, certified = asyncio.run(before())
    for node in three.node_ids:
        three.kill(node)
    config = network.config("alpha-1")
    (found,) = nostro("node", "recover", config)["nodes"]
    assert found["executed"] >= certified
    refused = nostro(
        "node",
        "recover",
        config,
        "--propose",
        file,
        "--signer",
        "00",
        "--height",
        found["certified"] - 1,
        code=1,
    )
    assert "would lose what a quorum of banks has confirmed" in refused["error"]["message"]
    proposed = _propose(network, ["alpha-1"], file)
    assert (proposed["height"], proposed["voters"]) == (found["log_end"], ["alpha-1"])
    nostro("node", "recover", config, "--apply", file)
    assert "is carried out" in nostro("node", "recover", config, "--apply", file, code=1)["error"]["message"]

    prune(network, "alpha-1", found["certified"])

    async def after() -> None:
        three.start(["alpha-1"])
        await three.ready(["alpha-1"])
        await _pay(bank, debtor, "alpha-1")
        async with bank.client("alpha-1") as client:
            await _join(three, client)
        three.start(["bravo-1"])
        await wait_until(lambda: _waits(three, "bravo-1"), JOINS_S, "bravo-1 runs, and waits")
        payment = bank.pay(debtor, bank.issuer, 1)
        async with bank.client("alpha-1") as client:
            assert (await client.submit(payment.raw, wait="certified")).status == "certified"
            (tmp_path / "receipt").write_bytes(await client.receipt(payment.id_text))
        assert await _waits(three, "bravo-1")

    asyncio.run(after())
    _verify_alone(tmp_path / "receipt", network)
    backed_up = nostro("node", "backup", config, tmp_path / "backup")
    assert backed_up["height"] > proposed["height"]
    three.stop()
    assert '"snapshot_installed"' in three.log_file("delta-1").read_text()
    for node in ("alpha-1", "delta-1"):
        _audit(three.network, node)
    (lost,) = nostro("node", "recover", network.config("bravo-1"))["nodes"]
    assert (lost["epoch"], lost["log_end"] <= proposed["height"]) == (0, True)
    retired = nostro("node", "recover", network.config("bravo-1"), "--apply", file, code=1)
    assert "goes on without bravo-1" in retired["error"]["message"]


def test_two_of_five_go_on_though_one_of_them_was_behind(five: LocalNetwork, tmp_path: Path) -> None:
    """The one behind gets what it lacks from the other, the recovery block last; both certify then."""
    network, file = five.network, tmp_path / "decision.json"
    bank, survivors = Bank(network), ["alpha-1", "bravo-1"]

    async def before() -> Holder:
        async with bank.client("alpha-1") as client:
            debtor = await funded(bank, client, 10_000)
            five.kill("bravo-1")
            for _ in range(3):
                await _pay(bank, debtor, "alpha-1")
        return debtor

    debtor = asyncio.run(before())
    for node in five.node_ids:
        if five.is_running(node):
            five.kill(node)
    proposed = _propose(network, survivors, file)
    assert proposed["maker"] == "alpha-1"
    configs = [network.config(node) for node in survivors]
    nostro("node", "recover", *configs, "--apply", file)

    async def after() -> None:
        five.start(survivors)
        await five.ready(survivors)
        await _pay(bank, debtor, *survivors)

    asyncio.run(after())
    assert set(five.stop().values()) == {0}
    for node in survivors:
        _audit(network, node)
