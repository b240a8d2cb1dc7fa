"""What a node whose older blocks have lost their bodies still answers."""

from node.results import Stage
from tests.unit.node.harness import Node
from tests.unit.node.snapshots import grown


def test_a_retry_of_a_payment_in_a_forgotten_block_hears_its_first_answer() -> None:
    """The block's time is read from the header, which is kept; a simulated seed raised here once."""
    node = grown(4)
    node.store.prune(node.driver.executed_height)
    again = Node(disk=node.disk)
    again.tick(30)
    raw = again.bank.open_account("bank0", "a1", (1).to_bytes(16, "big"), (1, 2**62))
    told = again.submit(raw)
    assert [result.stage for result in told] == [Stage.EXECUTED, Stage.CERTIFIED]
    assert told[0].repeated
    assert told[0].time_ms > 0
