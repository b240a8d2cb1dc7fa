"""From the values that a Host gives of transactions, accounts and blocks to the shapes that are sent.

Must not know of requests or of the Host: it is given values and the names to show them by.
"""

from __future__ import annotations

from typing import Final

import msgspec

from api.ports import (
    AccountView,
    BlockView,
    DecidedBy,
    HistoryEntry,
    HistoryPage,
    PaymentView,
    Place,
    ProofView,
    SimulateAnswer,
    SubmitAnswer,
)
from api.shapes import (
    AccountShape,
    BlockShape,
    CertificateShape,
    ChangeShape,
    EntryShape,
    ForgottenShape,
    HistoryShape,
    OutcomeShape,
    PaymentShape,
    PlaceShape,
    PolicyKeyShape,
    PolicyShape,
    ProofShape,
    SignatureShape,
    SimulateShape,
    SubmitShape,
)
from api.text import author_text, cursor_text
from ledger.amounts import format_amount
from ledger.block import Header, block_hash
from ledger.bodies import Flag
from ledger.certificate import decode_certificate, decode_seal, seal_hash
from ledger.codec import decode
from ledger.envelope import MAX_SIGNERS, Envelope, EnvelopeLimits, decode_envelope
from ledger.json_form import KIND_NAMES, Names, envelope_to_json, format_uuid
from ledger.keys import address
from ledger.membership import Change
from ledger.outcome import OUTCOMES, Outcome
from ledger.parameters import PARAMETER_RANGES
from ledger.policy import Policy
from ledger.records import (
    Account,
)

STORED_LIMITS: Final = EnvelopeLimits(PARAMETER_RANGES["envelope_bytes"][1], MAX_SIGNERS)
"""The formats' own bounds: what is on the chain was checked against the parameters of its day."""


def outcome_shape(outcome: Outcome) -> OutcomeShape:
    """An outcome with all that its table says of it."""
    return _OUTCOMES[outcome]


def _outcome_shape(outcome: Outcome) -> OutcomeShape:
    info = OUTCOMES[outcome]
    return OutcomeShape(
        number=info.number,
        name=info.name,
        class_=str(info.class_),
        on_chain=info.on_chain,
        final=info.final,
        retry_can_help=info.retry_can_help,
        sentence=info.sentence,
        remedy=info.remedy,
        iso20022=info.iso20022,
    )


_OUTCOMES: Final = {outcome: _outcome_shape(outcome) for outcome in Outcome}


def stored_envelope(raw: bytes) -> Envelope:
    """An envelope that the Host gave, decoded."""
    return decode_envelope(raw, STORED_LIMITS)


class StoredHeader(msgspec.Struct, frozen=True):
    """The head of a block that the Host gave: header, its bytes and hash, and the proposer's signature."""

    header: Header
    raw: bytes
    hash: bytes
    signature: bytes


_decode_block_parts = msgspec.msgpack.Decoder(tuple[bytes, bytes, msgspec.Raw]).decode


def stored_header(block: bytes) -> StoredHeader:
    """A stored block's head. Its envelopes are passed over, for hashing them is most of decoding a block."""
    raw, signature, _ = _decode_block_parts(block)
    return StoredHeader(decode(raw, Header), raw, block_hash(raw), signature)


def _place(place: Place | None) -> PlaceShape | None:
    return None if place is None else PlaceShape(place.height, place.index)


def submit_shape(answer: SubmitAnswer, tx_id: str, author: str) -> SubmitShape:
    """What the chain said, or that it has said nothing yet."""
    place = answer.place
    return SubmitShape(
        tx_id=tx_id,
        author=author,
        status=answer.status,
        decided_by=answer.decided_by,
        outcome=None if answer.outcome is None else _OUTCOMES[answer.outcome],
        height=None if place is None else place.height,
        index=None if place is None else place.index,
        duplicate_of=_place(answer.duplicate_of),
        time_ms=answer.time_ms,
    )


def simulate_shape(answer: SimulateAnswer, network_name: str) -> SimulateShape:
    """The outcome that would be."""
    return SimulateShape(
        outcome=_OUTCOMES[answer.outcome],
        height=answer.position.height,
        tx_id=None if answer.tx_id is None else format_uuid(answer.tx_id),
        author=None if answer.author is None else author_text(network_name, answer.author),
        duplicate_of=_place(answer.duplicate_of),
        detail=answer.detail,
    )


def payment_shape(view: PaymentView, names: Names) -> PaymentShape:
    """A transaction found by id."""
    envelope = stored_envelope(view.envelope)
    place = view.place
    return PaymentShape(
        tx_id=format_uuid(envelope.payload.tx_id),
        author=author_text(names.network_name, envelope.payload.author),
        status=view.status,
        decided_by=None if place is None else DecidedBy.CHAIN,
        envelope_hash=envelope.leaf_hash.hex(),
        envelope=envelope_to_json(envelope, names),
        outcome=None if view.outcome is None else _OUTCOMES[view.outcome],
        height=None if place is None else place.height,
        index=None if place is None else place.index,
        time_ms=view.time_ms,
    )


