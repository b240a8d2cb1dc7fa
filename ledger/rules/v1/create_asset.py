"""create_asset: an asset comes into being, with the account out of which its issuer issues it.

The issuance account opens with a limit of 0: nothing is issued until the issuer sets one. Must not know
other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import CreateAsset
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.keys import account_id
from ledger.outcome import Outcome
from ledger.records import AssetRecord
from ledger.rules.base import Kind
from ledger.rules.v1 import governance
from ledger.view import View


def check(view: View, envelope: Envelope, body: CreateAsset, height: int) -> Outcome:
    """The issuer is known and the code is new."""
    if body.issuer not in view.registry.members:
        return Outcome.UNKNOWN_MEMBER
    if body.code in view.registry.assets:
        return Outcome.ALREADY_EXISTS
    return Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: CreateAsset) -> tuple[Touch, ...]:
    """Put the asset's record and open its issuance account."""
    issuance_id = account_id(body.issuer, body.code, envelope.payload.tx_id)
    account = draft.new_account(issuance_id, body.issuer, body.code, body.issuance_policy, ())
    asset = AssetRecord(body.code, body.scale, body.issuer, issuance_id, draft.height)
    draft.registry = draft.registry.with_asset(asset)
    return (Touch(account),)


KIND: Final = Kind(
    number=bodies.Kind.CREATE_ASSET,
    name="create_asset",
    body=CreateAsset,
    author=governance.AUTHOR,
    authority=governance.AUTHORITY,
    refusals=(Outcome.UNKNOWN_MEMBER, Outcome.ALREADY_EXISTS),
    authorise=governance.authorise,
    check=check,
    apply=apply,
)
