"""What makes a node stop itself, and that it then does nothing more."""

import pytest

from consensus.errors import InvariantBroken
from ledger.records import account_row_key
from ledger.rules.base import InvariantViolated
from ledger.view import StateCorrupted
from node.disk import CorruptStore
from node.halting import stop_word
from node.records import CorruptRecord
from node.rules_watch import Missing, UnknownRules
from node.sealer import Contradiction
from node.watch import LostState
from tests.unit.node.harness import ALWAYS, Node, reopen


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (Contradiction("fork", 3, "n1", b""), "fork"),
        (Contradiction("divergence", 3, "n1", b""), "divergence"),
        (InvariantBroken("x"), "invariant"),
        (InvariantViolated("conservation", "x"), "invariant"),
        (CorruptRecord(b"B", 3, "x"), "corrupt"),
        (StateCorrupted("x"), "corrupt"),
        (CorruptStore("x"), "corrupt"),
        (LostState("n1", (2, 2), (1, 1)), "lost_state"),
        (UnknownRules(Missing(9, 2), {}), "rules"),
        (OSError("x"), "disk"),
        (KeyError("x"), "worker"),
    ],
)
def test_every_reason_has_its_word(error: BaseException, word: str) -> None:
    """The words are those of docs/node.md."""
    assert stop_word(error) == word


class Disk:
    """A disk that works until it is full."""

    def __init__(self) -> None:
        self.full = False

    def point(self, where: str) -> None:
        """Before, during and after each write."""
        if self.full:
            raise OSError("no space left on the device")


def test_a_node_whose_disk_is_full_stops_and_promises_nothing_more() -> None:
    """It says why; what was submitted isn't answered as executed; later calls change nothing."""
    disk = Disk()
    node = Node(point=disk.point)
    node.tick(30)
    disk.full = True
    stages = [result.stage.value for result in node.submit(opening(node, 1))]
    assert [(reason.word, reason.what) for reason in node.stopped] == [
        ("disk", "no space left on the device")
    ]
    assert stages == ["pending"]
    node.ports.sent.clear()
    node.tick(30)
    assert node.ports.sent == []
    assert len(node.stopped) == 1
    assert node.driver.executed_height == 1


def test_a_changed_account_row_is_found_when_the_node_starts() -> None:
    """State rows have no checksum of their own: the roots of the last seal tell."""
    node = Node()
    node.tick(30)
    node.submit(opening(node, 1))
    row = bytearray(node.disk.durable[account_row_key(1)])
    row[-1] ^= 1
    node.disk.durable[account_row_key(1)] = bytes(row)
    with pytest.raises(StateCorrupted):
        reopen(node)


def test_a_stopped_node_still_finishes_stopping() -> None:
    """Who stops it from outside isn't left waiting."""
    disk = Disk()
    node = Node(point=disk.point)
    node.tick(30)
    disk.full = True
    node.submit(opening(node, 1))
    stopped: list[bool] = []
    node.driver.stop(lambda: stopped.append(True))
    assert stopped == [True]


def opening(node: Node, number: int) -> bytes:
    """bank0 opens an account."""
    return node.bank.open_account("bank0", "anna", number.to_bytes(16, "big"), ALWAYS)
