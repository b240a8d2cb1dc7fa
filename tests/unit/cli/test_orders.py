"""`nostro orders`: where the orders go, what is told of them, and how far it is."""

from __future__ import annotations

from pathlib import Path

from cli.exits import Exit
from tests.unit.cli.conftest import Nostro, Told, document


def test_orders_in_a_file_as_json(nostro: Nostro, tmp_path: Path) -> None:
    """The document names the file, how many there are and what they come to; the file is that of stdout."""
    written = nostro("orders", "3", "--out", tmp_path / "orders.csv", "--json")
    assert (written.exit_code, written.stderr) == (Exit.DONE, "")
    lines = (tmp_path / "orders.csv").read_text().splitlines()
    hellers = sum(int(line.split(";")[4].replace(".", "")) for line in lines[1:])
    total = f"{hellers // 100}.{hellers % 100:02}"
    assert document(written) == {"file": str(tmp_path / "orders.csv"), "orders": 3, "total": total}
    assert nostro("orders", "3").stdout.splitlines() == lines


def test_orders_in_a_file_are_told_of(nostro: Nostro, tmp_path: Path) -> None:
    """Without --json the same in words; nothing but the orders where they go to stdout."""
    told = nostro("orders", "3", "--out", "orders.csv").stdout
    assert [line.split()[:2] for line in told.splitlines()][:2] == [
        ["written", "orders.csv"],
        ["orders", "3"],
    ]
    assert nostro("orders", "3").stdout == (tmp_path / "orders.csv").read_text()


def test_orders_and_a_document_do_not_share_stdout(nostro: Nostro) -> None:
    """With --json they need a file of their own."""
    refused = nostro("orders", "3", "--json")
    assert refused.exit_code == Exit.USAGE
    assert "--out" in document(refused)["error"]["remedy"]


def test_progress_of_orders(nostro: Nostro, told: Told) -> None:
    """Writing to a file or a pipe tells how far it is."""
    nostro("orders", "3", "--out", "orders.csv")
    assert told.ends() == {"orders written": 3}
    told.clear()
    nostro("orders", "4")
    assert told.ends() == {"orders written": 4}
