"""Files of payment orders, settled on real node processes by the real command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
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
from tests.integration.order_files import accounts_and_fundings, after, net_of_banks, posted, total, written
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

pytestmark = pytest.mark.processes
ORDERS = 400
NODES = 3
ROWS = ("1;81;AB;85;10.00;", "2;81;CD;86;20.00;", "3;82;AB;85;30.00;")
NEW_ROW = "4;83;EF;87;40.00;"
DEADLINE_S = 60.0


@contextmanager
def new_banks(folder: Path, nodes: int = NODES, limit: int = 10**15) -> Iterator[LocalNetwork]:
    """A network of the generator's banks, of which the first few run a node.

    A central bank issues without one, up to a limit in minor units.
    """
    ports = free_node_ports(nodes)
    members = [PlannedMember("cnb", "Central bank")]
    for number, bank in enumerate(["home", *(code.lower() for code in BANKS)]):
        its_ports = ports[3 * number : 3 * number + 3]
        node = PlannedNode(f"{bank}-1", "127.0.0.1", *its_ports) if its_ports else None
        members.append(PlannedMember(bank, bank.upper(), node))
    asset = PlannedAsset("CZK", 2, "cnb", limit)
    plan = NetworkPlan("nostrotest", tuple(members), (asset,), timing=QUICK)
    cost = ScryptCost(n=LEAST_SCRYPT_N)
    with LocalNetwork(create_network(plan, folder, PASSPHRASE, keystore_cost=cost)) as local:
        local.start()
        asyncio.run(local.ready())
        yield local


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Banks that all tests here share, so what a test expects of the chain is what it adds to it."""
    with new_banks(tmp_path_factory.mktemp("settle") / "net") as local:
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
    return report["settled"], report["amount"], report["net_positions"], report["refused"], report["open"]


def test_a_file_settles_once_however_often_it_is_sent(banks: LocalNetwork, tmp_path: Path) -> None:
    """All orders settle; a second run, and a third whose journal is lost, report the same and pay nothing.

    The chain's accounts have what the file says, once.
    """
    file = generated(tmp_path / "twice.csv", seed=11)
    journal = tmp_path / "twice.journal"
    wanted = after(posted(banks, file), file)
    code, first = settle(banks, file, "--journal", str(journal))
    assert (code, first["settled"], first["settled_earlier"]) == (Exit.DONE, ORDERS, 0)
    assert Decimal(first["amount"]) == total(file)
    assert {row["bank"]: Decimal(row["net"]) for row in first["net_positions"]} == net_of_banks(file)
    assert posted(banks, file) == wanted

    code, second = settle(banks, file, "--journal", str(journal))
    assert (code, second["settled_earlier"]) == (Exit.DONE, ORDERS)
    assert balance_sheet(second) == balance_sheet(first)
    assert posted(banks, file) == wanted

    journal.unlink()
    code, third = settle(banks, file, "--journal", str(journal))
    assert (code, third["settled_earlier"]) == (Exit.DONE, ORDERS)
    assert balance_sheet(third) == balance_sheet(first)
    assert posted(banks, file) == wanted


