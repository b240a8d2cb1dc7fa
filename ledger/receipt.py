"""Receipts: what proves one payment to anybody who knows only the network's id (formats.md, section 9).

It must not know where blocks and certificates are kept; it is given them. scripts/verify_receipt.py checks
the same, independently of this code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ledger.block import Block, Header, block_hash
from ledger.certificate import (
    Certificate,
    InvalidCertificate,
    Seal,
    decode_seal,
    seal_hash,
)
from ledger.codec import Malformed, Record, decode, encode
from ledger.envelope import Envelope, decode_envelope, verify_envelope
from ledger.fields import Bin32, Uint
from ledger.genesis import Genesis, decode_genesis
from ledger.genesis import network_id as network_id_of
from ledger.handovers import ANY_LIMITS, Handover, verify_certified
from ledger.keys import BadSignature
from ledger.leaves import OutcomeLeaf, decode_outcome_leaf
from ledger.merkle import ProofInvalid, inclusion_proof, leaf_hash, verify_inclusion

RECEIPT_FORMAT: Final = 1
MAX_SEALS: Final = 10_000
"""Seals a receipt may carry up to its certificate; nodes keep a certificate at least every 1,000 heights."""


class ReceiptInvalid(Exception):
    """A receipt that does not prove its payment; the text says which step fails."""


class Receipt(Record, frozen=True):
    """Genesis, a block's header, one envelope and its outcome with their paths, certified seals.

    `handovers` lead from genesis to those who certified.
    """

    format: Literal[1]
    genesis: bytes
    header: bytes
    envelope: bytes
    index: Uint
    tx_path: tuple[Bin32, ...]
    outcome_leaf: bytes
    outcome_path: tuple[Bin32, ...]
    seals: tuple[bytes, ...]
    handovers: tuple[Handover, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a good receipt proves. `time_ms` is the block's; `signed_by` are the nodes that certified it."""

    network_name: str
    network_id: bytes
    envelope: Envelope
    height: int
    index: int
    time_ms: int
    outcome: int
    duplicate_of: tuple[int, int] | None
    certified_height: int
    signed_by: tuple[str, ...]


def build_receipt(
    *,
    genesis: bytes,
    block: Block,
    index: int,
    outcome_leaves: Sequence[bytes],
    seals: Sequence[bytes],
    handovers: Sequence[Handover],
    certificate: Certificate,
) -> bytes:
    """The receipt of the transaction at `index` of `block`.

    `outcome_leaves` are those of the whole block, in order; `seals` those from the block's height up to, not
    including, the certificate's own; `handovers` all those below the certificate's height.
    """
    leaf_hashes = [leaf_hash(leaf) for leaf in outcome_leaves]
    return encode(
        Receipt(
            RECEIPT_FORMAT,
            genesis,
            block.header_raw,
            block.body[index],
            index,
            inclusion_proof(block.leaf_hashes, index),
            outcome_leaves[index],
            inclusion_proof(leaf_hashes, index),
            tuple(seals),
            tuple(handovers),
            certificate,
        )
    )


def verify_receipt(raw: bytes, network_id: bytes) -> VerifiedReceipt:
    """Check every step from the network's id to the payment and its outcome; raises ReceiptInvalid."""
    try:
        return _verified(decode(raw, Receipt), network_id)
    except Malformed as error:
        raise ReceiptInvalid(error.reason) from error
    except (BadSignature, InvalidCertificate, ProofInvalid) as error:
        raise ReceiptInvalid(str(error)) from error


def _verified(receipt: Receipt, network_id: bytes) -> VerifiedReceipt:
    if network_id_of(receipt.genesis) != network_id:
        raise ReceiptInvalid(f"it is of another network than {network_id.hex()}")
    genesis = decode_genesis(receipt.genesis)
    header = decode(receipt.header, Header)
    certified = verify_certified(receipt.genesis, receipt.handovers, receipt.certificate, receipt.seals)
    sealed = _follow_seals(receipt, header)
    _check(header.network_id == network_id, "the block is of another network")
    _check(sealed.header_hash == block_hash(receipt.header), "the seal is of another block")
    envelope = decode_envelope(receipt.envelope, ANY_LIMITS)
    _check(envelope.payload.network_id == network_id, "the transaction was signed for another network")
    verify_envelope(envelope)
    verify_inclusion(envelope.leaf_hash, receipt.index, header.tx_count, receipt.tx_path, header.tx_root)
    leaf = leaf_hash(receipt.outcome_leaf)
    verify_inclusion(leaf, receipt.index, header.tx_count, receipt.outcome_path, sealed.outcomes_root)
    return _result(receipt, genesis, header, envelope, decode_outcome_leaf(receipt.outcome_leaf), certified)


def _follow_seals(receipt: Receipt, header: Header) -> Seal:
    """The seal of the block itself, from which a chain of parents leads to the certificate's seal."""
    _check(len(receipt.seals) <= MAX_SEALS, f"it carries more than {MAX_SEALS} seals")
    raws = [*receipt.seals, receipt.certificate.seal]
    seals, epoch = [decode_seal(raw) for raw in raws], header.epoch
    _check(seals[0].epoch == epoch, "seal 0 is of another epoch")
    for offset, seal in enumerate(seals):
        _check(seal.network_id == header.network_id, f"seal {offset} is of another network")
        _check(seal.epoch >= epoch, f"seal {offset} is of an earlier epoch")
        epoch = seal.epoch
        _check(seal.height == header.height + offset, f"seal {offset} is of height {seal.height}")
        if offset:
            parent = seal_hash(raws[offset - 1])
            _check(seal.parent_seal_hash == parent, f"seal {offset} names another parent")
    return seals[0]


def _check(good: bool, otherwise: str) -> None:
    if not good:
        raise ReceiptInvalid(otherwise)


def _result(
    receipt: Receipt,
    genesis: Genesis,
    header: Header,
    envelope: Envelope,
    leaf: OutcomeLeaf,
    certified: Seal,
) -> VerifiedReceipt:
    first = leaf.duplicate_of[0] if leaf.duplicate_of else None
    return VerifiedReceipt(
        network_name=genesis.name,
        network_id=header.network_id,
        envelope=envelope,
        height=header.height,
        index=receipt.index,
        time_ms=header.time_ms,
        outcome=leaf.outcome,
        duplicate_of=None if first is None else (first.height, first.index),
        certified_height=certified.height,
        signed_by=tuple(signature.node for signature in receipt.certificate.signatures),
    )
