"""Keys: against the independent `ecdsa`, known answers, and the forms that are refused."""

from hashlib import sha256

import ecdsa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import Malformed
from ledger.keys import (
    KEY_CACHE_SIZE,
    BadSignature,
    _public_key,
    account_id,
    address,
    check_public_key,
    parse_address,
    parse_any_address,
    public_bytes,
    reference_hash,
    sign,
    tagged,
    tagged_hash,
    verify,
)
from tests.unit.ledger.sample import private_key, public_key

ORDER = ecdsa.NIST256p.order
NUMBERS = st.integers(1, ORDER - 1)
FEW = settings(max_examples=10, deadline=None)


def test_rfc_6979_known_answer() -> None:
    """RFC 6979, A.2.5, P-256 with SHA-256 over "sample", its s brought down to low-S."""
    number = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    signature = sign(private_key(number), sha256(b"sample").digest())
    assert signature == r.to_bytes(32, "big") + (ORDER - s).to_bytes(32, "big")


@FEW
@given(NUMBERS, st.binary(min_size=32, max_size=32))
def test_signatures_verify_independently(number: int, digest: bytes) -> None:
    """What is signed here, `ecdsa` accepts, and it is low-S."""
    key = private_key(number)
    signature = sign(key, digest)
    ecdsa.VerifyingKey.from_string(public_bytes(key), curve=ecdsa.NIST256p).verify_digest(signature, digest)
    assert int.from_bytes(signature[32:], "big") <= ORDER // 2
    verify(public_bytes(key), digest, signature)


@FEW
@given(NUMBERS, st.binary(min_size=32, max_size=32))
def test_independent_signatures_verify(number: int, digest: bytes) -> None:
    """What `ecdsa` signs, in low-S, is accepted here; its high-S twin is refused."""
    signer = ecdsa.SigningKey.from_secret_exponent(number, curve=ecdsa.NIST256p)
    low = signer.sign_digest_deterministic(digest, sha256, ecdsa.util.sigencode_string_canonize)
    verify(public_key(number), digest, low)
    high = low[:32] + (ORDER - int.from_bytes(low[32:], "big")).to_bytes(32, "big")
    with pytest.raises(BadSignature, match="high-S"):
        verify(public_key(number), digest, high)


@FEW
@given(st.integers(0, 511))
def test_one_changed_bit_is_refused(bit: int) -> None:
    """No signature can be altered."""
    digest = sha256(b"one bit").digest()
    signature = bytearray(sign(private_key(5), digest))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSignature):
        verify(public_key(5), digest, bytes(signature))


def test_short_integers_are_encoded_for_openssl() -> None:
    """r and s that begin with a high bit, with none, and with a whole zero byte all verify."""
    firsts = set()
    for number in range(600):
        digest = sha256(number.to_bytes(2, "big")).digest()
        signature = sign(private_key(3), digest)
        verify(public_key(3), digest, signature)
        firsts |= {_first(signature[0]), _first(signature[32])}
    assert firsts == {"zero", "low", "high"}


def _first(byte: int) -> str:
    return "high" if byte > 127 else "low" if byte else "zero"


def test_decoded_keys_are_kept_up_to_a_limit() -> None:
    """The cache of key objects is bounded, and used."""
    digest = bytes(32)
    signature = sign(private_key(9), digest)
    before = _public_key.cache_info()
    for _ in range(2):
        verify(public_key(9), digest, signature)
    after = _public_key.cache_info()
    assert after.maxsize == KEY_CACHE_SIZE == 65_536
    assert after.hits > before.hits


def test_tag_separates_types() -> None:
    """The same bytes under two types have two hashes."""
    assert tagged("seal", b"x") == b"nostro/seal/v1\x00x"
    assert tagged_hash("seal", b"x") == sha256(tagged("seal", b"x")).digest()
    assert tagged_hash("seal", b"x") != tagged_hash("header", b"x")


