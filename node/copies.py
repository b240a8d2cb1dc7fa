"""Copies of a transaction that a node has given to leaders: which may still be executed, and which can't.

It must not know how messages travel, nor what a transaction says.

When is a refusal final, so that nothing of what this node gave away is executed after it was told?

1. A copy is given in a term: in that of the leader it is forwarded to, or in this node's own when it
   proposes it. Who doesn't lead that very term drops it, and a leader forgets it when it leads no more. So a
   copy given in term T enters the log in a block of term T, or never.
2. Terms never fall along a log, and a committed block is in the log of every later leader (Raft paper, 5.4).
   Once a block of term T is executed here, a block of an earlier term can only stand below it. Those are
   executed here, and what they held has left the pool. So all copies given in earlier terms are dead.
3. A leader takes the forwarding messages of one process in the order of their numbers, and drops what comes
   late. It answers with the number of the message. If that is the one which carried the transaction last,
   no copy of it in that term is left: the earlier were refused, or come too late; had one been held, put off
   or proposed, the last wouldn't have been judged.
4. So a leader's refusal of the copy given last, in term T, is final once a block of a term >= T is executed
   here. Until then a block of an earlier term, which this node may not even have, can still be committed.

Nothing need be judged again here: the leader has executed whatever its log held when it was asked, and a
refusal is its own word, not the chain's. A transaction that ran out of time by this node's clock is let go
of once its copies are dead by 2, or once the executed block is past its time: no later block may hold it.

All this is about what was submitted to one process. Who submits the same bytes to another node has another
copy there, and another answer.
"""

from ledger.records import Progress
from node.mempool import Pending

MAX_FORWARDERS = 1_000
"""Processes whose forwarded messages a leader takes in one term; those of further ones are dropped."""


class Taken:
    """The number of the newest message taken from each process, in the term that this node leads."""

    def __init__(self) -> None:
        """None yet."""
        self._newest: dict[tuple[str, bytes], int] = {}

    def take(self, sender: str, boot: bytes, number: int) -> bool:
        """Whether this message may be taken: none with its number or a higher one was."""
        process = (sender, boot)
        newest = self._newest.get(process)
        if number <= (newest or 0) or (newest is None and len(self._newest) >= MAX_FORWARDERS):
            return False
        self._newest[process] = number
        return True


def may_be_executed(pending: Pending, progress: Progress) -> bool:
    """Whether a copy that was given away may still be executed above `progress`, if nobody refused it."""
    is_over = pending.envelope.payload.valid_until_ms <= progress.time_ms
    return pending.given_term >= max(1, progress.term) and not is_over
