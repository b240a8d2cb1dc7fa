"""Blocks from the leader, checked before Raft sees them: no bank acknowledges what it hasn't verified.

It must not know how Raft works inside, only its messages; nor the disk. One queue a sender keeps the order;
what is decided about a message (step it, hold it, cut it short, check it, distrust its sender) is
`_examine`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from consensus.messages import AppendEntries, Entry, EntryType
from ledger.block import InvalidBlock, check_header, decode_block, decode_body
from ledger.codec import Malformed
from ledger.records import Progress
from ledger.recovery import check_recovery, is_recovery
from ledger.registry import Registry
from ledger.rules.base import RuleSet
from ledger.schedule import LOOK_BACK
from ledger.state import scheduled
from ledger.view import ReadView, StateReader
from node.log_tail import Checked, Link, LogTail, link_after
from node.membership import entry_type
from node.ports import Clock, Log, Timers, Worker
from node.rules_watch import first_missing, rules_of
from node.verifier import Verified, reason_against

MAX_QUEUED = 256
"""Append messages waiting, a sender; more are dropped, and the leader sends them again."""
MAX_QUEUED_BYTES = 64 * 1024 * 1024
"""Bytes of blocks in them, a sender; one message always fits."""
MAX_AHEAD_MS = 2_000
"""A block may be this far ahead of this node's clock before its acknowledgement waits."""
FAR_AHEAD_MS = 10_000
"""A leader whose block is further ahead than this isn't listened to until it no longer is."""
CLOCK_LOOK_MS = 1_000
"""How often a follower looks whether a block is still ahead of its clock: clocks are set right by jumps."""


class InvalidEntry(NamedTuple):
    """The first entry of a message that breaks validity, and why."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class Executed:
    """What the checks know of the executed state: its progress and its registry."""

    progress: Progress
    registry: Registry


@dataclass(slots=True)
class _Queue:
    messages: deque[AppendEntries] = field(default_factory=deque)
    checked: dict[int, Checked] = field(default_factory=dict)
    size_bytes: int = 0
    busy: bool = False
    held: bool = False
    answered: AppendEntries | None = None
    ahead_until_ms: int = 0

    def clear(self) -> None:
        """Forget the messages, and what held them; what was checked stays known."""
        self.messages.clear()
        self.size_bytes = 0
        self.held = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the intake uses and whom it tells: `step` takes a checked message, `invalid` what is distrusted
    for; `rows` are those of the executed state.
    """

    clock: Clock
    timers: Timers
    worker: Worker
    log: Log
    verified: Verified
    rules: Mapping[int, RuleSet]
    rows: StateReader
    executed: Callable[[], Executed]
    term: Callable[[], int]
    step: Callable[[AppendEntries, tuple[Checked, ...]], None]
    invalid: Callable[[AppendEntries, InvalidEntry], None]
    failed: Callable[[BaseException], None]


