"""Executing blocks: ids used once, the order of refusals, rows, history, seals; the state stays untouched."""

from __future__ import annotations

from hashlib import sha256

import msgpack
import pytest
from msgspec.structs import replace

from ledger.block import Parent
from ledger.bodies import Body, OpenAccount, SetParameters, SetPolicy, Transfer
from ledger.certificate import decode_seal, seal_hash
from ledger.codec import decode
from ledger.envelope import Envelope
from ledger.keys import account_id, tagged_hash
from ledger.leaves import outcome_leaf
from ledger.membership import Membership
from ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash, root
from ledger.outcome import Outcome
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.records import (
    ConsumedId,
    HistoryEntry,
    HistoryRow,
    account_ref,
    account_row_key,
    history_row_key,
    id_row_key,
    member_ref,
)
from ledger.rules import RULES
from ledger.state import State
from tests.unit.ledger.rules.world import ADMIN, ISSUANCE, TELLER, World, canonical_rows, policy

PAYER, PAYEE = 51, 52


@pytest.fixture
def accounts(world: World) -> tuple[bytes, bytes]:
    """A payer with 100 (its second entry is at height 1) and a payee (opened at height 2)."""
    return world.open("alpha", PAYER, funds=100), world.open("beta", PAYEE)


def test_repeated_bytes_are_a_duplicate_of_the_first(world: World, accounts: tuple[bytes, bytes]) -> None:
    """The same transaction again, in its own block or later, changes nothing and names the first's place."""
    payer, payee = accounts
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    first = world.block(payment, payment)
    assert first.outcomes == ((Outcome.EXECUTED, None), (Outcome.DUPLICATE_OF, (3, 0)))
    before = world.account(payer)
    assert world.block(payment).outcomes == ((Outcome.DUPLICATE_OF, (3, 0)),)
    assert world.account(payer) == before
    assert world.account(payee).balance == 10


def test_a_refusal_is_as_final_as_a_success(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Bytes refused for lack of money stay refused once the money has come."""
    payer, payee = accounts
    payment = world.envelope(payer, Transfer(payee, "EUR", 150), [PAYER])
    assert world.outcomes(payment) == [Outcome.INSUFFICIENT_FUNDS]
    assert world.outcome(world.issuance(), Transfer(payer, "EUR", 100), ISSUANCE) is Outcome.EXECUTED
    assert world.outcomes(payment) == [Outcome.DUPLICATE_OF]
    assert world.account(payee).balance == 0


def test_an_id_is_used_once_for_one_content(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Another transaction under a used id is refused, in the same block and later, whatever its kind."""
    payer, payee = accounts
    tx_id = world.new_id()
    bodies: list[Body] = [
        Transfer(payee, "EUR", 10),
        Transfer(payee, "EUR", 11),
        SetPolicy(payer, 1, policy(PAYEE)),
    ]
    one, two, three = (world.envelope(payer, body, [PAYER], tx_id=tx_id) for body in bodies)
    assert world.outcomes(one, two) == [Outcome.EXECUTED, Outcome.ID_USED_WITH_OTHER_CONTENT]
    assert world.outcomes(three) == [Outcome.ID_USED_WITH_OTHER_CONTENT]
    assert world.account(payer).entry_count == 3


def test_ids_are_each_authors_own(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Two authors may use the same id; neither stands in the other's way."""
    payer, payee = accounts
    tx_id = world.new_id()
    one = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER], tx_id=tx_id)
    two = world.envelope(payee, Transfer(payer, "EUR", 10), [PAYEE], tx_id=tx_id)
    three = world.envelope("alpha", OpenAccount("EUR", policy(1)), [TELLER["alpha"]], tx_id=tx_id)
    assert world.outcomes(one, two, three) == [Outcome.EXECUTED] * 3


def test_a_stranger_cannot_use_up_an_id(world: World, accounts: tuple[bytes, bytes]) -> None:
    """What is refused for want of authority leaves the id free, no entry, and a row with its outcome."""
    payer, payee = accounts
    tx_id = world.new_id()
    body = Transfer(payee, "EUR", 10)
    stolen = world.envelope(payer, body, [PAYEE], tx_id=tx_id)
    honest = world.envelope(payer, body, [PAYER], tx_id=tx_id)
    assert world.outcomes(stolen, honest) == [Outcome.POLICY_NOT_MET, Outcome.EXECUTED]
    row = world.state.history_row(3, 0)
    assert row == HistoryRow(Outcome.POLICY_NOT_MET, (), stolen.leaf_hash, (), ())


