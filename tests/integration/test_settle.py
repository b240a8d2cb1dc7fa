"""Files of payment orders, settled on real node processes by the real command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.exits import Exit
from cli.settle.generator import BANKS, write_orders
from cli.settle.journal import count_signed
from node.local import LocalNetwork, free_node_ports
from node.plan import NetworkPlan, PlannedAsset, PlannedMember, PlannedNode
from node.provision import create_network
from tests.integration.harness import PASSPHRASE, QUICK
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

pytestmark = pytest.mark.processes
ORDERS = 400
NODES = 3
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network of the generator's banks, of which three run a node; a central bank issues without one."""
    ports = free_node_ports(NODES)
    members = [PlannedMember("cnb", "Central bank")]
    for number, bank in enumerate(["home", *(code.lower() for code in BANKS)]):
        its_ports = ports[3 * number : 3 * number + 3]
        node = PlannedNode(f"{bank}-1", "127.0.0.1", *its_ports) if its_ports else None
        members.append(PlannedMember(bank, bank.upper(), node))
    asset = PlannedAsset("CZK", 2, "cnb", 10**15)
    plan = NetworkPlan("nostrotest", tuple(members), (asset,), timing=QUICK)
    folder = tmp_path_factory.mktemp("settle") / "net"
    cost = ScryptCost(n=LEAST_SCRYPT_N)
    with LocalNetwork(create_network(plan, folder, PASSPHRASE, keystore_cost=cost)) as local:
        local.start()
        asyncio.run(local.ready())
        yield local


def command(local: LocalNetwork, file: Path, *options: str) -> list[str]:
    """The command line that settles a file."""
    folder = str(local.network.directory)
    return [sys.executable, "-m", "cli", "settle", str(file), "--network", folder, "--json", *options]


ENVIRONMENT = {**os.environ, "NOSTRO_PASSPHRASE": PASSPHRASE}


def settle(local: LocalNetwork, file: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the report of a run."""
    done = subprocess.run(command(local, file, *options), capture_output=True, env=ENVIRONMENT, check=False)
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def generated(path: Path, seed: int) -> Path:
    """A file of generated orders."""
    with path.open("w", encoding="utf-8", newline="") as out:
        write_orders(out, ORDERS, seed)
    return path


def balance_sheet(report: dict[str, Any]) -> tuple[Any, ...]:
    """What must be equal however often a file is settled."""
    return report["settled"], report["amount"], report["net_positions"], report["refused"]


def test_a_file_settles_once_however_often_it_is_sent(banks: LocalNetwork, tmp_path: Path) -> None:
    """All orders settle; a second run, and a third whose journal is lost, report the same and pay nothing."""
    file = generated(tmp_path / "twice.csv", seed=11)
    journal = tmp_path / "twice.journal"
    code, first = settle(banks, file, "--journal", str(journal))
    assert (code, first["settled"], first["settled_earlier"]) == (Exit.DONE, ORDERS, 0)
    nets = [float(position["net"]) for position in first["net_positions"]]
    assert round(sum(nets), 2) == 0

    code, second = settle(banks, file, "--journal", str(journal))
    assert (code, second["settled_earlier"]) == (Exit.DONE, ORDERS)
    assert balance_sheet(second) == balance_sheet(first)

    journal.unlink()
    code, third = settle(banks, file, "--journal", str(journal))
    assert (code, third["settled_earlier"]) == (Exit.DONE, ORDERS)
    assert balance_sheet(third) == balance_sheet(first)


def test_a_run_killed_in_the_middle_goes_on_and_pays_nothing_twice(
    banks: LocalNetwork, tmp_path: Path
) -> None:
    """kill -9 while payments are being signed and sent; the next run settles the rest."""
    file = generated(tmp_path / "killed.csv", seed=12)
    journal = tmp_path / "killed.journal"
    options = ("--journal", str(journal))
    with subprocess.Popen(
        command(banks, file, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    ) as run:
        deadline = time.monotonic() + DEADLINE_S
        while count_signed(journal) < ORDERS and run.poll() is None:
            assert time.monotonic() < deadline
        run.kill()
    assert run.returncode < 0
    code, report = settle(banks, file, *options)
    assert (code, report["settled"], report["unknown"]) == (Exit.DONE, ORDERS, 0)
    code, again = settle(banks, file, *options)
    assert (code, again["settled_earlier"]) == (Exit.DONE, ORDERS)
    assert balance_sheet(again) == balance_sheet(report)


def test_bad_lines_are_named_and_the_rest_settles(banks: LocalNetwork, tmp_path: Path) -> None:
    """A corrupt line and a bank that is no member are told by line number; the exit code says so."""
    file = tmp_path / "bad.csv"
    file.write_text(
        'order_id;account_id;bank_to;account_to;amount;k_symbol\n1;1;AB;5;10.00;""\n'
        '2;1;AB;5;ten;""\n3;1;ZZ;5;10.00;""\n4;2;CD;6;0.01;""\n'
    )
    code, report = settle(banks, file)
    assert code == Exit.ERROR
    assert (report["orders"], report["settled"], report["amount"]) == (2, 2, "10.01")
    assert [bad["line"] for bad in report["bad_lines"]] == [3, 4]
    assert "'zz'" in report["bad_lines"][1]["reason"]


def test_another_file_under_a_used_name_is_refused_not_paid(banks: LocalNetwork, tmp_path: Path) -> None:
    """Other content under the same batch, row and purpose conflicts; a batch of its own pays."""
    file = tmp_path / "name.csv"
    header = "order_id;account_id;bank_to;account_to;amount;k_symbol\n"
    file.write_text(header + "1;71;AB;75;10.00;\n")
    assert settle(banks, file)[0] == Exit.DONE
    file.write_text(header + "1;71;AB;75;11.00;\n")
    (banks.network.directory / "journals" / "name.csv.journal").unlink()
    code, report = settle(banks, file)
    assert (code, report["settled"]) == (Exit.REFUSED, 0)
    assert report["refused"][0]["outcome"] == "id_used_with_other_content"
    code, report = settle(banks, file, "--batch", "another")
    assert (code, report["settled"], report["amount"]) == (Exit.DONE, 1, "11.00")


def test_the_audit_confirms_it_from_a_nodes_store(banks: LocalNetwork, tmp_path: Path) -> None:
    """Offline, from a stopped node's store: clean, with the supply and the positions that were reported."""
    file = generated(tmp_path / "audited.csv", seed=13)
    assert settle(banks, file)[0] == Exit.DONE
    node = banks.network.nodes[0].id
    store = banks.network.config(node).parent / "data"
    audit = [sys.executable, "-m", "cli", "audit", str(store), "--json", "--workers", "2"]
    try:
        assert set(banks.stop().values()) == {0}
        done = subprocess.run(
            [*audit, "--genesis", str(banks.network.genesis)], capture_output=True, check=False
        )
    finally:
        banks.start()
        asyncio.run(banks.ready())
    assert done.returncode == Exit.DONE, done.stderr.decode()
    assert json.loads(done.stdout)["clean"] is True