def policy_shape(policy: Policy) -> PolicyShape:
    """A policy, keys in hex."""
    keys = tuple(PolicyKeyShape(item.key.hex(), item.weight) for item in policy.keys)
    return PolicyShape(policy.threshold, keys)


def account_shape(view: AccountView, names: Names) -> AccountShape:
    """An account, amounts in its asset's decimals."""
    account = view.account
    scale = _scale(names, account.asset)
    has_entry = account.entry_count > 0
    return AccountShape(
        address=address(names.network_name, account.id),
        height=view.position.height,
        number=account.number,
        member=account.member,
        asset=account.asset,
        balance=signed_amount(account.balance, scale),
        available=signed_amount(account.available, scale),
        limit=format_amount(account.limit, scale),
        debits_posted=format_amount(account.debits_posted, scale),
        credits_posted=format_amount(account.credits_posted, scale),
        debits_pending=format_amount(account.debits_pending, scale),
        credits_pending=format_amount(account.credits_pending, scale),
        flags=account.flags,
        flag_names=_flag_names(account),
        version=account.version,
        policy=policy_shape(account.policy),
        entry_count=account.entry_count,
        history_hash=account.history_hash.hex(),
        opened_height=account.opened_height,
        last=PlaceShape(account.last_height, account.last_index) if has_entry else None,
        reference=account.reference[0].hex() if account.reference else None,
    )


def _scale(names: Names, asset: str) -> int:
    scale = names.scale_of(asset)
    if scale is None:
        raise LookupError(
            f"The asset {asset}, which an account holds, has no scale in the names of this network."
        )
    return scale


def signed_amount(amount: int, scale: int) -> str:
    """An amount in minor units that may be below zero, as a balance within a limit is."""
    return format_amount(amount, scale) if amount >= 0 else "-" + format_amount(-amount, scale)


def _flag_names(account: Account) -> tuple[str, ...]:
    return tuple(str(flag.name).lower() for flag in Flag if account.flags & flag)


def history_shape(page: HistoryPage, account: Account, names: Names) -> HistoryShape:
    """A page of an account's history."""
    scale = _scale(names, account.asset)
    entries = tuple(_entry(entry, names, scale) for entry in page.entries)
    older = page.forgotten
    return HistoryShape(
        entries,
        None if page.next is None else cursor_text(page.next),
        None if older is None else ForgottenShape(older.height, older.held_by),
    )


def _entry(entry: HistoryEntry, names: Names, scale: int) -> EntryShape:
    envelope = stored_envelope(entry.envelope)
    return EntryShape(
        entry=entry.entry_count,
        height=entry.place.height,
        index=entry.place.index,
        time_ms=entry.time_ms,
        tx_id=format_uuid(envelope.payload.tx_id),
        author=author_text(names.network_name, envelope.payload.author),
        kind=KIND_NAMES[envelope.payload.kind],
        outcome=_OUTCOMES[entry.outcome],
        debit=format_amount(entry.debit, scale),
        credit=format_amount(entry.credit, scale),
        envelope=envelope_to_json(envelope, names),
    )


def proof_shape(view: ProofView, address: str) -> ProofShape:
    """A proof, the seal that it leads to, and what certifies that."""
    return ProofShape(
        address=address,
        height=view.height,
        proof=view.proof,
        seal=view.seal,
        seals=view.seals,
        certificate=view.certificate,
    )


def block_shape(block: StoredHeader) -> BlockShape:
    """A block's header and hash."""
    header = block.header
    return BlockShape(
        height=header.height,
        hash=block.hash.hex(),
        parent_hash=header.parent_hash.hex(),
        epoch=header.epoch,
        term=header.term,
        time_ms=header.time_ms,
        proposer=header.proposer,
        boot=header.boot.hex(),
        rules=header.rules,
        membership_version=header.membership_version,
        change=None if not header.change else change_shape(header.change[0]),
        tx_root=header.tx_root.hex(),
        tx_count=header.tx_count,
        body_bytes=header.body_bytes,
        signature=block.signature.hex(),
    )


def change_shape(change: Change) -> ChangeShape:
    """The membership that a block puts in force."""
    return ChangeShape(
        decision_version=change.decision_version,
        voters=change.voters,
        outgoing=change.outgoing,
        learners=change.learners,
    )


def certificate_shape(view: BlockView, raw: bytes) -> CertificateShape:
    """A certificate, opened."""
    certificate = decode_certificate(raw)
    seal = decode_seal(certificate.seal)
    return CertificateShape(
        height=view.height,
        seal_hash=seal_hash(certificate.seal).hex(),
        header_hash=seal.header_hash.hex(),
        parent_seal_hash=seal.parent_seal_hash.hex(),
        outcomes_root=seal.outcomes_root.hex(),
        log_root=seal.log_root.hex(),
        state_root=seal.state_root.hex(),
        certifiers_hash=seal.certifiers_hash.hex(),
        electorate_hash=seal.electorate_hash.hex(),
        signatures=tuple(SignatureShape(item.node, item.signature.hex()) for item in certificate.signatures),
        certificate=raw,
    )
