"""How the right to certify passes on: from genesis's nodes, by one certified hand-over after another.

Who certifies a height is named by the seal before it. So where that changes, those before hand over to those
after with the certificate of that seal. Where they are lost, the members whom the last certified seal names
do so instead, by the decision to recover. Whoever follows these hand-overs trusts the network's id alone.
It must not know where certificates are kept. Layouts: formats.md, section 9.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

from msgspec import Meta

from ledger.bodies import Recover
from ledger.certificate import (
    Certificate,
    Certifier,
    Certifiers,
    InvalidCertificate,
    Seal,
    certifiers_hash,
    decode_certificate,
    decode_seal,
    verify_certificate,
)
from ledger.codec import Malformed, Record
from ledger.electorate import Electorate, electorate_hash
from ledger.envelope import EnvelopeLimits, decode_envelope, verify_envelope
from ledger.genesis import FIRST_EPOCH, Genesis, decode_genesis
from ledger.genesis import network_id as network_id_of
from ledger.keys import BadSignature
from ledger.parameters import PARAMETER_RANGES
from ledger.recovery import RECOVERY_KINDS
from ledger.registry import Registry

ANY_LIMITS: Final = EnvelopeLimits(PARAMETER_RANGES["envelope_bytes"][1], PARAMETER_RANGES["signers"][1])
"""The limits of an envelope on any network: which were in force, whoever checks a proof can't know."""


class RecoveryProof(Record, frozen=True):
    """The members whom a certified seal names, and the decision to recover that they have signed."""

    electorate: Electorate
    envelope: bytes


class Handover(Record, frozen=True):
    """The last certificate by those who certified so far, and who certifies after it.

    Without `recovery` these are named by the certificate's seal, and certify from the height after it on;
    else by the decision to recover, and certify from the height after the one that it goes on from.
    """

    certificate: Certificate
    certifiers: Certifiers
    recovery: Annotated[tuple[RecoveryProof, ...], Meta(max_length=1)] = ()


class HandedOver(NamedTuple):
    """To whom hand-overs lead: the certifiers of the heights above `height`, in that epoch.

    `recovered` has, by its height, the hash of each block that a recovery among them goes on from.
    """

    height: int
    epoch: int
    certifiers: Certifiers
    recovered: Mapping[int, bytes] = MappingProxyType({})


class HandoverMissing(Exception):
    """The certificate of a hand-over is not held; `height` is that of the hand-over."""

    def __init__(self, height: int) -> None:
        super().__init__(f"the certificate of height {height}, at which others begin to certify, is not held")
        self.height = height


def genesis_certifiers(genesis: Genesis) -> Certifiers:
    """The certifiers that genesis names: all its nodes, under its rule."""
    nodes = tuple(Certifier(node.id, node.member, node.key) for node in genesis.nodes)
    return Certifiers(genesis.parameters.certificate_rule, nodes)


def verify_handovers(
    genesis_raw: bytes, handovers: Sequence[Handover], *, rehearsal: bool = False
) -> HandedOver:
    """To whom these hand-overs lead from genesis; raises InvalidCertificate.

    Malformed for bytes that are no genesis. Each must be certified by those before it, name those after
    it, who are others unless it is a recovery, and be of a greater height. With `rehearsal`, which a drill
    gives for its own copies, a rehearsed decision hands over too.
    """
    network_id = network_id_of(genesis_raw)
    reached = HandedOver(0, FIRST_EPOCH, genesis_certifiers(decode_genesis(genesis_raw)))
    for handover in handovers:
        seal = certified_by(network_id, reached, handover.certificate)
        named, height, epoch, recovered = seal.certifiers_hash, seal.height, seal.epoch, reached.recovered
        for proof in handover.recovery:
            body = _decided(proof, seal, rehearsal)
            named, height, epoch = certifiers_hash(body.certifiers), body.height, body.epoch
            recovered = MappingProxyType({**recovered, height: body.header_hash})
        if named != certifiers_hash(handover.certifiers):
            raise InvalidCertificate(f"the hand-over at height {seal.height} is to other certifiers")
        # Every seal names who goes on: without this, all certificates could be passed as hand-overs.
        if not handover.recovery and handover.certifiers == reached.certifiers:
            raise InvalidCertificate(f"the hand-over at height {seal.height} is to those who certify already")
        reached = HandedOver(height, epoch, handover.certifiers, recovered)
    return reached


