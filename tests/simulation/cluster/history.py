"""What every account held at every height, reckoned from the chain's blocks and outcomes alone.

A dumb twin of the ledger: it knows that an executed transfer moves an amount from one account to another, and
nothing of rules, limits or trees. It must not know the state that it is compared with.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ledger.block import decode_block
from ledger.outcome import Outcome
from ledger.records import Account
from tests.simulation.cluster.clients import Order
from tests.simulation.cluster.reads import Answer
from tests.simulation.report import Violation

BlockAt = Callable[[int], bytes | None]
"""The block of a height."""
OutcomeAt = Callable[[int, int], Outcome]
"""The outcome of the transaction at a height and an index."""


@dataclass(frozen=True, slots=True)
class Balances:
    """For each account the heights at which its balance changed, ascending, and the balances since."""

    heights: Mapping[bytes, list[int]]
    values: Mapping[bytes, list[int]]

    def at(self, account: bytes, height: int) -> int:
        """The balance after this height, in minor units."""
        changes = bisect_right(self.heights[account], height)
        return self.values[account][changes - 1] if changes else 0

    def check_answers(self, answers: Iterable[Answer]) -> None:
        """Every strong read showed what the chain gives at its height."""
        for answer in answers:
            right = self.at(answer.account, answer.height)
            if answer.balance != right:
                raise Violation(
                    f"{answer.node} read {answer.balance} in {answer.account.hex()} at {answer.height}, "
                    f"the chain gives {right}"
                )

    def check_state(self, accounts: Iterable[Account], height: int) -> None:
        """The state's accounts hold what the chain gives."""
        for account in accounts:
            right = self.at(account.id, height)
            if account.balance != right:
                raise Violation(f"account {account.number} holds {account.balance}, the chain gives {right}")


def reckon(block: BlockAt, outcome_at: OutcomeAt, height: int, orders: Iterable[Order]) -> Balances:
    """Go through the blocks up to `height`; nothing may stand there executed twice, or unasked for."""
    asked = {order.raw: order for order in orders}
    executed: Counter[tuple[bytes, bytes]] = Counter()
    heights: dict[bytes, list[int]] = defaultdict(list)
    values: dict[bytes, list[int]] = defaultdict(list)
    for at in range(1, height + 1):
        found = block(at)
        if found is None:
            raise Violation(f"block {at} of {height} is missing")
        for index, raw in enumerate(decode_block(found).body):
            if outcome_at(at, index) is not Outcome.EXECUTED:
                continue
            order = asked.get(raw)
            if order is None:
                raise Violation(f"nobody asked for what was executed at {at}, {index}")
            executed[order.author, order.tx_id] += 1
            for account, amount in order.moves:
                heights[account].append(at)
                values[account].append((values[account] or [0])[-1] + amount)
    twice = [tx_id.hex() for (_, tx_id), times in executed.items() if times > 1]
    if twice:
        raise Violation(f"executed more than once: {twice}")
    return Balances(heights, values)
