"""The text form of scenarios: one command a line, `#` for prose; see COMMANDS for the vocabulary.

It must not know Raft: commands move a Board and compare what they find. A failure names the file and line.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from consensus import messages
from consensus.errors import ConsensusError
from consensus.membership import decode_membership, encode_membership
from consensus.messages import Entry, EntryType, HardState, Membership, Message, SnapshotMeta
from tests.simulation.scenarios.board import Board, Options

KINDS: dict[str, type[Message]] = {
    "vote": messages.RequestVote,
    "vote-reply": messages.RequestVoteReply,
    "append": messages.AppendEntries,
    "append-reply": messages.AppendEntriesReply,
    "heartbeat": messages.Heartbeat,
    "heartbeat-reply": messages.HeartbeatReply,
    "snapshot": messages.InstallSnapshot,
    "timeout-now": messages.TimeoutNow,
    "read": messages.ReadIndexRequest,
    "read-reply": messages.ReadIndexReply,
}


class ScenarioFailed(AssertionError):
    """A scenario's line didn't hold, or couldn't be played."""


class Runner:
    """Plays one scenario."""

    def __init__(self) -> None:
        """Nothing set up: `nodes` comes first, after `option`s."""
        self._options = Options()
        self._board = Board((), self._options)

    def option(self, name: str, value: str) -> None:
        """option NAME on|off|NUMBER: how nodes are configured, or whether leaders open terms by
        themselves.
        """
        known = {"on": True, "off": False}
        setattr(self._options, name, known[value] if value in known else int(value))

    def nodes(self, *names: str) -> None:
        """nodes A B C: the voters, not started."""
        self._board = Board(names, self._options)

    def joiners(self, *names: str) -> None:
        """joiners D E: further nodes, not started, that aren't members yet."""
        for name in names:
            self._board.add(name)

    def past(self, name: str, term: str, *entries: str) -> None:
        """past A TERM T:DATA ...: the term and log on a node's disk before it starts."""
        self._board.load(name, _entries(entries, 1), HardState(int(term)))

    def start(self, *names: str) -> None:
        """start A B: start nodes from their disks (again)."""
        for name in names:
            self._board.start(name)

    def crash(self, name: str) -> None:
        """crash A: the node ends; what its disk hasn't synced is lost."""
        self._board.crash(name)

    def campaign(self, name: str) -> None:
        """campaign A: A stands for election now."""
        self._board.node(name).campaign()
        self._board.work()

    def tick(self, name: str, count: str = "1") -> None:
        """tick A N: N ticks of A's clock."""
        for _ in range(int(count)):
            self._board.node(name).tick()
            self._board.work()

    def settle(self) -> None:
        """settle: deliver everything until it's quiet."""
        self._board.settle()

    def deliver(self, sender: str, to: str, kind: str | None = None) -> None:
        """deliver A B [KIND]: what is on its way from A to B arrives."""
        self._board.deliver(self._taken(sender, to, kind))

    def drop(self, sender: str, to: str, kind: str | None = None) -> None:
        """drop A B [KIND]: what is on its way from A to B is lost."""
        self._taken(sender, to, kind)

    def keep(self, sender: str, to: str, kind: str | None = None) -> None:
        """keep A B [KIND]: what is on its way from A to B is held up, until `release`."""
        self._board.kept.extend(self._taken(sender, to, kind))

    def release(self) -> None:
        """release: what was held up arrives, late."""
        kept, self._board.kept = self._board.kept, []
        self._board.deliver(kept)

    def inject(self, kind: str, *fields: str) -> None:
        """inject KIND FIELD=VALUE ...: this message arrives, as if a peer had sent it;
        entries=T:DATA,T:DATA; meta=INDEX:TERM:MEMBERSHIP.
        """
        values = {name: _parse(value) for name, value in (field.split("=", 1) for field in fields)}
        if kind == "append":
            values["entries"] = _entries(
                str(values["entries"]).split(","), int(str(values["prev_log_index"])) + 1
            )
        if kind == "snapshot":
            index, term, membership = str(values["meta"]).split(":")
            values["meta"] = SnapshotMeta(int(index), int(term), _membership(membership))
        make: Callable[..., Message] = KINDS[kind]
        message = make(**values)
        self._board.inject(message)

    def cut(self, *names: str) -> None:
        """cut A: nothing reaches A or comes from it, until `join`."""
        self._board.cut.update(names)

    def join(self) -> None:
        """join: all are connected again."""
        self._board.cut.clear()

    def stall(self, name: str) -> None:
        """stall A: A's disk takes writes but doesn't sync them, until `sync`."""
        self._board.players[name].stalled = True

    def sync(self, name: str) -> None:
        """sync A: A's disk syncs all it holds."""
        self._board.sync(name)
        self._board.work()

    def sync_one(self, name: str) -> None:
        """sync-one A: A's disk syncs the oldest write it holds, and stays stalled."""
        self._board.sync_one(name)
        self._board.work()

    def queue(self, name: str) -> None:
        """queue A: what A hands out stays with its caller, not encoded yet, until `send`."""
        self._board.players[name].queues = True

    def send(self, name: str) -> None:
        """send A: what A has handed out leaves."""
        self._board.send(name)

    def open(self, name: str) -> None:
        """open A: A proposes the opening entry of its term."""
        self._board.open_term(name)
        self._board.work()

    def propose(self, name: str, *data: str) -> None:
        """propose A DATA ...: A appends these entries as leader, before any message leaves."""
        for each in data:
            self._board.node(name).propose(each.encode())
        self._board.work()

    def change(self, name: str, *parts: str) -> None:
        """change A voters=A+B outgoing=C learners=D: A proposes this membership."""
        data = encode_membership(_membership("/".join(parts)))
        self._board.node(name).propose(data, EntryType.MEMBERSHIP)
        self._board.work()

    def read(self, name: str, context: str) -> None:
        """read A CONTEXT: a linearizable read begins at A."""
        self._board.node(name).read_index(context.encode())
        self._board.work()

    def transfer(self, name: str, to: str) -> None:
        """transfer A B: A begins to hand over leadership to B."""
        self._board.node(name).transfer_leadership(to)
        self._board.work()

    def compact(self, name: str, index: str) -> None:
        """compact A INDEX: A forgets its log up to INDEX."""
        self._board.players[name].disk.compact(int(index))

    def refused(self, error: str, command: str, *words: str) -> None:
        """refused ERROR COMMAND ...: the command raises that error of the core."""
        try:
            self._play(command, words)
        except ConsensusError as refusal:
            _same(type(refusal).__name__, error)
            return
        raise ScenarioFailed(f"it wasn't refused with {error}")

    def role(self, name: str, role: str) -> None:
        """role A leader: A's role."""
        _same(self._board.node(name).role.value, role)

    def term(self, name: str, term: str) -> None:
        """term A N: A's term."""
        _same(self._board.node(name).term, int(term))

    def leader(self, name: str, leader: str) -> None:
        """leader A B: whom A takes for its leader (or none)."""
        _same(self._board.node(name).leader_id or "none", leader)

    def members(self, name: str, *parts: str) -> None:
        """members A voters=A+B outgoing=C learners=D: the membership that A acts on."""
        _same(_shown_membership(self._board.node(name).membership), "/".join(parts))

    def vote(self, name: str, vote: str) -> None:
        """vote A B: for whom A voted in its term (or none)."""
        _same(self._board.node(name).status().vote or "none", vote)

    def commit(self, name: str, index: str) -> None:
        """commit A INDEX: what A knows to be committed."""
        _same(self._board.node(name).commit, int(index))

    def last(self, name: str, index: str) -> None:
        """last A INDEX: where A's log ends, synced or not."""
        _same(self._board.node(name).last_index, int(index))

    def disk(self, name: str, *entries: str) -> None:
        """disk A T:DATA ...: the entries on A's disk."""
        disk = self._board.players[name].disk
        held: tuple[Entry, ...] = ()
        if disk.last_index() >= disk.first_index():
            held = disk.entries(disk.first_index(), disk.last_index(), 1 << 30)
        _same([f"{entry.term}:{_shown(entry)}" for entry in held], list(entries))

    def applied(self, name: str, *data: str) -> None:
        """applied A DATA ...: what A has applied, in order."""
        _same([_shown(entry) for entry in self._board.players[name].applied], list(data))

    def answered(self, name: str, *reads: str) -> None:
        """answered A CONTEXT:INDEX ...: the reads that A may serve, and from which index."""
        found = [f"{state.context.decode()}:{state.index}" for state in self._board.players[name].reads]
        _same(found, list(reads))

    def waiting(self, sender: str, to: str, *kinds: str) -> None:
        """waiting A B [KIND ...]: exactly these are on their way from A to B."""
        names = {kind: name for name, kind in KINDS.items()}
        found = [names[type(m)] for m in self._board.on_their_way() if (m.sender, m.to) == (sender, to)]
        _same(found, list(kinds))

    def progress(self, name: str, peer: str, state: str) -> None:
        """progress A B probe: how leader A sends to B."""
        found = {status.id: status.state.value for status in self._board.node(name).status().peers}
        _same(found.get(peer), state)

    def must_open(self, name: str, term: str) -> None:
        """must-open A TERM: A was told to open this term (or none)."""
        _same(str(self._board.players[name].must_open or "none"), term)

    def play(self, text: str) -> None:
        """Play a whole scenario; raises ScenarioFailed with the line that failed."""
        for number, line in _lines(text):
            try:
                self._play(line[0], tuple(line[1:]))
            except (ScenarioFailed, ConsensusError) as error:
                raise ScenarioFailed(f"line {number}, {' '.join(line)!r}: {error}") from error

    def _play(self, command: str, words: tuple[str, ...]) -> None:
        method: Callable[..., None] = getattr(self, command.replace("-", "_"))
        method(*words)

    def _taken(self, sender: str, to: str, kind: str | None) -> list[bytes]:
        found = self._board.take_messages(sender, to, KINDS[kind] if kind else None)
        if not found:
            raise ScenarioFailed(f"no such message is on its way: {self._board.on_their_way()}")
        return found


