"""What must hold in every step of every cluster: Raft's properties (paper figure 3), checked from outside.

It must not look into the core: it sees Readys, messages, disks and published properties only, and keeps its
own mirror of every node's log. Where the paper's property is about whole logs, it is checked by induction:
an index and term determine the entry and the term before it, so equal last entries mean equal logs.
"""

from collections import Counter
from collections.abc import Mapping

from consensus.membership import decode_membership
from consensus.messages import (
    AppendEntriesReply,
    Entry,
    EntryType,
    HardState,
    InstallSnapshot,
    Membership,
    Message,
    NodeId,
    RequestVote,
    RequestVoteReply,
)
from consensus.raft import Raft, Ready, Role
from tests.simulation.core.agreement import Agreement, is_quorum
from tests.simulation.core.disk import SimulatedDisk
from tests.simulation.report import Violation


class Mirror:
    """The terms and memberships of one node's log, synced or not."""

    def __init__(self, disk: SimulatedDisk) -> None:
        """What a node starts with."""
        self.base = disk.first_index() - 1
        self.terms = [disk.term(index) for index in range(self.base, disk.last_index() + 1)]
        self.memberships = [(known.index, known.membership) for known in disk.memberships()]

    @property
    def last(self) -> int:
        """The last index."""
        return self.base + len(self.terms) - 1

    def term(self, index: int) -> int | None:
        """The term at an index, or None outside of what is mirrored."""
        return self.terms[index - self.base] if self.base <= index <= self.last else None

    @property
    def membership(self) -> Membership:
        """What the end of the log says."""
        return self.memberships[-1][1]

    def membership_at(self, index: int) -> Membership:
        """What is in force at an index of the log."""
        return next(membership for at, membership in reversed(self.memberships) if at <= index)

    def write(self, ready: Ready) -> bool:
        """Follow a Ready; whether it replaced entries."""
        if ready.snapshot is not None:
            self.base, self.terms = ready.snapshot.index, [ready.snapshot.term]
            self.memberships = [(ready.snapshot.index, ready.snapshot.membership)]
        if not ready.entries:
            return False
        first = ready.entries[0].index
        replaced = first <= self.last
        if first > self.last + 1:
            raise Violation(f"a Ready persists entry {first} after a log that ends at {self.last}")
        del self.terms[first - self.base :]
        self.terms.extend(entry.term for entry in ready.entries)
        self.memberships = [(at, membership) for at, membership in self.memberships if at < first]
        self.memberships += [
            (entry.index, decode_membership(entry.data))
            for entry in ready.entries
            if entry.type is EntryType.MEMBERSHIP
        ]
        return replaced


