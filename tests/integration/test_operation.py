"""Operating a network by its commands: nodes in the background, restarts in turn under load, certificates."""

from __future__ import annotations

import asyncio
import datetime
import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node import background, operators, tls
from node.certificates import LOOK_EVERY_S
from node.config import load_config
from node.local import wait_until
from node.provision import ProvisionedNetwork
from tests.integration.harness import Bank, Holder, Signed, funded, provision
from tests.integration.operating import ENVIRONMENT, Operator
from wallet.answers import Answer
from wallet.client import Client, Freshness

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("own_environment")]

PAYERS = 3
TIMEOUT_MS = 60_000
READ_EVERY = 20


@pytest.fixture(scope="module")
def _operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    operator = Operator(provision(tmp_path_factory.mktemp("operated") / "net"))
    yield operator
    operator.end()


@pytest.fixture
def operator(_operated: Operator) -> Operator:
    """An operator whose network is up, whatever an earlier test did to it."""
    _operated.document("up")
    return _operated


def test_a_network_goes_up_once_and_down(operator: Operator) -> None:
    """Nodes outlive the command that started them; up again changes nothing; down ends each with 0."""
    operator.document("down")
    command = [sys.executable, "-m", "cli", "network", "up", str(operator.network.directory), "--json"]
    up = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    before = {node["node"]: node["pid"] for node in json.loads(up.stdout)["nodes"]}
    again = operator.document("up")
    assert not any(node["started"] for node in again)
    assert {node["node"]: node["pid"] for node in again} == before
    status = operator.document("status")
    assert {node["node"]: node["pid"] for node in status} == before
    assert all(node["ready"] and node["certificate_days"]["node"] > 800 for node in status)
    assert sorted(node["role"] for node in status) == ["follower", "follower", "leader"]
    assert [(node["was_running"], node["exit_code"]) for node in operator.document("down")] == [(True, 0)] * 3
    assert [node["was_running"] for node in operator.document("down")] == [False] * 3
    down = operator.network_command("status")
    assert down.exit_code == 5
    assert down.stdout.count("down") == 3


def test_a_node_that_cannot_start_is_named_with_its_log(operator: Operator) -> None:
    """The others run on; the error has the reason from the log; once it is mended, up goes on."""
    operator.document("down", "bravo-1")
    port = load_config(operator.network.config("bravo-1")).admin.port
    with socket.create_server(("127.0.0.1", port)):
        failed = operator.network_command("up")
    assert failed.exit_code == 1
    assert "Node bravo-1 ended with code 1" in failed.stderr
    assert f"the admin port 127.0.0.1:{port} can't be used" in failed.stderr
    assert "Traceback" not in failed.stderr
    status = {node["node"]: node for node in operator.document("status")}
    assert (status["bravo-1"]["pid"], status["bravo-1"]["exit_code"]) == (None, 1)
    assert status["alpha-1"]["ready"]
    assert [node["node"] for node in operator.document("up") if node["started"]] == ["bravo-1"]


def test_a_killed_node_is_down_until_it_is_started_again(operator: Operator) -> None:
    """Its id may be another process's by then: down leaves it alone, and says that it didn't run."""
    node = operator.node("charlie-1")
    background.send_signal(node, signal.SIGKILL)
    assert background.wait_for_end(node, 10)
    status = {each["node"]: each for each in operator.document("status")}
    assert (status["charlie-1"]["pid"], status["charlie-1"]["exit_code"]) == (None, None)
    assert operator.document("down", "charlie-1")[0] == {
        "node": "charlie-1", "was_running": False, "exit_code": None
    }  # fmt: skip
    restart = operator.network_command("restart")
    assert restart.exit_code == 5
    assert "charlie-1 is not ready: it does not run" in restart.stderr


def test_the_logs_of_all_are_one(operator: Operator) -> None:
    """In the order of time, from every node; the last lines only; for programs as they were written."""
    lines = operator.network_command("logs", "-n", "1000", "--json").stdout.splitlines()
    documents = [json.loads(line) for line in lines]
    times = [datetime.datetime.fromisoformat(each["timestamp"]) for each in documents]
    assert times == sorted(times)
    assert {each["node"] for each in documents} == {place.id for place in operator.network.nodes}
    last = operator.network_command("logs", "alpha-1", "-n", "2").stdout.splitlines()
    assert [line.split()[2] for line in last] == ["alpha-1", "alpha-1"]


def test_leadership_is_handed_over_by_command(operator: Operator) -> None:
    """To whom was named, and it leads when the command ends."""
    roles = {node["node"]: node["role"] for node in operator.document("status")}
    successor = next(node for node, role in roles.items() if role == "follower")
    done = operator.run("leader", "transfer", successor, "--network", operator.network.directory, "--json")
    assert json.loads(done.stdout)["leader"] == successor, done.stderr
    roles = {node["node"]: node["role"] for node in operator.document("status")}
    assert roles[successor] == "leader"