def test_a_retry_after_rotation_hears_of_the_first(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Keys that no longer count don't turn a payment that was made into a refusal, in its block or later."""
    payer, payee = accounts
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    rotation = world.envelope(payer, SetPolicy(payer, 1, policy(PAYEE)), [PAYER])
    duplicate = (Outcome.DUPLICATE_OF, (3, 0))
    executed = (Outcome.EXECUTED, None)
    assert world.block(payment, rotation, payment).outcomes == (executed, executed, duplicate)
    assert world.block(payment).outcomes == (duplicate,)
    other = world.envelope(payer, Transfer(payee, "EUR", 11), [PAYER], tx_id=payment.payload.tx_id)
    assert world.outcomes(other) == [Outcome.POLICY_NOT_MET]
    assert world.account(payee).balance == 10


def test_authority_is_judged_before_everything_else(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Author, then policy, then the id, then the state: the first that fails names the outcome."""
    payer, _ = accounts
    hopeless = Transfer(bytes(21), "USD", 10**9)
    assert world.outcome(bytes(20) + b"x", hopeless, PAYEE) is Outcome.UNKNOWN_AUTHOR
    assert world.outcome(payer, hopeless, PAYEE) is Outcome.POLICY_NOT_MET
    refused = world.envelope(payer, hopeless, [PAYER])
    assert world.outcomes(refused) == [Outcome.UNKNOWN_ACCOUNT]
    assert world.outcomes(refused) == [Outcome.DUPLICATE_OF]
    tx_id = refused.payload.tx_id
    other = world.envelope(payer, replace(hopeless, amount=1), [PAYEE], tx_id=tx_id)
    assert world.outcomes(other) == [Outcome.POLICY_NOT_MET]
    other = world.envelope(payer, replace(hopeless, amount=1), [PAYER], tx_id=tx_id)
    assert world.outcomes(other) == [Outcome.ID_USED_WITH_OTHER_CONTENT]


def test_transactions_see_what_came_before_them_in_the_block(world: World) -> None:
    """Opened, funded and paid on in one block; money can't be spent before it has come."""
    tx_id = world.new_id()
    account = account_id("alpha", "EUR", tx_id)
    back = world.envelope(account, Transfer(world.issuance(), "EUR", 5), [PAYER])
    opening = world.envelope("alpha", OpenAccount("EUR", policy(PAYER)), [TELLER["alpha"]], tx_id=tx_id)
    again = world.envelope(account, Transfer(world.issuance(), "EUR", 5), [PAYER])
    funds = world.envelope(world.issuance(), Transfer(account, "EUR", 5), [ISSUANCE])
    last = world.envelope(account, Transfer(world.issuance(), "EUR", 5), [PAYER])
    assert world.outcomes(back, opening, again, funds, last) == [
        Outcome.UNKNOWN_AUTHOR,
        Outcome.EXECUTED,
        Outcome.INSUFFICIENT_FUNDS,
        Outcome.EXECUTED,
        Outcome.EXECUTED,
    ]


def test_executing_changes_nothing_until_it_is_applied(world: World, accounts: tuple[bytes, bytes]) -> None:
    """The same block executes twice to the same result, and the state stands where it stood."""
    payer, payee = accounts
    envelopes = [
        world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER]),
        world.envelope("alpha", OpenAccount("EUR", policy(1)), [TELLER["alpha"]]),
    ]
    block = world.make_block(envelopes)
    before, registry = world.state.progress, world.state.registry
    one = RULES[1].execute(world.state, block, envelopes)
    two = RULES[1].execute(world.state, block, envelopes)
    assert (one.changes, one.seal_raw, one.outcomes) == (two.changes, two.seal_raw, two.outcomes)
    assert (world.state.progress, world.state.registry) == (before, registry)
    assert world.state.tree.root == before.accounts_root
    assert world.account(payer).balance == 100


def test_blocks_are_applied_in_order_only(world: World) -> None:
    """What was executed on another height is refused."""
    executed = world.block()
    with pytest.raises(ValueError, match="does not follow"):
        world.state.apply(executed)


def consumed_by(envelope: Envelope, author_ref: bytes) -> ConsumedId:
    """What the row of a transaction says of the id that it consumed."""
    return ConsumedId(author_ref, envelope.payload.tx_id, envelope.signing_hash)


def test_rows_of_a_payment(world: World, accounts: tuple[bytes, bytes]) -> None:
    """A payment writes its row with both entries, linked to the entries before, and its id's place."""
    payer, payee = accounts
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    refused = world.envelope(payer, Transfer(payee, "EUR", 1000), [PAYER])
    changes = world.block(payment, refused).changes
    paid, owed = world.account(payer), world.account(payee)
    entries = (HistoryEntry(paid.number, 10, 0, 3, 1, 1), HistoryEntry(owed.number, 0, 10, 2, 2, 0))
    assert decode(changes[history_row_key(3, 0)], HistoryRow) == HistoryRow(
        0, (), payment.leaf_hash, (consumed_by(payment, account_ref(paid.number)),), entries
    )
    entry = HistoryEntry(paid.number, 0, 0, 4, 3, 0)
    row = decode(changes[history_row_key(3, 1)], HistoryRow)
    assert row == HistoryRow(
        Outcome.INSUFFICIENT_FUNDS,
        (),
        refused.leaf_hash,
        (consumed_by(refused, account_ref(paid.number)),),
        (entry,),
    )
    place = (3).to_bytes(6, "big") + (0).to_bytes(2, "big")
    assert changes[id_row_key(payment.payload.tx_id, account_ref(paid.number))] == place
    assert (paid.last_height, paid.last_index, paid.entry_count) == (3, 1, 4)
    assert msgpack.unpackb(changes[account_row_key(paid.number)])[7:9] == [10, 100]


