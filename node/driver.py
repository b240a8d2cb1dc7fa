"""The one loop of a node: whatever happens comes in here as a call, whatever is done goes out through a port.

It must not know asyncio, threads, sockets or files: it is synchronous, and the same under the simulator's
seed as in production. It never waits. What the parts do is in their own modules; here is only their order.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from consensus.raft import Role
from ledger.state import State
from node.admission import Admission
from node.barriers import Barriers
from node.driver_config import DriverConfig, Ports
from node.driver_parts import Core, make_executor, make_seals, make_submissions, make_watch
from node.driver_status import driver_status
from node.executor import Done
from node.greetings import Greetings
from node.halting import MUST_STOP, stop_word
from node.handover import Handover, HandoverParts
from node.heights import Heights
from node.intake import Executed
from node.marks import Marks
from node.membership import must_hand_over
from node.mempool import Mempool
from node.messages import (
    AskTransfer,
    Forward,
    HeldCertificate,
    Hello,
    NeedSeals,
    NodeMessage,
    RaftFrame,
    Refused,
    SealShare,
)
from node.raft_loop import Hooks, RaftLoop
from node.results import DriverStatus, StopReason, SubmitResult
from node.rules_watch import RulesWatch
from node.standing import Standing
from node.store import Store
from node.submissions import STOPPING, refused_unread
from node.verifier import Verified, Verifier
from node.waiters import Waiters

__all__ = ["Driver", "DriverConfig", "Ports"]

T = TypeVar("T")

SWEEP_MS = 500
"""Between looks for what has expired, and between requests for missing seals."""


class Driver:
    """One node. All methods are called on the loop; callbacks run on it too, and may call back in."""

    def __init__(
        self, config: DriverConfig, store: Store, ports: Ports, on_stop: Callable[[StopReason], None]
    ) -> None:
        """A node that goes on from what `store` holds. `on_stop` is called once if it must stop itself.

        Raises StateCorrupted or CorruptRecord if the store's state can't be gone on from, and UnknownRules if
        the next block follows rules that this program lacks.
        """
        self._config = config
        self._store = store
        self._ports = ports
        self._on_stop = on_stop
        self.counters: Counter[str] = Counter()
        self._state = State.open(store)
        self._executed = Executed(self._state.progress, self._state.registry)
        self._standing = Standing(certified=store.last_certified())
        self._ticks = 0
        self._sweep_ticks = max(1, SWEEP_MS // config.tick_ms)
        self._in_turn = False
        self._again = False
        self._halted = False
        self._stopping_done: Callable[[], None] | None = None
        self._stop_deadline_ticks = 0
        self._heights, self._certified_heights = Heights(), Heights()
        self._make_parts()
        self._rules.executed(self._executed.progress.height, self._executed.registry)

    # What comes in.

    def tick(self) -> None:
        """To be called every `tick_ms`."""
        if self._halted:
            return
        self._ticks += 1
        self._guarded(self._raft.tick)
        self._watch.tick()
        self._submissions.tick()
        self._barriers.tick(self._ports.clock.monotonic_ms())
        self._hand_over_if_let_go()
        if self._ticks % self._sweep_ticks == 0:
            self._submissions.sweep()
            self._seals.ask()
            self._marks.flush()
            self._greetings.greet_again()
        self._turn()

    def on_connected(self, peer: str) -> None:
        """A link to `peer` stands: this node says Hello on it, and what it remembers of that peer."""
        self._greetings.greet(peer)

    def on_disconnected(self, peer: str) -> None:
        """The link to `peer` is gone: messages to it may be lost."""
        if not self._halted:
            self._raft.report_unreachable(peer)
            self._turn()

    def on_message(self, sender: str, message: NodeMessage) -> None:
        """A message from the node that the link is authenticated for."""
        if self._halted:
            return
        match message:
            case RaftFrame():
                self._guarded(lambda: self._loop.on_frame(sender, message.data))
            case Forward():
                self._submissions.take_forwarded(sender, message)
            case SealShare():
                self._guarded(lambda: self._seals.receive(sender, message))
            case Refused():
                if sender == self._standing.leader_id:
                    self._submissions.take_refusals(message)
            case HeldCertificate():
                self._guarded(lambda: self._seals.receive_certificate(sender, message))
            case NeedSeals():
                self._guarded(lambda: self._seals.answer(sender, message))
            case Hello():
                self._greetings.hear(sender, message)
                self._guarded(lambda: self._watch.hear(sender, message))
            case AskTransfer():
                self._guarded(lambda: self._handover.grant(sender, message))
        self._turn()

    def submit(self, raw: bytes, report: Callable[[SubmitResult], None]) -> None:
        """Take an envelope; `report` hears of each stage (see SubmitResult), perhaps at once."""
        self.submit_all([(raw, report)])

    def submit_all(self, submissions: Iterable[tuple[bytes, Callable[[SubmitResult], None]]]) -> None:
        """Take several envelopes in one turn; each report hears of its own."""
        for raw, report in submissions:
            if self._halted:
                report(refused_unread(STOPPING))
            else:
                self._submissions.submit(raw, report)
        self._turn()

    def simulate(self, raw: bytes, report: Callable[[SubmitResult], None]) -> None:
        """What the envelope would come to now: PENDING with the outcome it would have, or REFUSED."""
        if self._halted:
            report(refused_unread(STOPPING))
        else:
            self._submissions.simulate(raw, report)

    def read_barrier(self, done: Callable[[bool], None]) -> None:
        """Call `done(True)` once reads are linearizable (thesis 6.4), `done(False)` without a quorum."""
        self._barriers.add(done, self._ports.clock.monotonic_ms())
        self._turn()

    def when_executed(self, height: int, done: Callable[[], None]) -> None:
        """Call `done` once `height` is executed here (at once if it is)."""
        if height <= self.executed_height:
            done()
        else:
            self._heights.wait(height, done)

    def on_block(self, listener: Callable[[int], None]) -> None:
        """From now on call `listener` with the height of every block executed here."""
        self._heights.listen(listener)

    def on_certificate(self, listener: Callable[[int], None]) -> None:
        """From now on call `listener` with each newly certified height: everything below it is, too."""
        self._certified_heights.listen(listener)

    def hand_over(self, to: str | None) -> str:
        """Begin to hand leadership to a voter, or to the furthest; who it is. Raises HandoverRefused."""
        chosen = self._handover.give_to(to)
        self._turn()
        return chosen

    def stop(self, done: Callable[[], None]) -> None:
        """Admit nothing more, hand leadership over, finish the writes under way, then call `done`."""
        self._standing.stopping = True
        self._stopping_done = done
        self._stop_deadline_ticks = self._ticks + self._config.election_ticks
        self._guarded(self._handover.give_away)
        self._turn()

    # What can be asked.

    @property
    def executed_height(self) -> int:
        """The newest block executed and stored here."""
        return self._loop.tail.executed

    @property
    def certified_height(self) -> int:
        """The newest block that this node holds a certificate for."""
        return self._standing.certified

    @property
    def executed(self) -> Executed:
        """The progress and the registry of the executed state."""
        return self._executed

    def holders(self, height: int) -> tuple[str, ...]:
        """The other nodes of the cluster that hold the block at `height`, as far as they have said."""
        return self._greetings.holders(height, self._executed.registry.membership.membership.nodes)

    def with_state(
        self, job: Callable[[State], T], done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Read the state as of some executed height on the thread that owns it; `job` must not change it."""
        self._ports.execute.submit(lambda: job(self._state), done, failed)

    def pending(self, author: bytes, tx_id: bytes) -> bytes | None:
        """The raw envelope with this id that this node holds and that isn't executed, if any."""
        pending = self._mempool.by_id(author, tx_id)
        return None if pending is None else pending.envelope.raw

    def status(self) -> DriverStatus:
        """Where the node stands."""
        counts = {
            "refused_by_node": self._submissions.refused_count,
            "forwards_dropped": self._submissions.dropped_count,
            "seals_refused": self._seals.refused_count,
            "appends_dropped": self._loop.appends_dropped,
            "blocks_proposed": self._loop.proposer.proposed_count,
        }
        return driver_status(
            self._core,
            self._raft.status(),
            self._loop.told_height,
            self._mempool,
            self._marks,
            self._rules.missing,
            dict(self.counters) | counts,
        )

    # One turn: everything that can be done now is done, in this order.

    def _turn(self) -> None:
        """Propose and drain until nothing moves, then send what has gathered. Calls from within wait for
        it.
        """
        self._again = True
        if self._in_turn:
            return
        self._in_turn = True
        try:
            while self._again and not self._halted:
                self._again = False
                self._guarded(self._move)
                self._submissions.flush()
        finally:
            self._in_turn = False
        self._finish_stopping()

    def _move(self) -> None:
        self._barriers.flush(self._ports.clock.monotonic_ms())
        self._loop.move(may_propose=not self._standing.stopping)

    def _hand_over_if_let_go(self) -> None:
        """A leader that won't vote any more lets one who will end the change of membership."""
        raft = self._raft
        if raft.role is Role.LEADER and raft.membership.outgoing and must_hand_over(raft.status()):
            self._guarded(self._handover.give_away)

    def _lead_changed(self) -> None:
        raft, standing = self._raft, self._standing
        leads, led = raft.role is Role.LEADER, standing.leads
        is_same_term = raft.leader_id is None or raft.term == standing.term
        if (leads, raft.leader_id) == (led, standing.leader_id) and is_same_term:
            return
        standing.leads, standing.leader_id, standing.term = leads, raft.leader_id, raft.term
        self.counters["leader_changes"] += 1
        self._ports.log.info("leader_changed", leader=raft.leader_id, term=raft.term, role=raft.role.value)
        if led and not leads:
            self._mempool.unmark_proposed()
        if leads:
            self._loop.proposer.lead()
        self._watch.lead_changed()
        self._submissions.lead_changed()

    # Executed blocks.

    def _on_executed(self, done: Done) -> None:
        if self._halted:
            return
        executed = done.executed
        self._executed = Executed(executed.progress, executed.registry)
        self._admission.executed(executed.accounts, done.envelopes)
        for envelope in done.envelopes:
            self._verified.forget(envelope.leaf_hash)
        self.counters["transactions"] += len(done.envelopes)
        self._guarded(lambda: self._rules.executed(executed.height, executed.registry))
        self._guarded(lambda: self._loop.executed(executed.height))
        if done.own is not None:
            self._watch.sealed(executed.height)
        self._guarded(lambda: self._seals.execute(done))
        if self._submissions.execute(done, executed.progress.time_ms):
            self._handover.ask("transactions that this node forwarded are passed over")
        self._barriers.execute(executed.height)
        self._heights.reached(executed.height)
        self._turn()

    def _on_certified(self, height: int) -> None:
        """The certificate of `height` is in the store."""
        self._standing.certified = max(height, self._standing.certified)
        self._waiters.certify(height)
        self._certified_heights.reached(height)
        self._turn()

    # The end.

    def _finish_stopping(self) -> None:
        """When stopping: once nothing is led or under way (or it took too long), say so."""
        done = self._stopping_done
        if done is None or self._in_turn:
            return
        waits = not self._halted and (
            (
                self._raft.role is Role.LEADER
                and len(self._raft.membership.voters) > 1
                and self._ticks < self._stop_deadline_ticks
            )
            or not (self._loop.idle and self._executor.idle and self._marks.idle)
        )
        if not waits:
            self._stopping_done = None
            self._halted = True
            done()

    def _guarded(self, step: Callable[[], object]) -> None:
        """Run what may find that this node must not go on."""
        try:
            step()
        except MUST_STOP as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._halt(StopReason(stop_word(error), str(error) or type(error).__name__))

    def _halt(self, reason: StopReason) -> None:
        if self._halted:
            return
        self._halted = True
        self._standing.stopping = True
        self._ports.log.error("node_stops", word=reason.word, what=reason.what)
        self._on_stop(reason)

    # The parts, put together.

    def _make_parts(self) -> None:
        config, ports, store = self._config, self._ports, self._store
        self._core = Core(config, ports, store, self._standing, self.counters, lambda: self._executed)
        self._verified = Verified()
        self._rules = RulesWatch(config.rules, ports.log)
        self._mempool = Mempool(config.mempool)
        self._waiters = Waiters()
        self._marks = Marks(store, ports.disk, self._on_certified, self._failed)
        self._greetings = Greetings(config, store, self._marks, ports.peers)
        shared = (self._mempool, self._verified, self._marks, self.counters)
        self._loop = RaftLoop(config, ports, store, shared, self._hooks())
        self._raft = self._loop.raft
        self._handover = Handover(HandoverParts(self._raft, ports.peers, ports.clock, ports.log))
        self._barriers = Barriers(
            config.boot, self._raft.read_index, 2 * config.election_ticks * config.tick_ms
        )
        self._executor = make_executor(self._core, self._state, self._on_executed, self._failed)
        self._seals = make_seals(self._core, self._marks)
        self._admission = Admission(store, self._mempool, config.rules, lambda: self._executed)
        verifier = Verifier(ports.verify, self._verified, self._failed, self._turn)
        self._submissions = make_submissions(
            self._core, self._raft, self._admission, self._mempool, self._waiters, verifier
        )
        self._watch = make_watch(self._core, self._raft, self._submissions, self._handover)

    def _hooks(self) -> Hooks:
        """What Raft's side of the node calls; parts that are made later are looked up when it does."""
        return Hooks(
            executed=lambda: self._executed,
            certified=lambda: self._standing.certified,
            commit=lambda committed: self._executor.execute(committed),
            confirm=lambda read: self._barriers.confirm(read, self.executed_height),
            lead_changed=self._lead_changed,
            new_block=lambda header: self._watch.new_block(header),
            expire=lambda envelope: self._submissions.expire(envelope),
            turn=self._turn,
            guarded=self._guarded,
            halted=lambda: self._halted,
            failed=self._failed,
        )
