"""Examples for the API's description: one for each shape of an answer, and for each type of problem.

Answers are those of the example chain, made by what makes a node's own; so they are true. Must not know of
routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from api import example_chain as chain
from api import shapes
from api.example_chain import example_chain, node
from api.ports import (
    AccountView,
    BlockView,
    ClusterView,
    DecidedBy,
    HistoryEntry,
    HistoryPage,
    Leader,
    NetworkView,
    ParametersView,
    PaymentView,
    PeerView,
    Place,
    Position,
    ProofView,
    RulesView,
    SimulateAnswer,
    Status,
    SubmitAnswer,
)
from api.problem_examples import example_problem
from api.problems import OUTCOME_KINDS
from api.registry_views import membership_view
from api.render import (
    account_shape,
    block_shape,
    certificate_shape,
    history_shape,
    outcome_shape,
    payment_shape,
    proof_shape,
    simulate_shape,
    stored_envelope,
    stored_header,
    submit_shape,
)
from api.render_network import (
    asset_shape,
    cluster_shape,
    member_shape,
    membership_shape,
    network_shape,
    node_shape,
    rules_shape,
    schedule_shape,
)
from api.text import author_text
from ledger import state_proof
from ledger.certificate import decode_certificate
from ledger.genesis import network_id
from ledger.json_form import Names, envelope_to_json, format_uuid
from ledger.leaves import outcome_leaf
from ledger.outcome import Outcome
from ledger.receipt import build_receipt
from ledger.records import Account
from ledger.state import node_reader
from ledger.view import ReadView

EXAMPLE_NAMES: Final = Names(chain.NETWORK_NAME, {chain.ASSET: chain.SCALE}.get)
_HEIGHT: Final = 3
_PLACE: Final = Place(_HEIGHT, 0)
_TIME_MS: Final = chain.TIME_MS + _HEIGHT * chain.BLOCK_MS
_LEADER: Final = Leader(node("alpha"), "https://alpha.example:7100")


def example_envelope() -> bytes:
    """A signed transfer of CHF 1,250.00 from one bank's account to another's."""
    return chain.payment()


def envelope_example() -> dict[str, Any]:
    """That transfer in its JSON form."""
    return envelope_to_json(stored_envelope(example_envelope()), EXAMPLE_NAMES)


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """A shape as the JSON that is sent."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return decoded


def _answered(outcome: Outcome | None, status: Status) -> shapes.SubmitShape:
    answer = SubmitAnswer(
        status=status,
        decided_by=None if outcome is None else DecidedBy.CHAIN,
        outcome=outcome,
        place=None if outcome is None else _PLACE,
        time_ms=None if outcome is None else _TIME_MS,
    )
    author = author_text(chain.NETWORK_NAME, chain.PAYER)
    return submit_shape(answer, format_uuid(chain.TX_ID), author)


def executed_example() -> dict[str, Any]:
    """The answer where it was executed."""
    return plain(_answered(Outcome.EXECUTED, Status.EXECUTED))


def refused_example() -> dict[str, Any]:
    """The answer where the chain refused it."""
    return plain(_answered(Outcome.INSUFFICIENT_FUNDS, Status.EXECUTED))


def pending_example() -> dict[str, Any]:
    """The answer to a submission that was not waited for."""
    return plain(_answered(None, Status.PENDING))


@cache
def shape_examples() -> Mapping[str, dict[str, Any]]:
    """An example of each shape that is the whole of an answer, by the shape's name."""
    found = (*_of_payments(), *_of_accounts(), *_of_blocks(), *_of_registry(), *_of_node())
    return {type(shape).__name__: plain(shape) for shape in found}


def bytes_examples() -> Mapping[str, bytes]:
    """An example of each answer that comes in canonical bytes, by operation."""
    block = stored_header(example_chain().blocks[-1].raw)
    return {
        "getBlockBytes": example_chain().blocks[-1].raw,
        "getHeaderBytes": block.raw,
        "getCertificate": example_chain().certificates[-1],
        "getReceipt": _receipt(),
        "getGenesis": example_chain().genesis,
    }


def _of_payments() -> tuple[msgspec.Struct, ...]:
    items = (
        shapes.BatchItemShape(_answered(Outcome.EXECUTED, Status.EXECUTED)),
        shapes.BatchItemShape(None, example_problem(OUTCOME_KINDS[Outcome.BAD_SIGNATURE])),
    )
    trial = SimulateAnswer(
        outcome=Outcome.INSUFFICIENT_FUNDS,
        position=Position(_HEIGHT, _TIME_MS),
        tx_id=chain.TX_ID,
        author=chain.PAYER,
    )
    view = PaymentView(
        status=Status.CERTIFIED,
        envelope=example_envelope(),
        outcome=Outcome.EXECUTED,
        place=_PLACE,
        time_ms=_TIME_MS,
    )
    return (
        shapes.BatchShape(items),
        simulate_shape(trial, chain.NETWORK_NAME),
        payment_shape(view, EXAMPLE_NAMES),
        shapes.ReceiptShape(_receipt()),
    )


