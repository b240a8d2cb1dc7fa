"""Drills with real processes: beside a network that goes on paying, and broken off in the middle."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.drill.scratch import sweep
from node import operators
from node.config import load_config
from node.local import LocalNetwork, wait_until
from node.provision import ProvisionedNetwork
from tests.integration.harness import PASSPHRASE, Bank, funded, provision
from wallet.client import Client

pytestmark = pytest.mark.processes

DRILL_S = 120
STEPS_OF_A_RUNNING_NETWORK = 14
BROKEN_OFF_AFTER = "Carry the decision out"
"""Now the survivors' copies are about to run, in the recovered epoch."""


def _begin(network: ProvisionedNetwork, folder: Path) -> subprocess.Popen[str]:
    """`nostro drill`, with its copies and its report in `folder`."""
    word = folder / "passphrase"
    word.write_text(PASSPHRASE)
    (folder / "copies").mkdir(exist_ok=True)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "cli", "drill", str(network.directory), "--json"),
            *("--passphrase-file", str(word), "--scratch", str(folder / "copies")),
            *("--report", str(folder / "report.md")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def _pay_until_ended(bank: Bank, client: Client, drill: subprocess.Popen[str]) -> int:
    """Pay on the real network for as long as the drill lasts; how many payments were executed."""
    debtor, paid = await funded(bank, client, 100_000), 0
    while drill.poll() is None:
        answer = await client.submit(bank.pay(debtor, bank.issuer, 1).raw)
        assert answer.status == "executed", answer
        paid += 1
        # The copies need the processor too.
        await asyncio.sleep(0.1)
    return paid


async def _refused(network: LocalNetwork) -> list[str]:
    """The lines of every node's metrics that count refused peers."""
    found = []
    for node in network.node_ids:
        _, text = await network.ask_admin(node, "/metrics")
        found += [line for line in text.splitlines() if line.startswith("nostro_peer_refused_total")]
    return found


def test_a_drill_beside_a_network_that_pays(running: LocalNetwork, tmp_path: Path) -> None:
    """Every step passes; the real network pays on, no copy asks it for a link, and nothing is left over."""
    bank = Bank(running.network)
    before = asyncio.run(_refused(running))
    drill = _begin(running.network, tmp_path)

    async def meanwhile() -> int:
        async with bank.client() as client:
            return await _pay_until_ended(bank, client, drill)

    paid = asyncio.run(meanwhile())
    stdout, stderr = drill.communicate(timeout=DRILL_S)
    assert drill.returncode == 0, stdout + stderr
    found: dict[str, Any] = json.loads(stdout)
    steps = {step["step"]: step["checked"] for step in found["steps"]}
    assert (found["passed"], len(steps)) == (True, STEPS_OF_A_RUNNING_NETWORK), stderr
    assert paid > 0
    assert (found["survivors"], found["lost"]) == (["alpha-1"], ["bravo-1", "charlie-1"])
    point = found["recovery_point"]
    assert point["kept_height"] >= point["certified_height"] > 0
    assert steps["Settle a payment that the restored node certifies too"]["certified_by"] == [
        "alpha-1",
        "bravo-drill-1",
    ]
    assert asyncio.run(_refused(running)) == before
    assert f"{found['recovery_time_ms'] / 1_000:.1f} s" in (tmp_path / "report.md").read_text()
    assert list((tmp_path / "copies").iterdir()) == []


def _digests(network: ProvisionedNetwork) -> dict[str, str]:
    """What is in every file of every node's store."""
    stores = [load_config(network.config(place.id)).data for place in network.nodes]
    files = [file for store in stores for file in sorted(store.iterdir())]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _break_off(network: ProvisionedNetwork, folder: Path, number: signal.Signals) -> int:
    """Begin a drill, and send it a signal when its copies are recovered and start; its exit code."""
    drill = _begin(network, folder)
    assert drill.stderr is not None
    seen = []
    for line in drill.stderr:
        seen.append(line)
        if BROKEN_OFF_AFTER in line:
            break
    assert [line[:6] for line in seen if BROKEN_OFF_AFTER in line] == ["passed"], "".join(seen)
    drill.send_signal(number)
    drill.communicate(timeout=DRILL_S)
    return drill.returncode


def test_a_drill_that_is_broken_off_changes_nothing(tmp_path: Path) -> None:
    """Asked to end it cleans up; killed, the next does; the real stores stay as they are, and pay on."""
    network = provision(tmp_path / "net", nodes=2)
    bank = Bank(network)

    async def pay(local: LocalNetwork) -> None:
        local.start()
        await local.ready()
        async with bank.client() as client:
            await funded(bank, client, 1_000)
        await wait_until(
            partial(operators.all_certified, network), DRILL_S, "every node's newest block is certified"
        )

    with LocalNetwork(network) as local:
        asyncio.run(pay(local))
        # Nodes that stop well hand leadership over, and the block that opens a term may stay uncertified.
        for node in local.node_ids:
            local.kill(node)
    before = _digests(network)
    copies = tmp_path / "copies"
    for number in (signal.SIGINT, signal.SIGTERM):
        assert _break_off(network, tmp_path, number) > 0
        assert list(copies.iterdir()) == []
    assert _break_off(network, tmp_path, signal.SIGKILL) == -signal.SIGKILL
    assert len(list(copies.iterdir())) == 1
    sweep(copies)
    assert _digests(network) == before
    assert not (tmp_path / "report.md").exists()
    with LocalNetwork(network) as local:
        asyncio.run(pay(local))