@FEW
@given(NUMBERS)
def test_every_public_key_is_on_the_curve(number: int) -> None:
    """Keys that OpenSSL makes pass the check."""
    check_public_key(public_bytes(private_key(number)))


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\x04",
        public_key(7)[:-1],
        public_key(7) + b"\x00",
        b"\x03" + public_key(7)[1:33],
        b"\x06" + public_key(7)[1:],
        public_key(7)[:-1] + bytes([public_key(7)[-1] ^ 1]),
        b"\x04" + bytes(64),
        b"\x04" + b"\xff" * 64,
    ],
)
def test_other_keys_are_refused(key: bytes) -> None:
    """Compressed, hybrid, short, long, off the curve, coordinates above the prime."""
    with pytest.raises(Malformed, match="public key"):
        check_public_key(key)
    with pytest.raises(BadSignature):
        verify(key, bytes(32), sign(private_key(7), bytes(32)))


def test_coordinate_above_the_prime_is_refused() -> None:
    """x + p is the same point in arithmetic, and another encoding of it."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    x = 5
    y_squared = (x**3 - 3 * x + int(ecdsa.NIST256p.curve.b())) % prime
    y = pow(y_squared, (prime + 1) // 4, prime)
    assert y * y % prime == y_squared
    check_public_key(b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big"))
    with pytest.raises(Malformed, match="not a point"):
        check_public_key(b"\x04" + (x + prime).to_bytes(32, "big") + y.to_bytes(32, "big"))


@given(st.binary(min_size=20, max_size=20))
def test_address_round_trip(digest: bytes) -> None:
    """An address gives back the account id, in lower and upper case."""
    account = b"\x00" + digest
    text = address("nostrodev", account)
    assert text.startswith("nostrodev1")
    assert parse_address(text, "nostrodev") == account
    assert parse_any_address(text.upper()) == ("nostrodev", account)


def test_address_of_another_network_says_so() -> None:
    """The commonest mistake has its own words."""
    text = address("nostrodev", bytes(21))
    with pytest.raises(Malformed, match="network 'nostrodev', this one is 'nostro'"):
        parse_address(text, "nostro")


@given(st.data())
def test_one_wrong_character_is_noticed(data: st.DataObject) -> None:
    """The checksum finds every single error."""
    text = address("nostrodev", bytes(21))
    place = data.draw(st.integers(10, len(text) - 1))
    letter = data.draw(
        st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l").filter(lambda one: one != text[place])
    )
    with pytest.raises(Malformed, match="checksum"):
        parse_any_address(text[:place] + letter + text[place + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nostrodev",
        "nostrodev1",
        "Nostrodev1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqsndq0h",
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "é" * 50,
    ],
)
def test_other_texts_are_no_addresses(text: str) -> None:
    """Empty, mixed case, other checksums and other lengths."""
    with pytest.raises(Malformed, match="copy it again"):
        parse_any_address(text)


@pytest.mark.parametrize("account", [bytes(20), bytes(22), b"\x01" + bytes(20)])
def test_only_account_ids_have_addresses(account: bytes) -> None:
    """21 bytes of version 0."""
    with pytest.raises(Malformed, match="21 bytes"):
        address("nostrodev", account)


def test_account_id_depends_on_each_part() -> None:
    """Another member, asset or transaction opens another account."""
    ids = {
        account_id("a", "EUR", bytes(16)),
        account_id("b", "EUR", bytes(16)),
        account_id("a", "USD", bytes(16)),
        account_id("a", "EUR", bytes(15) + b"\x01"),
    }
    assert len(ids) == 4
    assert {(len(one), one[0]) for one in ids} == {(21, 0)}


def test_reference_takes_a_salt_of_32_bytes() -> None:
    """A short salt would let the data be guessed."""
    assert reference_hash(bytes(32), b"x") != reference_hash(b"\x01" + bytes(31), b"x")
    for salt in (bytes(31), bytes(33)):
        with pytest.raises(Malformed, match="32 bytes"):
            reference_hash(salt, b"x")
