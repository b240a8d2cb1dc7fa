"""What a transfer does, apart from its id and signatures: for comparing signed bytes, the chain and a file.

It must not know orders, files or the network's nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.amounts import format_amount, parse_amount
from ledger.bodies import Transfer
from ledger.envelope import MAX_SIGNERS, EnvelopeLimits, decode_envelope
from ledger.keys import parse_address
from ledger.parameters import PARAMETER_RANGES

_WIDEST = EnvelopeLimits(envelope_bytes=PARAMETER_RANGES["envelope_bytes"][1], signers=MAX_SIGNERS)


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose account is debited (the author's) and credited, in which asset, with how many minor units."""

    author: bytes
    credit: bytes
    asset: str
    amount: int


def signed_terms(raw: bytes) -> Terms | None:
    """What an envelope's bytes do; None where they are no transfer. Raises Malformed."""
    envelope = decode_envelope(raw, _WIDEST)
    if not isinstance(envelope.body, Transfer):
        return None
    body = envelope.body
    return Terms(envelope.payload.author, body.credit, body.asset, body.amount)


def told_terms(form: Mapping[str, Any], network_name: str, asset: str, scale: int) -> Terms | None:
    """What a transaction in its JSON form does; None where it is no transfer of the asset."""
    body = form["body"]
    if form["kind"] != "transfer" or body["asset"] != asset:
        return None
    author, credit = (parse_address(text, network_name) for text in (form["author"], body["credit"]))
    return Terms(author, credit, asset, parse_amount(body["amount"], scale))


def difference(then: Terms | None, now: Terms, author: str, credit: str, scale: int) -> str | None:
    """In words, the first thing that `now` says otherwise than `then` said; None where they are the same.

    `author` and `credit` name the two accounts for the person who reads it.
    """
    if then is None:
        return f"it was no transfer of {now.asset}"
    if then.author != now.author:
        return f"the {author} is another"
    if then.credit != now.credit:
        return f"the {credit} is another"
    if then.asset != now.asset:
        return f"the asset was {then.asset} and is {now.asset}"
    if then.amount != now.amount:
        return f"the amount was {format_amount(then.amount, scale)} and is {format_amount(now.amount, scale)}"
    return None
