"""Raft and what it makes the node do: proposals in, checked blocks in, Readys out to the disk and the
peers.

It must not know transactions, seals or who asked for anything. The driver gives it hooks for what
concerns others.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from consensus.errors import MalformedMessage
from consensus.messages import (
    AppendEntries,
    Heartbeat,
    InstallSnapshot,
    Message,
    ReadState,
    decode_message,
    encode_message,
)
from consensus.raft import Config, Raft, Ready
from ledger.block import Header
from ledger.envelope import Envelope
from ledger.state import executed_parent
from node.driver_config import DriverConfig, Ports
from node.evidence import keep_invalid_entry
from node.executor import Committed
from node.intake import Executed, Intake, InvalidEntry, Surroundings
from node.log_tail import Checked, Link, LogTail
from node.log_writer import LogWriter
from node.marks import Marks
from node.membership import membership_in
from node.mempool import Mempool
from node.messages import RaftFrame
from node.proposer import Proposer, ProposerParts
from node.store import Store
from node.verifier import Verified

MAX_EVIDENCE = 16
"""Invalid blocks of one sender that are kept, a process start: a liar can't fill the disk with its lies."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop needs of the rest of the node.

    `guarded` runs a step and stops the node if it finds that it must; `halted` says whether it has; `turn`
    starts a turn of the whole node.
    """

    executed: Callable[[], Executed]
    certified: Callable[[], int]
    commit: Callable[[Committed], None]
    confirm: Callable[[ReadState], None]
    lead_changed: Callable[[], None]
    new_block: Callable[[Header], None]
    expire: Callable[[Envelope], None]
    turn: Callable[[], None]
    guarded: Callable[[Callable[[], object]], None]
    halted: Callable[[], bool]
    failed: Callable[[BaseException], None]


class RaftLoop:
    """Raft, its log's end, and the writers, checkers and makers of blocks around it."""

    def __init__(
        self,
        config: DriverConfig,
        ports: Ports,
        store: Store,
        shared: tuple[Mempool, Verified, Marks, Counter[str]],
        hooks: Hooks,
    ) -> None:
        """Go on from what `store` holds; `shared` is what other parts of the node work with too."""
        self._config = config
        self._ports = ports
        self._store = store
        self._hooks = hooks
        self._mempool, self._verified, self._marks, self._counters = shared
        executed = hooks.executed()
        progress = executed.progress
        link = Link(executed_parent(progress, executed.registry), progress.basis_height)
        self.tail = LogTail(store, link, executed.registry.membership.changed_height)
        self.raft = Raft(_raft_config(config, ports, progress.height), self.tail)
        self._writer = LogWriter(store, ports.disk, self._synced, hooks.turn, hooks.failed)
        self._intake = self._make_intake()
        self.proposer = self._make_proposer()
        self._distrusted: dict[str, int] = {}
        self._evidence: Counter[str] = Counter()
        self._must_open: int | None = None
        self._told = (0, 0)

    @property
    def idle(self) -> bool:
        """Whether everything that Raft wanted on the disk is there."""
        return self._writer.idle

    @property
    def appends_dropped(self) -> int:
        """Append messages that found their sender's queue full."""
        return self._intake.dropped

    @property
    def told_height(self) -> int:
        """How far the leader of this term says that it has committed, whatever of it is here yet."""
        term, height = self._told
        return height if term == self.raft.term else 0

    def move(self, may_propose: bool) -> None:
        """Do what there is to do until nothing is left: Readys, and blocks that it is time for."""
        self._drain()
        while self._propose(may_propose):
            self._drain()

    def on_frame(self, sender: str, data: bytes) -> None:
        """A message of the core, from the node that the link is authenticated for."""
        try:
            message = decode_message(data)
        except MalformedMessage as error:
            self._refuse_frame(sender, str(error))
            return
        if message.sender != sender or message.to != self._config.node_id:
            self._refuse_frame(sender, f"it claims to go from {message.sender} to {message.to}")
            return
        self._step(message)

    def executed(self, height: int) -> None:
        """A block is executed: blocks that were held because of that may go on."""
        self.tail.mark_executed(height)
        self._intake.resume()

    def _refuse_frame(self, sender: str, reason: str) -> None:
        self._counters["malformed_frames"] += 1
        self._ports.log.warning("malformed_frame", sender=sender, reason=reason)

    def _step(self, message: Message) -> None:
        if isinstance(message, InstallSnapshot) and not self._holds(message):
            self._ports.need_snapshot()
            return
        if isinstance(message, AppendEntries | Heartbeat):
            if not self._believes(message.sender, message.term):
                self._counters["distrusted_messages"] += 1
                return
            if isinstance(message, AppendEntries):
                self._told = max(self._told, (message.term, message.commit))
                if self._belongs_to_intake(message):
                    self._intake.offer(message)
                    return
        self.raft.step(message)

    def _holds(self, message: InstallSnapshot) -> bool:
        """Whether the log holds what the snapshot would bring: Raft then says so, and the leader goes on."""
        index, tail = message.meta.index, self.tail
        return index <= tail.executed or (index <= tail.last_height and tail.term(index) == message.meta.term)

    def _believes(self, sender: str, term: int) -> bool:
        """Whether the sender is listened to as the leader of `term`. Who isn't loses its followers, and an
        election replaces it.
        """
        return term > self._distrusted.get(sender, 0) and not self._intake.is_far_ahead(sender)

    def _belongs_to_intake(self, message: AppendEntries) -> bool:
        """Whether it carries blocks, or follows on some that are still being checked: Raft would take it
        for a gap.
        """
        return bool(message.entries) or self._intake.has_waiting(message.sender)

    def _step_checked(self, message: AppendEntries, checked: tuple[Checked, ...]) -> None:
        """Blocks of the leader that this node has checked: Raft may have them."""
        for block in checked:
            self.tail.stage(block)
            self._marks.led(block.block.header.proposer, block.block.header.term)
        self._hooks.guarded(lambda: self.raft.step(message))
        self._hooks.guarded(self._drain)
        self.tail.unstage()
        if checked and message.commit < checked[-1].block.header.height:
            self._hooks.new_block(checked[-1].block.header)
        self._hooks.turn()

    def _distrust(self, message: AppendEntries, invalid: InvalidEntry) -> None:
        """The leader of a term sent an invalid block: nothing of that term is believed of it any more."""
        sender, term = message.sender, message.term
        self._counters["invalid_blocks"] += 1
        self._distrusted[sender] = max(term, self._distrusted.get(sender, 0))
        self._ports.log.error(
            "invalid_block", sender=sender, term=term, height=invalid.entry.index, reason=invalid.reason
        )
        self._evidence[sender] += 1
        if self._evidence[sender] > MAX_EVIDENCE:
            return
        self._ports.disk.submit(
            lambda: keep_invalid_entry(self._store, sender, term, invalid),
            lambda _: None,
            self._hooks.failed,
        )

    def _propose(self, may_propose: bool) -> bool:
        if self._must_open is not None and self.proposer.open_term(self._must_open):
            self._must_open = None
            return True
        return may_propose and self.proposer.propose()

    def _drain(self) -> None:
        """Do the work of every Ready that Raft has."""
        while not self._hooks.halted() and (ready := self.raft.ready()) is not None:
            self._handle(ready)

    def _handle(self, ready: Ready) -> None:
        if ready.must_open is not None:
            self._must_open = ready.must_open
        if ready.entries:
            self.tail.take(ready.entries)
        self._send(ready.messages)
        self._writer.write(ready)
        for entry in ready.committed:
            self._hooks.commit(Committed(entry, self.tail.checked(entry.index, entry.term)))
        for read in ready.read_states:
            self._hooks.confirm(read)
        if ready.soft_state is not None:
            self._hooks.lead_changed()

    def _synced(self, ready: Ready) -> None:
        """A Ready is on the disk: what it promises may leave, and it counts."""
        if self._hooks.halted():
            return
        self._send(ready.durable_messages)
        self._hooks.guarded(lambda: self.raft.advance(ready.number))

    def _send(self, messages: tuple[Message, ...]) -> None:
        for message in messages:
            self._ports.peers.send(message.to, RaftFrame(encode_message(message)))

    def _make_intake(self) -> Intake:
        ports = self._ports
        around = Surroundings(
            clock=ports.clock,
            timers=ports.timers,
            worker=ports.verify,
            log=ports.log,
            verified=self._verified,
            rules=self._config.rules,
            rows=self._store,
            executed=self._hooks.executed,
            term=lambda: self.raft.term,
            step=self._step_checked,
            invalid=self._distrust,
            failed=self._hooks.failed,
        )
        return Intake(self.tail, around)

    def _make_proposer(self) -> Proposer:
        parts = ProposerParts(
            node_id=self._config.node_id,
            boot=self._config.boot,
            key=self._config.key,
            clock=self._ports.clock,
            timers=self._ports.timers,
            raft=self.raft,
            tail=self.tail,
            mempool=self._mempool,
            rules=self._config.rules,
            executed=self._hooks.executed,
            certified=self._hooks.certified,
            expire=self._hooks.expire,
            wake=self._hooks.turn,
        )
        return Proposer(parts)


def _raft_config(config: DriverConfig, ports: Ports, applied: int) -> Config:
    return Config(
        id=config.node_id,
        applied=applied,
        random=ports.random,
        membership_in=membership_in,
        election_ticks=config.election_ticks,
        heartbeat_ticks=config.heartbeat_ticks,
    )