class Intake:
    """The appends under way to Raft."""

    def __init__(self, tail: LogTail, around: Surroundings) -> None:
        """Nothing under way; `tail` is the log that blocks must follow."""
        self._tail = tail
        self._around = around
        self._queues: dict[str, _Queue] = {}
        self.dropped = 0

    def offer(self, message: AppendEntries) -> None:
        """A message from a leader: it goes to Raft when everything before it has, and its blocks are
        valid.
        """
        queue = self._queues.setdefault(message.sender, _Queue())
        if _supersedes(message, queue):
            queue.clear()
        size = _size_bytes(message)
        full = queue.size_bytes + size > MAX_QUEUED_BYTES or len(queue.messages) >= MAX_QUEUED
        if queue.messages and full:
            self.dropped += 1
            return
        queue.messages.append(message)
        queue.size_bytes += size
        self._pump(queue)

    def has_waiting(self, sender: str) -> bool:
        """Whether messages of the sender wait: what it sends now comes after them."""
        queue = self._queues.get(sender)
        return queue is not None and bool(queue.messages)

    def is_far_ahead(self, sender: str) -> bool:
        """Whether a block of the sender was found far ahead of this node's clock, and still is."""
        queue = self._queues.get(sender)
        return queue is not None and queue.ahead_until_ms > self._around.clock.now_ms()

    def resume(self) -> None:
        """More is executed, or time has passed: look again at what is held."""
        for queue in self._queues.values():
            queue.held = False
            self._pump(queue)

    def _pump(self, queue: _Queue) -> None:
        while queue.messages and not queue.busy and not queue.held:
            self._examine(queue, queue.messages[0])

    def _examine(self, queue: _Queue, message: AppendEntries) -> None:
        """Do with the first message of the queue what can be done now."""
        if message.term < self._around.term() or not self._fits(message):
            self._step(queue, replace(message, entries=()), ())
            return
        other = self._other_block(message)
        if other is not None:
            self._distrust(
                queue, message, InvalidEntry(other, "another block of that height and term is known")
            )
            return
        new = self._new_entries(message)
        if not new:
            self._step(queue, message, ())
        elif new[0].index <= self._tail.executed:
            self._distrust(queue, message, InvalidEntry(new[0], "it contradicts an executed block"))
        else:
            self._examine_new(queue, message, new)

    def _examine_new(self, queue: _Queue, message: AppendEntries, new: tuple[Entry, ...]) -> None:
        allowed = self._within_look_back(new)
        if not allowed:
            self._hold_for_execution(queue, message, len(message.entries) - len(new))
            return
        if len(allowed) < len(new):
            self._split(queue, message, allowed[-1].index)
            return
        checked = self._known(queue, new)
        if checked is None:
            self._check(queue, message, new)
        elif checked[-1].block.header.time_ms > self._around.clock.now_ms() + MAX_AHEAD_MS:
            self._hold_for_clock(queue, checked[-1])
        else:
            self._step(queue, message, checked)

    def _fits(self, message: AppendEntries) -> bool:
        """Whether the message follows on this log; Raft answers one that doesn't without its entries.

        One that begins below all that is held here doesn't either: Raft then says what is committed.
        """
        tail = self._tail
        return (
            tail.first_index() - 1 <= message.prev_log_index <= tail.last_height
            and tail.term(message.prev_log_index) == message.prev_log_term
        )

    def _other_block(self, message: AppendEntries) -> Entry | None:
        """The first entry that Raft would take for one it has, though its block is another: equivocation."""
        for entry in message.entries:
            known = self._tail.cached(entry.index)
            if known is not None and known.term == entry.term and known.data != entry.data:
                return entry
        return None

    def _new_entries(self, message: AppendEntries) -> tuple[Entry, ...]:
        tail = self._tail
        for position, entry in enumerate(message.entries):
            if entry.index > tail.last_height or tail.term(entry.index) != entry.term:
                return message.entries[position:]
        return ()

    def _within_look_back(self, new: Sequence[Entry]) -> tuple[Entry, ...]:
        """The first of them that may be acknowledged: ordinary blocks up to LOOK_BACK above the executed
        one, and none from where this program lacks the rules.

        A recovery block is judged on the state executed at its parent, and voids what was decided for later:
        so it comes directly after the executed block, and nothing but openings after it until it is executed.
        """
        executed, tail = self._around.executed(), self._tail
        missing = first_missing(executed.registry, tail.executed + 1, self._around.rules)
        link, term = tail.link(new[0].index - 1), tail.term(new[0].index - 1)
        last = tail.executed + LOOK_BACK
        if link is not None and link.parent.epoch > executed.progress.epoch:
            last = tail.executed
        for position, entry in enumerate(new):
            recovers = entry.type is EntryType.MEMBERSHIP and entry.term > term
            limit = tail.executed + 1 if recovers else last
            too_new = entry.index > limit and entry.type is not EntryType.OPENING
            if too_new or (missing is not None and entry.index >= missing.from_height):
                return tuple(new[:position])
            last, term = (tail.executed if recovers else last), entry.term
        return tuple(new)

    def _split(self, queue: _Queue, message: AppendEntries, last: int) -> None:
        """Make two messages of one: up to `last`, and what must wait."""
        now = tuple(entry for entry in message.entries if entry.index <= last)
        later = message.entries[len(now) :]
        queue.messages[0] = replace(message, entries=now)
        rest = replace(message, prev_log_index=last, prev_log_term=now[-1].term, entries=later)
        queue.messages.insert(1, rest)

    def _known(self, queue: _Queue, new: Sequence[Entry]) -> tuple[Checked, ...] | None:
        """The checked blocks of these entries, if they were checked against the very log that is there
        now.
        """
        link = self._tail.link(new[0].index - 1)
        parent_hash = link.parent.hash if link is not None else None
        known = []
        for entry in new:
            checked = queue.checked.get(entry.index)
            if (
                checked is None
                or checked.block.raw != entry.data
                or checked.block.header.parent_hash != parent_hash
            ):
                return None
            parent_hash = checked.block.hash
            known.append(checked)
        return tuple(known)

    def _check(self, queue: _Queue, message: AppendEntries, new: tuple[Entry, ...]) -> None:
        link = self._tail.link(new[0].index - 1)
        if link is None:
            self._distrust(queue, message, InvalidEntry(new[0], "its parent is below the executed block"))
            return
        around = self._around
        against = Against(around.executed(), around.rows, around.rules, around.verified)
        queue.busy = True
        self._around.worker.submit(
            lambda: check_entries(new, link, against),
            lambda result: self._after_check(queue, message, result),
            self._around.failed,
        )

    def _after_check(
        self, queue: _Queue, message: AppendEntries, result: list[Checked] | InvalidEntry
    ) -> None:
        queue.busy = False
        if isinstance(result, InvalidEntry):
            if queue.messages and queue.messages[0] is message:
                self._distrust(queue, message, result)
        else:
            for checked in result:
                queue.checked[checked.block.header.height] = checked
                for envelope in checked.envelopes:
                    self._around.verified.add(envelope)
        self._pump(queue)

    def _hold_for_execution(self, queue: _Queue, message: AppendEntries, known: int) -> None:
        """Wait until more is executed, but let Raft answer what comes before the new blocks: the log
        has the first `known`.

        A leader that began anew asks with them where the logs agree. Unanswered, it would never say what is
        committed of them, and nothing would be executed.
        """
        queue.held = True
        if queue.answered is not message:
            queue.answered = message
            self._around.step(replace(message, entries=message.entries[:known]), ())

    def _hold_for_clock(self, queue: _Queue, checked: Checked) -> None:
        header = checked.block.header
        ahead_ms = header.time_ms - self._around.clock.now_ms()
        self._around.log.warning(
            "block_ahead_of_clock", height=header.height, proposer=header.proposer, ahead_ms=ahead_ms
        )
        queue.held = True
        queue.ahead_until_ms = header.time_ms - FAR_AHEAD_MS
        self._around.timers.call_later(min(ahead_ms - MAX_AHEAD_MS, CLOCK_LOOK_MS), self.resume)

    def _distrust(self, queue: _Queue, message: AppendEntries, invalid: InvalidEntry) -> None:
        queue.clear()
        queue.checked.clear()
        self._around.invalid(message, invalid)

    def _step(self, queue: _Queue, message: AppendEntries, checked: tuple[Checked, ...]) -> None:
        queue.size_bytes -= _size_bytes(queue.messages.popleft())
        if checked:
            queue.checked = {
                height: other
                for height, other in queue.checked.items()
                if height > checked[-1].block.header.height
            }
        self._around.step(message, checked)