def verify_certified(
    genesis_raw: bytes, handovers: Sequence[Handover], certificate: Certificate, seals: Sequence[bytes] = ()
) -> Seal:
    """The seal of a certificate by those to whom these hand-overs lead from genesis.

    `seals` lead to it: none may be of another block than one that a recovery among the hand-overs goes on
    from. Raises InvalidCertificate, and Malformed for bytes that are no genesis, or no seal.
    """
    reached = verify_handovers(genesis_raw, handovers)
    for seal in map(decode_seal, seals):
        check_recovered(reached, seal)
    return certified_by(network_id_of(genesis_raw), reached, certificate)


def check_recovered(reached: HandedOver, seal: Seal) -> None:
    """Raises InvalidCertificate where a recovery goes on from another block of the seal's height."""
    if reached.recovered.get(seal.height, seal.header_hash) != seal.header_hash:
        raise InvalidCertificate(f"a recovery goes on from another block {seal.height}")


def handover_heights(registry: Registry, height: int) -> tuple[int, ...]:
    """The heights of the certificates that lead from genesis to the certifiers of `height`, ascending."""
    return tuple(certified for certified, _ in _steps(registry, height))


def handovers_below(
    registry: Registry, height: int, certificate: Callable[[int], bytes | None]
) -> tuple[Handover, ...]:
    """The hand-overs that lead to the certifiers of `height`; `certificate` gives those that are held.

    Raises HandoverMissing.
    """
    found = []
    for certified, from_height in _steps(registry, height):
        raw = certificate(certified)
        if raw is None:
            raise HandoverMissing(certified)
        proof = _proof(registry, from_height)
        found.append(Handover(decode_certificate(raw), registry.certifiers_at(from_height), proof))
    return tuple(found)


def _steps(registry: Registry, height: int) -> list[tuple[int, int]]:
    """(height of the certificate, first height of the new certifiers) of each hand-over, ascending.

    Found from the end: what a recovery passes over hands over to nobody.
    """
    steps = []
    for from_height, _ in reversed(registry.certifiers[1:]):
        if from_height <= height:
            recovery = registry.recoveries.get(from_height)
            height = from_height - 1 if recovery is None else recovery.certified_height
            steps.append((height, from_height))
    return steps[::-1]


def _proof(registry: Registry, from_height: int) -> tuple[RecoveryProof, ...]:
    recovery = registry.recoveries.get(from_height)
    if recovery is None:
        return ()
    return (RecoveryProof(registry.electorate_at(recovery.certified_height), recovery.envelope),)


def certified_by(network_id: bytes, reached: HandedOver, certificate: Certificate) -> Seal:
    """The seal of a certificate by those to whom hand-overs have led; raises InvalidCertificate."""
    seal = verify_certificate(certificate, reached.certifiers)
    if seal.network_id != network_id:
        raise InvalidCertificate(f"the certificate of height {seal.height} is of another network")
    if seal.height <= reached.height:
        raise InvalidCertificate(
            f"height {seal.height} does not follow on the hand-over at height {reached.height}"
        )
    if seal.epoch != reached.epoch:
        raise InvalidCertificate(f"height {seal.height} is of epoch {seal.epoch}, not {reached.epoch}")
    return seal


def _decided(proof: RecoveryProof, seal: Seal, rehearsal: bool) -> Recover:
    """The decision to recover on top of a certified seal, by a majority of the members that it names."""
    place = f"the recovery above height {seal.height}"
    if electorate_hash(proof.electorate) != seal.electorate_hash:
        raise InvalidCertificate(f"{place} is judged by other members than the seal names")
    try:
        envelope = decode_envelope(proof.envelope, ANY_LIMITS, RECOVERY_KINDS)
        verify_envelope(envelope)
    except (Malformed, BadSignature) as error:
        raise InvalidCertificate(f"{place}: its decision: {error}") from error
    body = envelope.body
    if not isinstance(body, Recover) or envelope.payload.network_id != seal.network_id:
        raise InvalidCertificate(f"{place}: its decision is none of this network")
    if body.certified_height != seal.height or body.epoch <= seal.epoch:
        raise InvalidCertificate(f"{place}: its decision builds on height {body.certified_height}")
    if body.height == seal.height and body.header_hash != seal.header_hash:
        raise InvalidCertificate(f"{place}: its decision goes on from another block {seal.height}")
    if body.rehearsal and not rehearsal:
        raise InvalidCertificate(f"{place}: its decision is a rehearsal's, of a drill")
    if not proof.electorate.has_majority(frozenset(envelope.payload.signers)):
        raise InvalidCertificate(f"{place} is not signed by more than half of the members")
    return body
