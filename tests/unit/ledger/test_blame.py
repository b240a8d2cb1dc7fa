"""Blame: what two contradicting messages show, and everything that is no evidence."""

from typing import Any

import pytest
from msgspec.structs import replace

from ledger.blame import Fault, NotEvidence, SignedMessage, contradicting_headers, contradicting_seals
from ledger.block import block_hash
from ledger.certificate import decode_seal, encode_seal, seal_hash
from ledger.codec import encode
from ledger.keys import sign
from tests.unit.ledger import sample

ALPHA = 13
KEY = sample.public_key(ALPHA)
HEADER = sample.block([sample.envelope()]).header
SEAL = decode_seal(sample.seal(5))


def _header(key: int = ALPHA, **changes: Any) -> SignedMessage:
    raw = encode(replace(HEADER, **changes))
    return SignedMessage(raw, sign(sample.private_key(key), block_hash(raw)))


def _seal(key: int = ALPHA, **changes: Any) -> SignedMessage:
    raw = encode_seal(replace(SEAL, **changes))
    return SignedMessage(raw, sign(sample.private_key(key), seal_hash(raw)))


def test_two_blocks_of_one_place_are_equivocation() -> None:
    """The same term, height and process start, and yet another block."""
    assert contradicting_headers(_header(), _header(tx_root=bytes(32)), KEY) is Fault.EQUIVOCATION


def test_two_starts_of_a_process_are_amnesia() -> None:
    """A disk rolled back between two starts can do this; it is not called a lie."""
    assert contradicting_headers(_header(), _header(boot=bytes(16)), KEY) is Fault.AMNESIA


@pytest.mark.parametrize(
    "changes",
    [{"term": 2}, {"height": 2}, {"epoch": 1}, {"network_id": bytes(32)}, {"proposer": "node-beta"}],
)
def test_headers_of_different_places_are_no_evidence(changes: dict[str, Any]) -> None:
    """An honest node leads many terms and heights."""
    with pytest.raises(NotEvidence, match=f"differ in {next(iter(changes))}"):
        contradicting_headers(_header(), _header(**changes), KEY)


def test_one_header_signed_twice_is_no_evidence() -> None:
    """Whatever the signatures."""
    with pytest.raises(NotEvidence, match="are the same"):
        contradicting_headers(_header(), _header(), KEY)


def test_the_accused_must_have_signed_both() -> None:
    """Neither message may be somebody else's."""
    for pair in ((_header(23), _header(boot=bytes(16))), (_header(), _header(23, boot=bytes(16)))):
        with pytest.raises(NotEvidence, match="not signed by the accused"):
            contradicting_headers(*pair, KEY)
    for seals in ((_seal(23), _seal(state_root=b"s" * 32)), (_seal(), _seal(23, state_root=b"s" * 32))):
        with pytest.raises(NotEvidence, match="not signed by the accused"):
            contradicting_seals(*seals, KEY)


def test_two_results_of_one_block_are_a_divergence() -> None:
    """Equal headers, other roots."""
    assert contradicting_seals(_seal(), _seal(state_root=b"s" * 32), KEY) is Fault.DIVERGENCE


def test_two_blocks_of_one_height_are_a_fork() -> None:
    """Other headers at one height."""
    assert contradicting_seals(_seal(), _seal(header_hash=b"h" * 32), KEY) is Fault.FORK


@pytest.mark.parametrize("changes", [{"height": 6}, {"epoch": 1}, {"network_id": bytes(32)}])
def test_seals_of_different_places_are_no_evidence(changes: dict[str, Any]) -> None:
    """A node seals every height."""
    with pytest.raises(NotEvidence, match=f"differ in {next(iter(changes))}"):
        contradicting_seals(_seal(), _seal(**changes), KEY)


def test_one_seal_signed_twice_is_no_evidence() -> None:
    """Seals are sent again and again."""
    with pytest.raises(NotEvidence, match="are the same"):
        contradicting_seals(_seal(), _seal(), KEY)


def test_other_bytes_are_no_messages() -> None:
    """Truncated messages, and messages of the other type."""
    with pytest.raises(NotEvidence, match="not a header"):
        contradicting_headers(SignedMessage(b"\x90", bytes(64)), _header(), KEY)
    with pytest.raises(NotEvidence, match="not a header"):
        contradicting_headers(_header(), _seal(), KEY)
    with pytest.raises(NotEvidence, match="not a seal"):
        contradicting_seals(_seal(), _header(), KEY)