def test_a_run_killed_in_the_middle_goes_on_and_pays_nothing_twice(
    banks: LocalNetwork, tmp_path: Path
) -> None:
    """kill -9 while payments are being signed and sent; the next run settles the rest.

    The chain's accounts have what the file says, once.
    """
    file = generated(tmp_path / "killed.csv", seed=12)
    journal = tmp_path / "killed.journal"
    options = ("--journal", str(journal))
    wanted = after(posted(banks, file), file)
    with subprocess.Popen(
        command(banks, file, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    ) as run:
        deadline = time.monotonic() + DEADLINE_S
        while count_signed(journal) <= accounts_and_fundings(file) and run.poll() is None:
            assert time.monotonic() < deadline
        run.kill()
    assert run.returncode < 0
    code, report = settle(banks, file, *options)
    assert (code, report["settled"], report["open"]) == (Exit.DONE, ORDERS, [])
    code, again = settle(banks, file, *options)
    assert (code, again["settled_earlier"]) == (Exit.DONE, ORDERS)
    assert balance_sheet(again) == balance_sheet(report)
    assert posted(banks, file) == wanted


def test_bad_lines_are_named_and_the_rest_settles(banks: LocalNetwork, tmp_path: Path) -> None:
    """A corrupt line and a bank that is no member are told by line number; the exit code says so.

    Mended, they are paid, and the others are not paid again.
    """
    file = tmp_path / "bad.csv"
    bad = [*ROWS[:1], "2;1;AB;5;ten;", "3;1;ZZ;5;10.00;", *ROWS[2:], "5;1;AB;5;1;000.00;SIPO"]
    code, report = settle(banks, written(file, *bad))
    assert code == Exit.ERROR
    assert (report["orders"], report["settled"], report["amount"]) == (2, 2, "40.00")
    assert [bad["line"] for bad in report["bad_lines"]] == [3, 4, 6]
    assert "'zz'" in report["bad_lines"][1]["reason"]
    mended = [*ROWS[:1], "2;1;AB;5;7.00;", "3;1;AB;5;10.00;", *ROWS[2:]]
    code, report = settle(banks, written(file, *mended))
    assert (code, report["settled"], report["settled_earlier"], report["amount"]) == (0, 4, 2, "57.00")


def test_a_file_that_was_changed_since_is_refused_before_anything_is_paid(
    banks: LocalNetwork, tmp_path: Path
) -> None:
    """The line is named and the chain stays as it was, by the journal and, once that is lost, by the chain.

    Restored, with a new line at its end, the file goes on.
    """
    file, journal = written(tmp_path / "changed.csv", *ROWS), tmp_path / "journal"
    options = ("--journal", str(journal))
    assert settle(banks, file, *options)[0] == Exit.DONE
    whole = written(tmp_path / "all.csv", *ROWS, NEW_ROW)
    before = posted(banks, whole)
    edited = (ROWS[0].replace("10.00", "99.00"), *ROWS[1:])
    for lost in (False, True):
        if lost:
            journal.unlink()
        for rows, line in ((edited, 2), ((NEW_ROW, *ROWS), 2), ((*ROWS[:2], NEW_ROW, ROWS[2]), 4)):
            code, refused = settle(banks, written(file, *rows), *options)
            assert code == Exit.REFUSED
            assert f"Line {line} is not what it was" in refused["error"]["message"]
            assert "--batch NAME" in refused["error"]["remedy"]
    assert posted(banks, whole) == before

    code, report = settle(banks, written(file, *ROWS, NEW_ROW), *options)
    assert (code, report["settled"], report["settled_earlier"]) == (Exit.DONE, 4, 3)
    assert posted(banks, whole) == after(before, written(file, NEW_ROW))


def test_another_file_under_a_used_name_is_refused_not_paid(banks: LocalNetwork, tmp_path: Path) -> None:
    """Though the first one's journal is gone; a batch of its own pays."""
    file = written(tmp_path / "name.csv", "1;71;AB;75;10.00;")
    assert settle(banks, file)[0] == Exit.DONE
    (banks.network.directory / "journals" / "name.csv.journal").unlink()
    written(file, "1;72;CD;76;11.00;")
    wanted = after(posted(banks, file), file)
    code, refused = settle(banks, file)
    assert (code, refused["error"]["exit_code"]) == (Exit.REFUSED, Exit.REFUSED)
    code, report = settle(banks, file, "--batch", "another")
    assert (code, report["settled"], report["amount"]) == (Exit.DONE, 1, "11.00")
    assert posted(banks, file) == wanted


def test_an_issuer_at_its_limit_is_named_and_what_it_could_not_fund_waits(tmp_path: Path) -> None:
    """Of 10.00, 20.00 and 30.00 an issuer of 45.00 funds two; the third's payment isn't sent, nor final."""
    file = written(tmp_path / "limit.csv", *ROWS)
    with new_banks(tmp_path / "net", nodes=1, limit=4500) as local:
        before = posted(local, file)
        code, report = settle(local, file)
        assert (code, report["settled"], report["refused"], report["withheld"]) == (Exit.UNKNOWN, 2, [], [])
        (waiting,), (unprepared,) = report["open"], report["unprepared"]
        assert (waiting["line"], waiting["sent"]) == (unprepared["line"], False)
        assert (unprepared["what"], unprepared["outcome"]) == ("funding", "insufficient_funds")
        paid = [row for line, row in enumerate(ROWS, start=2) if line != waiting["line"]]
        assert posted(local, file) == after(before, written(tmp_path / "paid.csv", *paid))


def test_the_audit_confirms_it_from_every_nodes_store(tmp_path: Path) -> None:
    """Offline, from each of three stopped nodes' stores: clean, and the same as was reported.

    All that was issued and is held is what the file comes to, each bank's position is the reported one, and
    each order is two transfers.
    """
    file = generated(tmp_path / "audited.csv", seed=13)
    with new_banks(tmp_path / "net") as local:
        code, report = settle(local, file)
        assert code == Exit.DONE
        assert settle(local, file)[1]["settled_earlier"] == ORDERS
        assert set(local.stop().values()) == {0}
        audits = [audited(local, node.id) for node in local.network.nodes]
    assert len(audits) == NODES
    for audit in audits:
        assert audit["clean"] is True
        assert audit["issued"] == audit["supply"] == {"CZK": report["amount"]} == {"CZK": str(total(file))}
        assert audit["net_positions"] == {"CZK": {row["bank"]: row["net"] for row in report["net_positions"]}}
        assert audit["checked"]["payments"] == 2 * ORDERS


def audited(local: LocalNetwork, node: str) -> dict[str, Any]:
    """What `nostro audit` says of a stopped node's store."""
    store = local.network.config(node).parent / "data"
    genesis = str(local.network.genesis)
    arguments = ["audit", str(store), "--json", "--workers", "2", "--genesis", genesis]
    done = subprocess.run([sys.executable, "-m", "cli", *arguments], capture_output=True, check=False)
    assert done.returncode == Exit.DONE, done.stderr.decode()
    return dict(json.loads(done.stdout))
