"""The smallest caller of one core for unit tests: a disk that syncs at once, and a friendly peer b.

It must not check anything itself.
"""

from consensus.log import MemoryStorage
from consensus.membership import decode_membership
from consensus.messages import (
    AppendEntriesReply,
    EntryType,
    Membership,
    Message,
    ReadState,
    RequestVoteReply,
)
from consensus.raft import Config, Raft, Ready

VOTERS = Membership(("a", "b", "c"))


class NoJitter:
    """Election timeouts at their shortest."""

    def randrange(self, stop: int, /) -> int:
        """Always 0."""
        return 0


CONFIG = Config(id="a", applied=0, random=NoJitter(), membership_in=decode_membership)


class Caller:
    """A core with a disk that syncs at once, and all that it gave out."""

    def __init__(
        self, config: Config = CONFIG, membership: Membership = VOTERS, disk: MemoryStorage | None = None
    ) -> None:
        """A follower with a disk, empty unless one is given."""
        self.disk = disk or MemoryStorage(membership)
        self.raft = Raft(config, self.disk)
        self.readys: list[Ready] = []

    def work(self) -> list[Message]:
        """Do what there is to do; what was sent."""
        sent: list[Message] = []
        while (ready := self.raft.ready()) is not None:
            self.readys.append(ready)
            if ready.hard_state is not None:
                self.disk.set_hard_state(ready.hard_state)
            self.disk.append(ready.entries)
            self.raft.advance(ready.number)
            sent += [*ready.messages, *ready.durable_messages]
        return sent

    def lead(self) -> None:
        """Win an election with b's votes, and open the term; b acknowledges that."""
        for _ in range(10):
            self.raft.tick()
        self.work()
        term = self.raft.term + 1
        self.raft.step(RequestVoteReply("b", "a", term, True, True))
        self.work()
        self.raft.step(RequestVoteReply("b", "a", term, True, False))
        self.raft.propose(b"open", EntryType.OPENING)
        self.acknowledge()

    def acknowledge(self) -> None:
        """b holds all of a's log."""
        self.work()
        self.raft.step(AppendEntriesReply("b", "a", self.raft.term, True, self.raft.last_index, 0, 0))
        self.work()

    def read_states(self) -> list[ReadState]:
        """All reads that were answered."""
        return [state for ready in self.readys for state in ready.read_states]


def leader(config: Config = CONFIG, membership: Membership = VOTERS) -> Caller:
    caller = Caller(config, membership)
    caller.lead()
    return caller