def play_file(path: Path) -> None:
    """Play a scenario's file."""
    Runner().play(path.read_text(encoding="utf-8"))


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        words = re.sub(r"#.*", "", line).split()
        if words:
            yield number, words


def _entries(written: Sequence[str], first: int) -> tuple[Entry, ...]:
    """T:DATA for each entry; "open" opens its term, voters=A+B/outgoing=C/learners=D is a membership."""
    entries = []
    for index, (term, data) in enumerate((entry.split(":") for entry in written if entry), first):
        if data.startswith("voters="):
            entry = Entry(index, int(term), EntryType.MEMBERSHIP, encode_membership(_membership(data)))
        else:
            kind = EntryType.OPENING if data == "open" else EntryType.NORMAL
            entry = Entry(index, int(term), kind, data.encode())
        entries.append(entry)
    return tuple(entries)


def _membership(text: str) -> Membership:
    parts = dict(part.split("=") for part in text.split("/"))
    return Membership(**{name: tuple(nodes.split("+")) for name, nodes in parts.items()})


def _shown(entry: Entry) -> str:
    if entry.type is EntryType.MEMBERSHIP:
        return _shown_membership(decode_membership(entry.data))
    return entry.data.decode()


def _shown_membership(membership: Membership) -> str:
    parts = {name: getattr(membership, name) for name in ("voters", "outgoing", "learners")}
    return "/".join(f"{name}={'+'.join(nodes)}" for name, nodes in parts.items() if nodes)


def _parse(value: str) -> object:
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isdigit() else value


def _same(found: object, expected: object) -> None:
    if found != expected:
        raise ScenarioFailed(f"found {found!r}, expected {expected!r}")
