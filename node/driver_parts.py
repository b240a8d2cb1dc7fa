"""Those parts of a node's core that are made from much of the rest: how each is put together.

It must not know in which order they do their work: the driver does.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from consensus.raft import Raft
from ledger.state import State
from node.admission import Admission
from node.certifying import Certifying
from node.driver_config import DriverConfig, Ports
from node.executor import Done, Executor
from node.handover import Handover
from node.intake import Executed
from node.marks import Marks
from node.mempool import Mempool
from node.seal_exchange import ExchangeParts, SealExchange
from node.standing import Standing
from node.store import Store
from node.submissions import Parts, Submissions
from node.verifier import Verifier
from node.waiters import Waiters
from node.watch import Watch, WatchParts


@dataclass(frozen=True, slots=True)
class Core:
    """What most parts need; `executed` gives what is executed at the moment of the call."""

    config: DriverConfig
    ports: Ports
    store: Store
    standing: Standing
    counters: Counter[str]
    executed: Callable[[], Executed]


def make_executor(
    core: Core, state: State, executed: Callable[[Done], None], failed: Callable[[BaseException], None]
) -> Executor:
    """The execution of committed blocks on `state`, sealed by this node; `executed` hears of each."""
    config = core.config
    signer = (config.node_id, config.key)
    return Executor(state, core.store, signer, config.rules, core.ports.execute, executed, failed)


def make_seals(core: Core, marks: Marks) -> SealExchange:
    """The exchange of seals, from the executed height on."""
    parts = ExchangeParts(
        node_id=core.config.node_id,
        members=lambda: core.executed().registry.membership.membership.nodes,
        store=core.store,
        marks=marks,
        peers=core.ports.peers,
        log=core.ports.log,
        certifying=lambda: Certifying(core.executed().registry, core.executed().progress.height),
    )
    return SealExchange(parts, core.executed().progress.height, core.standing.certified)


def make_submissions(
    core: Core, raft: Raft, admission: Admission, mempool: Mempool, waiters: Waiters, verifier: Verifier
) -> Submissions:
    """The way of transactions through this node; nothing is submitted yet."""
    return Submissions(
        Parts(
            boot=core.config.boot,
            admission=admission,
            mempool=mempool,
            verifier=verifier,
            waiters=waiters,
            standing=core.standing,
            clock=core.ports.clock,
            peers=core.ports.peers,
            log_end=lambda: raft.last_index,
        )
    )


def make_watch(core: Core, raft: Raft, submissions: Submissions, handover: Handover) -> Watch:
    """The look-out, which tells waiting submitters of a lost quorum and asks for another leader."""
    return Watch(
        WatchParts(
            raft=raft,
            store=core.store,
            standing=core.standing,
            clock=core.ports.clock,
            log=core.ports.log,
            counters=core.counters,
            election_ticks=core.config.election_ticks,
            quorum_lost=submissions.quorum_lost,
            ask_transfer=handover.ask,
        )
    )