def _supersedes(message: AppendEntries, queue: _Queue) -> bool:
    """Whether the leader has begun anew: in a later term, or (its appends are held, or lost) from before
    what is held.

    What waits then is sent again. Were it kept, a message that must be answered would wait behind one that
    may never go on.
    """
    if not queue.messages:
        return False
    if message.term > queue.messages[-1].term:
        return True
    return queue.held and message.prev_log_index <= queue.messages[0].prev_log_index


def _size_bytes(message: AppendEntries) -> int:
    return sum(len(entry.data) for entry in message.entries)


@dataclass(frozen=True, slots=True)
class Against:
    """What blocks are checked against, beside the log: the executed state, known rules and signatures."""

    executed: Executed
    rows: StateReader
    rules: Mapping[int, RuleSet]
    verified: Verified


def check_entries(entries: Sequence[Entry], link: Link, against: Against) -> list[Checked] | InvalidEntry:
    """Check blocks that follow each other from `link` on, signatures included. Runs on the verify worker."""
    checked: list[Checked] = []
    for entry in entries:
        try:
            checked.append(_check_entry(entry, link, against))
        except (InvalidBlock, Malformed) as error:
            return InvalidEntry(entry, error.reason)
        link = link_after(link, checked[-1].block)
    return checked


def _check_entry(entry: Entry, link: Link, against: Against) -> Checked:
    block = decode_block(entry.data)
    header = block.header
    if (header.height, header.term) != (entry.index, entry.term):
        raise InvalidBlock(
            f"entry {entry.index} of term {entry.term} holds the block {header.height} of term {header.term}"
        )
    if entry.type is not entry_type(block, link.parent):
        raise InvalidBlock(f"block {header.height} is sent as an entry of type {entry.type.name.lower()}")
    progress, registry = against.executed.progress, against.executed.registry
    values = scheduled(progress, registry, header.height, link_after(link, block).basis)
    rules = rules_of(header, against.rules)
    if is_recovery(block, link.parent):
        view = ReadView(against.rows, lambda: registry)
        return Checked(block, check_recovery(block, link.parent, values, rules, view))
    check_header(block, link.parent, values)
    envelopes = decode_body(block, values, rules.bodies, against.verified.envelopes)
    for index, envelope in enumerate(envelopes):
        reason = None if against.verified.get(envelope.leaf_hash) is not None else reason_against(envelope)
        if reason is not None:
            raise InvalidBlock(f"block {header.height}, transaction {index}: {reason}")
    return Checked(block, envelopes)
