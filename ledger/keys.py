"""P-256 keys: tagged hashes, signatures in the one accepted form, account ids and their addresses.

It must not know where private keys are kept, nor what the signed bytes mean. Nothing here makes randomness:
signatures are deterministic (RFC 6979). Layouts: formats.md, section 2.
"""

import hashlib
from functools import lru_cache
from typing import Final

import bech32m.codecs as bech32
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.bech32m import bech32m_text
from ledger.codec import Malformed, encode
from ledger.fields import ACCOUNT_ID_BYTES

KEY_CACHE_SIZE: Final = 65_536
"""Decoded public keys kept: decoding one costs a tenth of a verification."""
ADDRESS_CACHE_SIZE: Final = 32_768
"""Addresses kept (about 8 MB), those used last: a node names the author's account in every answer."""
PUBLIC_KEY_BYTES: Final = 65
SIGNATURE_BYTES: Final = 64

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PRIME: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_CURVE_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_ZERO: Final = bytes(32)
_ORDER_BYTES: Final = _ORDER.to_bytes(32, "big")
_MAX_S: Final = (_ORDER // 2).to_bytes(32, "big")
_VERIFY: Final = ec.ECDSA(Prehashed(SHA256()))
_SIGN: Final = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)
_ACCOUNT_VERSION: Final = b"\x00"


class BadSignature(Exception):
    """A signature that is not in the accepted form, or does not verify; the text says which."""


def tagged(kind: str, data: bytes) -> bytes:
    """`data` marked with the type of message it is, so that a signature over one type fits no other."""
    return b"nostro/" + kind.encode("ascii") + b"/v1\x00" + data


def tagged_hash(kind: str, data: bytes) -> bytes:
    """SHA-256 of `tagged(kind, data)`: the digest that is signed, and the name of the thing."""
    return hashlib.sha256(b"nostro/" + kind.encode("ascii") + b"/v1\x00" + data).digest()


def verify(key: bytes, digest: bytes, signature: bytes) -> None:
    """Check that `signature` (r ‖ s, 64 bytes, low-S) is by `key` over the SHA-256 `digest`.

    Raises BadSignature. Lets other threads run while it computes; safe to call from several.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise BadSignature(f"a signature is {SIGNATURE_BYTES} bytes, this one has {len(signature)}")
    r, s = signature[:32], signature[32:]
    if not _ZERO < r < _ORDER_BYTES:
        raise BadSignature("the signature's r is not between 1 and the order of P-256")
    if not _ZERO < s <= _MAX_S:
        raise BadSignature(
            "the signature's s is zero or above half the order of P-256 (high-S): sign with low-S"
        )
    try:
        _public_key(key).verify(_der(r, s), digest, _VERIFY)
    except InvalidSignature as error:
        raise BadSignature(f"the signature does not verify against key {key.hex()}") from error
    except ValueError as error:
        raise BadSignature(f"{key.hex()} is not a P-256 public key of 65 bytes") from error


def check_public_key(key: bytes) -> None:
    """Check that `key` is an uncompressed point on P-256; raises Malformed."""
    if len(key) != PUBLIC_KEY_BYTES or key[0] != 4:
        raise Malformed(f"public key {key.hex()}: must be 65 bytes starting with 04 (uncompressed)")
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    on_curve = x < _PRIME and y < _PRIME and (y * y - (x * x - 3) * x - _CURVE_B) % _PRIME == 0
    if not on_curve:
        raise Malformed(f"public key {key.hex()}: not a point on P-256")


def sign(private_key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    """The low-S signature, r ‖ s in 64 bytes, over the 32-byte `digest`; the same each time (RFC 6979)."""
    r, s = decode_dss_signature(private_key.sign(digest, _SIGN))
    return r.to_bytes(32, "big") + min(s, _ORDER - s).to_bytes(32, "big")


def public_bytes(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """The 65-byte uncompressed public key that belongs to `private_key`."""
    return private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def account_id(member: str, asset: str, tx_id: bytes) -> bytes:
    """The 21-byte id of the account that `member` opens for `asset` in the transaction `tx_id`."""
    return _ACCOUNT_VERSION + tagged_hash("account", encode((member, asset, tx_id)))[:20]


def reference_hash(salt: bytes, data: bytes) -> bytes:
    """What the chain holds of `data` kept off it: with the 32-byte `salt` erased, nobody can test a guess."""
    if len(salt) != 32:
        raise Malformed(f"a reference's salt is 32 bytes, this one has {len(salt)}")
    return tagged_hash("reference", salt + data)


@lru_cache(maxsize=ADDRESS_CACHE_SIZE)
def address(network_name: str, account: bytes) -> str:
    """The bech32m text (BIP 350) in which people see the 21-byte account id."""
    if len(account) != ACCOUNT_ID_BYTES or account[:1] != _ACCOUNT_VERSION:
        raise Malformed(f"account id {account.hex()}: must be 21 bytes starting with 00")
    return bech32m_text(network_name, account)


def parse_address(text: str, network_name: str) -> bytes:
    """The account id that `text` shows, which must be of the network `network_name`; raises Malformed."""
    found, account = parse_any_address(text)
    if found != network_name:
        raise Malformed(
            f"address {text}: it is of the network {found!r}, this one is {network_name!r}; "
            "ask the holder for an address on this network"
        )
    return account


def parse_any_address(text: str) -> tuple[str, bytes]:
    """The network's name and the account id that `text` shows; raises Malformed."""
    try:
        network_name, data, encoding = bech32.bech32_decode(text)
        account = bytes(bech32.convertbits(data, 5, 8, False))
    except bech32.DecodeError as error:
        raise Malformed(
            f"address {text!r}: its checksum is wrong; copy it again, whole and unaltered"
        ) from error
    right_form = encoding is bech32.Encoding.BECH32M and len(account) == ACCOUNT_ID_BYTES
    if not right_form or account[:1] != _ACCOUNT_VERSION:
        raise Malformed(f"address {text!r}: it is not an account of this version; copy it again")
    return network_name, account


@lru_cache(maxsize=KEY_CACHE_SIZE)
def _public_key(key: bytes) -> ec.EllipticCurvePublicKey:
    if len(key) != PUBLIC_KEY_BYTES:
        raise ValueError("not the uncompressed form")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)


def _der(r: bytes, s: bytes) -> bytes:
    """The DER form that OpenSSL reads, of two unsigned 32-byte integers, neither of them zero."""
    r, s = r.lstrip(b"\x00"), s.lstrip(b"\x00")
    if r[0] > 0x7F:
        r = b"\x00" + r
    if s[0] > 0x7F:
        s = b"\x00" + s
    return bytes((0x30, len(r) + len(s) + 4, 2, len(r))) + r + bytes((2, len(s))) + s
