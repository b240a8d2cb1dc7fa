"""Hand-overs: followed from genesis to whoever certifies now, and nowhere else."""

import pytest
from msgspec.structs import replace

from ledger.certificate import Certifiers, InvalidCertificate, decode_seal, encode_seal
from ledger.codec import Malformed
from ledger.handovers import Handover, RecoveryProof, verify_certified, verify_handovers
from tests.unit.ledger import sample

FIRST, SECOND = sample.HANDED_OVER
ALPHA, BETA, GAMMA, DELTA = "node-alpha", "node-beta", "node-gamma", "node-delta"


def _foreign() -> Handover:
    """A hand-over of another network by the same keys."""
    certificate = FIRST.certificate
    seal = replace(decode_seal(certificate.seal), network_id=bytes(32))
    return Handover(sample.certificate(encode_seal(seal)), FIRST.certifiers)


def test_handovers_are_followed_from_genesis_on() -> None:
    """Each is certified by those before it, and gives those after it; none leaves those of genesis."""
    genesis = sample.genesis_raw()
    assert verify_handovers(genesis, ())[:3] == (0, 0, sample.certifiers())
    assert verify_handovers(genesis, [FIRST])[:3] == (1, 0, FIRST.certifiers)
    assert verify_handovers(genesis, [FIRST, SECOND])[:3] == (2, 0, SECOND.certifiers)


@pytest.mark.parametrize(
    ("handovers", "words"),
    [
        ([SECOND], "node-delta is not a certifier"),
        ([FIRST, sample.handover(2, (DELTA,), (ALPHA, DELTA))], "2 nodes signed, 3 are needed"),
        (
            [FIRST, sample.handover(1, (DELTA,), (ALPHA, BETA, DELTA))],
            "height 1 does not follow on the hand-over at height 1",
        ),
        ([SECOND, FIRST], "node-delta is not a certifier"),
        (
            [sample.handover(0, (DELTA,), (ALPHA, BETA))],
            "height 0 does not follow on the hand-over at height 0",
        ),
        ([Handover(FIRST.certificate, SECOND.certifiers)], "height 1 is to other certifiers"),
        ([Handover(FIRST.certificate, Certifiers(1, FIRST.certifiers.nodes))], "is to other certifiers"),
        ([_foreign()], "is of another network"),
        (
            [sample.handover(1, (ALPHA, BETA, GAMMA), (ALPHA, BETA))],
            "height 1 is to those who certify already",
        ),
        (
            [FIRST, sample.handover(2, (ALPHA, BETA, GAMMA, DELTA), (ALPHA, BETA, GAMMA))],
            "height 2 is to those who certify already",
        ),
        ([FIRST, SECOND, sample.handover(3, (ALPHA,), (ALPHA, BETA))], "2 nodes|is not a certifier"),
    ],
)
def test_handovers_that_lead_astray(handovers: list[Handover], words: str) -> None:
    """Signed by others than those before, out of order, foreign, to others than are named, to the same."""
    with pytest.raises(InvalidCertificate, match=words):
        verify_handovers(sample.genesis_raw(), handovers)


def test_what_is_no_genesis_begins_nothing() -> None:
    """Hand-overs lead nowhere without the genesis that they start from."""
    with pytest.raises(Malformed):
        verify_handovers(b"\x90", [FIRST])


def _of_others(recovery: Handover) -> Handover:
    """A recovery that one member alone signs, before an electorate of nobody else."""
    proof = RecoveryProof(sample.electorate("alpha"), recovery.recovery[0].envelope)
    return Handover(recovery.certificate, recovery.certifiers, (proof,))


def test_a_recovery_hands_over_to_whom_most_members_name() -> None:
    """Two of three members name the voter; one alone doesn't, nor before members of its own choice."""
    genesis, good = sample.genesis_raw(), sample.recovery()
    assert verify_handovers(genesis, [good]) == (2, 1, good.certifiers, {2: bytes(32)})
    alone = sample.recovery(signers=(10,))
    with pytest.raises(InvalidCertificate, match="not signed by more than half"):
        verify_handovers(genesis, [alone])
    with pytest.raises(InvalidCertificate, match="judged by other members"):
        verify_handovers(genesis, [_of_others(alone)])


def test_a_rehearsed_decision_hands_over_on_a_drills_copies_alone() -> None:
    """Whoever doesn't rehearse refuses it for ever, though most members have signed it."""
    genesis, rehearsed = sample.genesis_raw(), sample.recovery(rehearsal=True)
    assert verify_handovers(genesis, [rehearsed], rehearsal=True).epoch == 1
    with pytest.raises(InvalidCertificate, match="its decision is a rehearsal's"):
        verify_handovers(genesis, [rehearsed])


def test_what_is_proved_across_a_recovery_has_the_block_that_it_goes_on_from() -> None:
    """Seals of the height that the members named are of the block that they named."""
    genesis, recovery = sample.genesis_raw(), sample.recovery(header_hash=bytes(range(32)))
    certificate = sample.certificate(sample.seal(3, epoch=1), [GAMMA])
    named = sample.seal(2, header_hash=bytes(range(32)))
    assert verify_certified(genesis, [recovery], certificate, [named]).height == 3
    with pytest.raises(InvalidCertificate, match="a recovery goes on from another block 2"):
        verify_certified(genesis, [recovery], certificate, [sample.seal(2)])