def _receipt() -> bytes:
    made = example_chain()
    outcomes = made.executed[-1].outcomes
    return build_receipt(
        genesis=made.genesis,
        block=made.blocks[-1],
        index=_PLACE.index,
        outcome_leaves=[outcome_leaf(outcome, first) for outcome, first in outcomes],
        seals=(),
        handovers=(),
        certificate=decode_certificate(made.certificates[-1]),
    )


def _payer() -> Account:
    account = example_chain().state.account_by_id(chain.PAYER)
    if account is None:
        raise LookupError("the example chain opens this account")
    return account


def _of_accounts() -> tuple[msgspec.Struct, ...]:
    made, account = example_chain(), _payer()
    proof = state_proof.prove_account(
        account.id,
        made.state.account_by_id,
        made.state.tree,
        node_reader(made.rows),
        made.state.progress.registry_root,
    )
    proved = ProofView(_HEIGHT, proof, made.executed[-1].seal_raw, (), made.certificates[-1])
    return (
        account_shape(AccountView(account, Position(_HEIGHT, _TIME_MS)), EXAMPLE_NAMES),
        history_shape(_history(account), account, EXAMPLE_NAMES),
        proof_shape(proved, author_text(chain.NETWORK_NAME, account.id)),
    )


def _history(account: Account) -> HistoryPage:
    """The newest entry of the account, and where the page after it begins."""
    made = example_chain()
    (item,), after = ReadView(made.rows, lambda: made.state.registry).history(account, None, 1)
    entry = HistoryEntry(
        place=_PLACE,
        envelope=example_envelope(),
        outcome=Outcome(item.row.outcome),
        time_ms=_TIME_MS,
        entry_count=item.entry.entry_count,
        debit=item.entry.debit,
        credit=item.entry.credit,
    )
    return HistoryPage((entry,), None if after is None else Place(*after))


def _of_blocks() -> tuple[msgspec.Struct, ...]:
    made = example_chain()
    newest = block_shape(stored_header(made.blocks[-1].raw))
    certificate = made.certificates[-1]
    view = BlockView(_HEIGHT, made.blocks[-1].raw, certificate)
    return newest, shapes.BlocksShape((newest,), _HEIGHT), certificate_shape(view, certificate)


def _of_registry() -> tuple[msgspec.Struct, ...]:
    registry, current = example_chain().state.registry, _HEIGHT + 1
    parameters, rules = registry.parameters, registry.rules
    return (
        shapes.MembersShape(tuple(map(member_shape, registry.members.values()))),
        shapes.NodesShape(tuple(map(node_shape, registry.nodes.values()))),
        shapes.AssetsShape(tuple(asset_shape(each, chain.NETWORK_NAME) for each in registry.assets.values())),
        schedule_shape(
            ParametersView(parameters.version, registry.parameters_at(current), parameters.entries)
        ),
        rules_shape(RulesView(rules.version, registry.rules_at(current), rules.entries)),
        membership_shape(membership_view(registry, _HEIGHT)),
    )


def _of_node() -> tuple[msgspec.Struct, ...]:
    genesis = example_chain().genesis
    shown = (Outcome.EXECUTED, Outcome.INSUFFICIENT_FUNDS)
    return (
        shapes.OutcomesShape(tuple(map(outcome_shape, shown))),
        network_shape(NetworkView(chain.NETWORK_NAME, network_id(genesis), genesis)),
        cluster_shape(_cluster()),
    )


def _cluster() -> ClusterView:
    others = chain.MEMBERS[1:]
    return ClusterView(
        node=_LEADER.node,
        member="alpha",
        role="leader",
        votes=True,
        membership_version=1,
        term=1,
        quorum=True,
        leader=_LEADER,
        committed_height=_HEIGHT,
        executed_height=_HEIGHT,
        certified_height=_HEIGHT,
        peers=tuple(_peer(member) for member in others),
        version="0.1.0",
        started_ms=chain.TIME_MS,
    )


def _peer(member: str) -> PeerView:
    return PeerView(
        node=node(member),
        member=member,
        address=f"{member}.example:7000",
        connected=True,
        votes=True,
        api_url=f"https://{member}.example:7100",
        match_height=_HEIGHT,
        last_heard_ms=_TIME_MS,
    )
