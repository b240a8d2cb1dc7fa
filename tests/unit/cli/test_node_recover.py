"""Proposing to go on after a lost quorum: what no block could hold is refused before anybody signs."""

from __future__ import annotations

import pytest

from cli.errors import CommandError
from cli.names import from_genesis
from cli.node_recover import check_fits
from cli.transact import Wish, build, new_id
from ledger.bodies import Kind, Recover
from ledger.keys import public_bytes
from tests.unit.ledger import sample
from wallet.payment import complete_envelope, sign_draft

SIGNERS = [sample.private_key(number) for number in (10, 20)]


def test_a_decision_fits_into_an_envelope() -> None:
    """As many bytes as the network takes, signatures included, and not one more."""
    certifiers = sample.certifiers_of(["node-alpha", "node-beta"])
    body = Recover(1, 70, bytes(32), 3, certifiers, 69, rehearsal=False)
    wish = Wish(b"alpha", Kind.RECOVER, body)
    keys = [public_bytes(key) for key in SIGNERS]
    draft = build(from_genesis(sample.genesis_raw()), new_id(), wish, keys, 60)
    signed = draft
    for key in SIGNERS:
        signed = sign_draft(signed, key)
    size_bytes = len(complete_envelope(signed))
    check_fits(draft, size_bytes)
    with pytest.raises(CommandError, match=f"would have {size_bytes} bytes; the network takes"):
        check_fits(draft, size_bytes - 1)