def test_member_authors_use_their_own_ref(world: World) -> None:
    """A member's id is found under the member's number, and the opened account has an entry."""
    envelope = world.envelope("beta", OpenAccount("EUR", policy(PAYER)), [TELLER["beta"]])
    changes = world.block(envelope).changes
    assert id_row_key(envelope.payload.tx_id, member_ref(1)) in changes
    assert decode(changes[history_row_key(1, 0)], HistoryRow).entries == (HistoryEntry(2, 0, 0, 1, 0, 0),)


def test_history_hash_follows_the_formats(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Each entry's hash is made of the one before, the transaction's bytes and what was posted."""
    payer, payee = accounts
    before = world.account(payer).history_hash
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    world.block(payment)
    leaf = sha256(b"\x00" + payment.raw).digest()
    expected = tagged_hash("history", before + leaf + msgpack.packb([0, 3, 0, 10, 0]))
    assert world.account(payer).history_hash == expected


def test_seals_chain_and_cover_outcomes_log_and_state(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Each root of a seal is recomputed from what it covers."""
    payer, payee = accounts
    parent, log = world.state.progress.seal_hash, world.state.progress.log
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    executed = world.block(payment, payment)
    seal = decode_seal(executed.seal_raw)
    assert seal.parent_seal_hash == parent
    leaves = [outcome_leaf(Outcome.EXECUTED, None), outcome_leaf(Outcome.DUPLICATE_OF, (3, 0))]
    assert leaves == [msgpack.packb([0, []]), msgpack.packb([300, [[3, 0]]])]
    assert seal.outcomes_root == root([leaf_hash(leaf) for leaf in leaves])
    record = msgpack.packb([payer, payment.payload.tx_id, 3, 0, payment.signing_hash, 0])
    assert seal.log_root == log.append([leaf_hash(record)]).root()
    assert seal.state_root == State.open(world.rows).state_root
    assert seal.header_hash == world.blocks[-1].hash
    assert world.state.progress.seal_hash == seal_hash(executed.seal_raw)


def test_empty_blocks_change_nothing_but_the_progress(world: World) -> None:
    """A block that opens a term has empty outcomes and the same state root."""
    before = world.state.state_root
    executed = world.block()
    assert executed.seal.outcomes_root == EMPTY_ROOT
    assert executed.seal.log_root == Frontier().root()
    assert executed.seal.state_root == before
    assert list(executed.changes) == [b"S"]


def test_opening_blocks_keep_their_parents_basis(world: World) -> None:
    """A block of a new term takes the basis height of its parent; an ordinary one its own."""
    heights = []
    for term in (1, 1, 2, 3, 3):
        world.block(term=term)
        heights.append(world.state.progress.basis_height)
    assert heights == [0, 2, 2, 2, 5]
    last = world.blocks[-1]
    voters = Membership(("alpha-1", "beta-1", "central-1"))
    assert world.state.parent == Parent(last.hash, 5, 3, last.header.time_ms, 0, voters, 1)


def test_preview_says_what_execution_would(world: World, accounts: tuple[bytes, bytes]) -> None:
    """A preview against the state gives the outcome and the first's place, and consumes nothing."""
    payer, payee = accounts
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    preview = RULES[1].preview
    assert preview(world.state, payment, 3) == (Outcome.EXECUTED, None)
    world.block(payment)
    assert preview(world.state, payment, 4) == (Outcome.DUPLICATE_OF, (3, 0))
    other = world.envelope(payer, Transfer(payee, "EUR", 1), [PAYER], tx_id=payment.payload.tx_id)
    assert preview(world.state, other, 4) == (Outcome.ID_USED_WITH_OTHER_CONTENT, (3, 0))


def test_state_reopened_after_every_kind_of_block_is_the_same(world: World) -> None:
    """Rows hold everything: a state opened from them continues to the same roots as the one that went on."""
    payer = world.open("alpha", PAYER, funds=100)
    payee = world.open("beta", PAYEE, "EUR")
    parameters = SetParameters(DEFAULT_PARAMETERS, 100, 1)
    world.block(world.envelope("beta", parameters, [ADMIN["alpha"], ADMIN["beta"]]))
    reopened = State.open(world.rows)
    assert (reopened.progress, reopened.registry) == (world.state.progress, world.state.registry)
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    block = world.make_block([payment])
    one = RULES[1].execute(reopened, block, [payment])
    two = RULES[1].execute(world.state, block, [payment])
    assert canonical_rows(one.changes) == canonical_rows(two.changes)
    assert one.seal_raw == two.seal_raw