def test_a_running_node_is_examined(operator: Operator) -> None:
    """Its ports are its own, its peers let it in, its store is left alone: nothing is wrong."""
    done = operator.run("node", "doctor", operator.network.config("alpha-1"), "--json")
    found = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    wrong = [each for each in found.values() if each["result"] != "ok"]
    assert (done.exit_code, wrong) == (0, [])
    assert found["port api"]["what"].endswith("held by this node, which runs.")
    assert "peer bravo-1" in found


async def pay(
    bank: Bank,
    client: Client,
    pair: tuple[Holder, Holder],
    answered: list[tuple[Signed, Answer]],
    end: asyncio.Event,
) -> None:
    """One payment after the other, each for one minor unit, until the end."""
    while not end.is_set():
        payment = bank.pay(*pair, 1)
        answered.append((payment, await client.submit(payment.raw, timeout_ms=TIMEOUT_MS)))


def test_nodes_restarted_in_turn_lose_no_payment(operator: Operator) -> None:
    """Under load: every payment has its one outcome at one place, the same at each node, and none failed."""
    bank = Bank(operator.network)
    answered: list[tuple[Signed, Answer]] = []

    async def scenario() -> None:
        end = asyncio.Event()
        async with bank.client(timeout_ms=TIMEOUT_MS) as client:
            pair = await funded(bank, client, 1_000_000), await funded(bank, client, 1)
            async with asyncio.TaskGroup() as group:
                for _ in range(PAYERS):
                    group.create_task(pay(bank, client, pair, answered, end))
                restarted = await asyncio.to_thread(operator.document, "restart")
                end.set()
            account = await client.account(bank.address(pair[1]), Freshness(strong=True))
        assert {node["node"] for node in restarted} == {place.id for place in operator.network.nodes}
        assert {answer.status for _, answer in answered} <= {"executed", "certified"}
        places = Counter((answer.height, answer.index) for _, answer in answered)
        assert set(places.values()) == {1}
        assert account.balance == f"{(len(answered) + 1) / 100:.2f}"
        highest = max(answer.height or 0 for _, answer in answered)
        for place in operator.network.nodes:
            async with bank.client(place.id) as client:
                for payment, answer in answered[::READ_EVERY]:
                    found = await client.payment(payment.id_text, fresh=Freshness(min_height=highest))
                    assert (found.height, found.index) == (answer.height, answer.index)

    asyncio.run(scenario())


def test_a_node_that_is_not_in_the_cluster_holds_nothing_up(tmp_path: Path) -> None:
    """Up, from a standstill too, waits for it only until it answers; a restart leaves it alone."""
    operator = Operator(provision(tmp_path / "net", nodes=1))
    folder = operator.network.directory
    try:
        added = operator.run("network", "add-node", folder, "--node", "alpha-2", "--member", "alpha")
        assert added.exit_code == 0, added.output
        up = operator.network_command("up", "--timeout", "30")
        assert up.exit_code == 0, up.output
        assert "alpha-2 does not vote: not in the cluster, as far as it knows" in up.stderr
        assert [node["part"] for node in operator.document("status")] == ["leader", "none"]
        assert [node["node"] for node in operator.document("restart")] == ["alpha-1"]
    finally:
        operator.run("network", "down", folder)


def expire(network: ProvisionedNetwork, node: str) -> None:
    """Put certificates in place that expired yesterday."""
    config = load_config(network.config(node))
    issued_at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=tls.LEAF_DAYS + 1)
    ca = tls.read_ca(network.directory / "ca")
    for path in (config.certificate, config.api_certificate):
        path.write_bytes(tls.renewed(ca, tls.read_certificate(path), issued_at))


async def wait_for_event(operator: Operator, node: str, event: str) -> dict[str, Any]:
    """The first such line in a node's log, once it is there."""
    found: list[dict[str, Any]] = []

    async def is_logged() -> bool:
        lines = operator.network_command("logs", node, "-n", "1000", "--json").stdout.splitlines()
        found.extend(line for line in map(json.loads, lines) if line["event"] == event)
        return bool(found)

    await wait_until(is_logged, 30, f"{event} in the log of {node}")
    return found[0]


def test_an_expired_node_starts_and_is_let_in_again_once_it_is_renewed(operator: Operator) -> None:
    """It says loudly what to do; its peers refuse it; renewed, it is ready again without a restart."""
    operator.document("down", "alpha-1")
    expire(operator.network, "alpha-1")
    late = operator.network_command("up", "alpha-1", "--timeout", "3")
    assert late.exit_code == 5
    pid = background.running(operator.node("alpha-1"))
    assert pid is not None
    told = asyncio.run(wait_for_event(operator, "alpha-1", "certificate_expired"))
    assert "nostro node renew" in told["remedy"]

    renewed = operator.run("node", "renew", operator.network.config("alpha-1"), "--json")
    assert [each["days_left"] for each in json.loads(renewed.stdout)["renewed"]] == [tls.LEAF_DAYS] * 2

    async def is_ready() -> bool:
        try:
            port = operators.admin_port(operator.network, "alpha-1")
            return (await operators.report(port)).not_ready is None
        except operators.AdminUnreachable:
            return False

    asyncio.run(wait_until(is_ready, LOOK_EVERY_S + 15, "alpha-1 is let in again"))
    assert background.running(operator.node("alpha-1")) == pid