class Oracle:
    """All that was ever seen of one cluster, and the checks against it."""

    def __init__(self, disks: Mapping[NodeId, SimulatedDisk], counts: Counter[str]) -> None:
        """Nothing seen yet; `disks` are the nodes' disks, which outlive their crashes."""
        self._disks = disks
        self._counts = counts
        self._agreement = Agreement(next(iter(disks.values())).memberships()[0].membership, counts)
        self._mirrors: dict[NodeId, Mirror] = {}
        self._entries: dict[tuple[int, int], tuple[bytes, int | None]] = {}
        self._leaders: dict[int, NodeId] = {}
        self._votes: dict[tuple[NodeId, int], NodeId] = {}
        self._acknowledged: dict[NodeId, tuple[int, int]] = {}
        self._committed_in_term: dict[int, int] = {}
        self.chosen: dict[int, int] = {0: 0}
        self.last_chosen = 0
        self.data: dict[int, bytes] = {}

    @property
    def membership(self) -> Membership:
        """The last committed membership."""
        return self._agreement.membership

    def started(self, node: NodeId) -> None:
        """A node starts from its disk: what it promised before must be there."""
        disk = self._disks[node]
        self._mirrors[node] = Mirror(disk)
        term, index = self._acknowledged.get(node, (0, 0))
        if disk.hard_state().term == term and disk.last_index() < index:
            raise Violation(
                f"{node} acknowledged {index} in term {term}, but restarts with {disk.last_index()}"
            )
        if disk.hard_state().term < term:
            raise Violation(f"{node} acted in term {term}, but restarts in {disk.hard_state().term}")

    def took_ready(self, node: NodeId, raft: Raft, ready: Ready) -> None:
        """Check a Ready when it's made, before anything of it is done."""
        mirror = self._mirrors[node]
        for message in ready.messages:
            if _is_promise(message):
                raise Violation(f"{node} would send a promise before its disk is synced: {message}")
        self._check_entries(mirror, ready.entries)
        before = mirror.memberships[-1]
        if mirror.write(ready):
            self._counts["truncations"] += 1
        if mirror.memberships[-1][0] < before[0]:
            self._counts["memberships taken back"] += 1
        if raft.membership != mirror.membership:
            raise Violation(f"{node} acts on {raft.membership}, its log says {mirror.membership}")
        if raft.last_index != mirror.last:
            raise Violation(f"{node}'s log ends at {raft.last_index}, but its Readys persist {mirror.last}")
        if raft.role is Role.LEADER:
            self._check_leader(node, raft.term, mirror)
        self._check_commit(node, raft, mirror)
        if raft.role is Role.LEADER:
            self._agreement.check_leader(node, raft.commit, self.last_chosen, mirror.memberships)
        for message in (*ready.messages, *ready.durable_messages):
            if isinstance(message, InstallSnapshot):
                self._agreement.check_snapshot(message)
        if ready.snapshot is not None and node not in ready.snapshot.membership.all_nodes():
            self._counts["snapshots that don't name who installs them"] += 1

    def synced(self, node: NodeId, ready: Ready) -> None:
        """A Ready is on disk: whatever its durable messages promise must be there."""
        disk = self._disks[node]
        for message in ready.durable_messages:
            self._check_promise(node, disk, message)

    def applies(self, node: NodeId, entry: Entry) -> None:
        """State machine safety: an index has one entry, wherever and whenever it's applied."""
        if self.chosen.get(entry.index) != entry.term:
            raise Violation(
                f"{node} applies {entry.index} of term {entry.term}, not {self.chosen.get(entry.index)}"
            )
        if self.data.setdefault(entry.index, entry.data) != entry.data:
            raise Violation(f"{node} applies other data at {entry.index} than was applied elsewhere")
        if not self._disks[node].holds(entry.index, entry.term):
            raise Violation(f"{node} applies {entry.index}, which isn't synced there")

    def _check_entries(self, mirror: Mirror, entries: tuple[Entry, ...]) -> None:
        """Log matching: an index and term determine the data and the term before."""
        before = mirror.term(entries[0].index - 1) if entries else None
        for entry in entries:
            known = self._entries.setdefault((entry.index, entry.term), (entry.data, before))
            if known != (entry.data, before):
                raise Violation(
                    f"log matching: two entries {entry.index} of term {entry.term}, or two before it"
                )
            before = entry.term

    def _check_leader(self, node: NodeId, term: int, mirror: Mirror) -> None:
        """Election safety, and on first sight leader completeness."""
        if term not in self._leaders:
            self._leaders[term] = node
            self._counts["elections"] += 1
            granted = {voter for voter in self._disks if self._votes.get((voter, term)) == node}
            if not is_quorum(mirror.membership, granted | {node}):
                raise Violation(
                    f"{node} leads term {term} by the votes of {sorted(granted)} in {mirror.membership}"
                )
            if not mirror.membership.is_voter(node):
                self._counts["leaders whose log leaves them out"] += 1
            earlier = max((i for t, i in self._committed_in_term.items() if t < term), default=0)
            if earlier > mirror.base and mirror.term(earlier) != self.chosen[earlier]:
                raise Violation(
                    f"leader completeness: {node} leads term {term} without committed entry {earlier}"
                )
        if self._leaders[term] != node:
            raise Violation(f"election safety: {node} and {self._leaders[term]} both lead term {term}")

    def _check_commit(self, node: NodeId, raft: Raft, mirror: Mirror) -> None:
        """What a node calls committed is on a quorum's disks when that is first said, and never another
        entry.
        """
        index = raft.commit
        term = mirror.term(index)
        if term is None:
            raise Violation(
                f"{node} has committed {index}, outside its log of {mirror.base} to {mirror.last}"
            )
        if index > self.last_chosen:
            holders = [name for name, disk in self._disks.items() if disk.holds(index, term)]
            counted = (mirror.membership_at(index), mirror.membership)
            if not any(is_quorum(membership, set(holders)) for membership in counted):
                raise Violation(
                    f"{node} commits {index} of term {term}, synced only on {holders} of {counted}"
                )
            for later in range(self.last_chosen + 1, index + 1):
                self._choose(later, mirror.term(later))
            for at, membership in mirror.memberships:
                self._agreement.choose(node, at, membership, self.last_chosen)
        elif self.chosen[index] != term:
            raise Violation(
                f"{node} commits {index} of term {term}, where {self.chosen[index]} was committed"
            )
        self._committed_in_term[raft.term] = max(index, self._committed_in_term.get(raft.term, 0))

    def _choose(self, index: int, term: int | None) -> None:
        if term is None:
            raise Violation(f"entry {index} is committed, but the committing log doesn't hold it")
        self.chosen[index] = term
        self.last_chosen = index

    def _check_promise(self, node: NodeId, disk: SimulatedDisk, message: Message) -> None:
        """Votes are unique in their term and on disk; an acknowledged index is on disk."""
        hard_state = disk.hard_state()
        if hard_state.term < message.term:
            raise Violation(
                f"{node} promises something in term {message.term}, its disk is in {hard_state.term}"
            )
        match message:
            case RequestVote():
                self._check_vote(node, message.term, node, hard_state)
            case RequestVoteReply():
                self._check_vote(node, message.term, message.to, hard_state)
            case AppendEntriesReply():
                # An acknowledgement of an older term may be overtaken by a newer leader's truncation.
                # That is harmless: its election proves that the old leader can't commit the entry.
                if hard_state.term == message.term and disk.last_index() < message.index:
                    raise Violation(
                        f"{node} acknowledges {message.index}, its disk ends at {disk.last_index()}"
                    )
                self._acknowledged[node] = max(
                    self._acknowledged.get(node, (0, 0)), (message.term, message.index)
                )
            case _:
                raise Violation(f"{node} delays a message that promises nothing: {message}")

    def _check_vote(self, node: NodeId, term: int, to: NodeId, stored: HardState) -> None:
        if stored.term == term and stored.vote != to:
            raise Violation(f"{node} votes for {to} in term {term}, its disk says {stored.vote}")
        if self._votes.setdefault((node, term), to) != to:
            raise Violation(f"{node} votes for {to} and {self._votes[(node, term)]} in term {term}")


def _is_promise(message: Message) -> bool:
    match message:
        case RequestVote():
            return not message.pre_vote
        case RequestVoteReply():
            return message.granted and not message.pre_vote
        case AppendEntriesReply():
            return message.success
        case _:
            return False
