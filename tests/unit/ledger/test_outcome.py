"""The table of outcomes: complete, stable, and the page made from it."""

import re
from pathlib import Path

import msgpack
import pytest

from ledger.codec import Malformed, decode
from ledger.leaves import OutcomeLeaf, Place, decode_outcome_leaf, id_record, outcome_leaf
from ledger.outcome import OUTCOMES, Outcome, OutcomeClass
from ledger.outcome_page import as_markdown

PAGE = Path(__file__).parents[3] / "docs" / "outcomes.md"

NUMBERS = {
    "executed": 0,
    "not_canonical": 100,
    "too_large": 101,
    "unknown_kind": 102,
    "bad_field": 103,
    "wrong_network": 104,
    "too_many_signers": 105,
    "bad_signature": 200,
    "unknown_author": 201,
    "policy_not_met": 202,
    "not_permitted": 203,
    "duplicate_of": 300,
    "id_used_with_other_content": 301,
    "version_mismatch": 302,
    "unknown_account": 400,
    "account_closed": 401,
    "debit_frozen": 402,
    "credit_frozen": 403,
    "wrong_asset": 404,
    "same_account": 405,
    "insufficient_funds": 406,
    "amount_overflow": 407,
    "balance_not_zero": 408,
    "unknown_member": 409,
    "unknown_asset": 410,
    "already_exists": 411,
    "limit_below_balance": 412,
    "flags_not_permitted": 413,
    "activation_too_early": 414,
    "parameter_out_of_range": 415,
    "key_not_replaceable": 416,
    "unknown_node": 417,
    "node_retired": 418,
    "node_in_membership": 419,
    "node_not_in_membership": 420,
    "member_has_voting_node": 421,
    "too_few_voters": 422,
    "membership_change_pending": 423,
    "rules_not_newer": 424,
    "no_membership_change_pending": 425,
    "expired": 500,
    "not_yet_valid": 501,
    "overloaded": 502,
    "no_quorum": 503,
    "unknown": 504,
    "too_many_pending": 505,
    "stopping": 506,
}


def test_numbers_never_change() -> None:
    """They stand on the chain; a new one is added here, none is changed or removed."""
    assert {info.name: info.number for info in OUTCOMES.values()} == NUMBERS


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_says_what_to_do(outcome: Outcome) -> None:
    """A sentence, a remedy, and a status reason code for every refusal."""
    info = OUTCOMES[outcome]
    assert (info.number, info.name) == (outcome.value, outcome.name.lower())
    assert info.sentence.endswith(".")
    assert info.remedy.endswith(".")
    assert (info.iso20022 == "") is (outcome is Outcome.EXECUTED)
    assert re.fullmatch(r"[A-Z0-9]{4}|", info.iso20022)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_classes_and_promises(outcome: Outcome) -> None:
    """Classes go by hundreds; nodes decide what is malformed, badly signed, or theirs."""
    info = OUTCOMES[outcome]
    by_hundred = (
        OutcomeClass.SUCCESS,
        OutcomeClass.MALFORMED,
        OutcomeClass.AUTH,
        OutcomeClass.CONFLICT,
        OutcomeClass.STATE,
        OutcomeClass.NODE,
    )
    assert info.class_ is by_hundred[outcome // 100]
    node_only = info.class_ in (OutcomeClass.MALFORMED, OutcomeClass.NODE) or outcome is Outcome.BAD_SIGNATURE
    assert info.on_chain is not node_only
    assert not (info.final and info.retry_can_help)
    if info.class_ is OutcomeClass.NODE:
        assert not info.final
    if info.class_ in (OutcomeClass.CONFLICT, OutcomeClass.STATE):
        assert info.final


def test_page_is_that_of_the_table() -> None:
    """docs/outcomes.md is made by scripts/write_outcomes_page.py, never by hand."""
    assert PAGE.read_text(encoding="utf-8") == as_markdown()


def test_outcome_leaves() -> None:
    """An outcome number, and the first one's place for a duplicate."""
    assert outcome_leaf(Outcome.EXECUTED) == msgpack.packb([0, []])
    assert outcome_leaf(Outcome.DUPLICATE_OF, (4, 2)) == msgpack.packb([300, [[4, 2]]])
    assert decode_outcome_leaf(outcome_leaf(300, (4, 2))) == OutcomeLeaf(300, (Place(4, 2),))
    for wrong in ([0], [0, [[4]]], [0, [[4, 2], [4, 2]]], [-1, []]):
        with pytest.raises(Malformed, match="OutcomeLeaf"):
            decode(msgpack.packb(wrong), OutcomeLeaf)


def test_id_records() -> None:
    """The six items of formats.md, section 7."""
    raw = id_record(
        author=b"beta", tx_id=bytes(16), height=4, index=2, signing_hash=bytes(32), outcome=Outcome.EXECUTED
    )
    assert raw == msgpack.packb([b"beta", bytes(16), 4, 2, bytes(32), 0])
