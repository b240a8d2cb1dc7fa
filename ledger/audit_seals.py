"""What an audit checks of signed results: a node's own seals, certificates, and the hand-overs among them.

Must not know how a block is executed, nor where the chain is kept.
"""

from __future__ import annotations

from ledger.audit_report import ChainReader, Finding
from ledger.audit_work import Work
from ledger.certificate import (
    Certifiers,
    InvalidCertificate,
    Seal,
    decode_certificate,
    decode_seal,
    seal_hash,
    verify_certificate,
)
from ledger.codec import Malformed
from ledger.state import Executed


def check_seals(work: Work, chain: ChainReader, executed: Executed, own_node: str | None) -> None:
    """Check what was signed of a block just executed."""
    certifiers = executed.registry.certifiers_at(executed.height)
    own = chain.own_seal(executed.height)
    if own is not None:
        work.count("own_seals")
        _compare_seal(work, "own_seal_differs", executed, own[0])
    if own_node is not None:
        _check_own(work, executed.height, own_node, certifiers.key_of(own_node), own)
    raw = chain.certificate(executed.height)
    if raw is not None:
        _check_certificate(work, executed, certifiers, raw)
    recovery = executed.registry.recoveries.get(executed.height)
    if recovery is not None:
        _pass_over(work, chain, recovery.certified_height)
    if executed.certifiers != certifiers and work.certified != executed.height:
        work.uncertified_handovers.append(executed.height)


def _pass_over(work: Work, chain: ChainReader, certified: int) -> None:
    """A recovery hands over from a certified height, whatever passed on above it."""
    work.uncertified_handovers = [height for height in work.uncertified_handovers if height < certified]
    if chain.certificate(certified) is None:
        work.uncertified_handovers.append(certified)


def _check_own(
    work: Work, height: int, node: str, key: bytes | None, own: tuple[bytes, bytes] | None
) -> None:
    """A certifier signs every height that it executes, in one write with the rows; nobody else signs any."""
    if own is None and key is not None:
        work.found(
            "own_seal_missing", height, None, f"node {node} has executed this height and not sealed it"
        )
    elif own is not None and key is None:
        work.found(
            "own_seal_unexpected", height, None, f"node {node} is no certifier, yet it sealed this height"
        )
    elif own is not None and key is not None:
        what = f"the seal's signature is not by node {node}'s key {key.hex()}"
        otherwise = Finding("own_seal_signature_bad", height, None, what)
        work.expect_signature((key, seal_hash(own[0]), own[1]), otherwise)


def _check_certificate(work: Work, executed: Executed, certifiers: Certifiers, raw: bytes) -> None:
    work.count("certificates")
    try:
        certificate = decode_certificate(raw)
        _compare_seal(work, "certificate_differs", executed, certificate.seal)
        verify_certificate(certificate, certifiers)
        if certificate.seal == executed.seal_raw:
            work.certified = executed.height
    except (Malformed, InvalidCertificate) as error:
        work.found("certificate_invalid", executed.height, None, str(error))


def check_handovers(work: Work) -> None:
    """Every hand-over below the last good certificate needs its own: nothing later is proved without."""
    for height in work.uncertified_handovers:
        if height < work.certified:
            what = "others begin to certify after this height, and no certificate of it proves their right"
            work.found("handover_uncertified", height, None, what)


def _compare_seal(work: Work, code: str, executed: Executed, raw: bytes) -> None:
    if raw == executed.seal_raw:
        return
    try:
        seal = decode_seal(raw)
    except Malformed as error:
        work.found(code, executed.height, None, f"the seal cannot be read: {error}")
        return
    wrong = [name for name in Seal.__struct_fields__ if getattr(seal, name) != getattr(executed.seal, name)]
    work.found(code, executed.height, None, f"the seal differs from the replay in {', '.join(wrong)}")
