"""The keystore's format: one JSON document, one scrypt, one AES-256-GCM over the whole set of private keys.

Layout (version 1): a header readable by anyone (scrypt's parameters and salt, the nonce, and each key's alias
and public key), which is the associated data of the encryption, and the ciphertext of the 32-byte private
scalars in the header's order. So a changed alias, public key or parameter is found on opening.
It must not know files or passphrase prompts: bytes in, bytes out; randomness arrives as arguments.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from wallet.errors import AliasMalformed, KeystoreMalformed, PassphraseUnfit, WrongPassphrase

MOST_KEYS = 10_000
MOST_FILE_BYTES = 4 * 1024 * 1024
"""10,000 keys with the longest aliases take about 2.8 MB."""
MOST_PASSPHRASE_BYTES = 1_024
LEAST_SCRYPT_N = 2**10
MOST_SCRYPT_N = 2**20
"""At r = 8 that takes 1 GiB of memory: a file that asks for more is an attack or a mistake."""
MOST_SCRYPT_P = 4
SCRYPT_R = 8
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
SCALAR_BYTES = 32
PUBLIC_KEY_BYTES = 65
ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DOMAIN = b"nostro/keystore/v1\x00"


class ScryptCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What opening costs (RFC 7914); memory is 128 * n * r bytes. By default 128 MiB and under a second."""

    n: int = 2**17
    r: int = SCRYPT_R
    p: int = 1


DEFAULT_COST = ScryptCost()


class PublicEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key as anybody may read it; `public_key` is the uncompressed point in hexadecimal."""

    alias: str
    public_key: str


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of the file but the ciphertext; bytes are base64 in JSON."""

    format: Literal["nostro-keystore"]
    version: Literal[1]
    kdf: Literal["scrypt"]
    cost: ScryptCost
    salt: bytes
    cipher: Literal["aes-256-gcm"]
    nonce: bytes
    keys: tuple[PublicEntry, ...]


class KeystoreFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole document."""

    header: Header
    ciphertext: bytes


def decode(data: bytes, name: str) -> KeystoreFile:
    """The document in `data`, with every field within bounds; `name` is what errors call it.

    Raises KeystoreMalformed. Nothing here is authentic before `unseal` has succeeded.
    """
    if len(data) > MOST_FILE_BYTES:
        raise _malformed(name, f"it is longer than {MOST_FILE_BYTES:,} bytes")
    try:
        file = msgspec.json.decode(data, type=KeystoreFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(name, str(error)) from error
    fault = _cost_fault(file.header.cost) or _size_fault(file) or _entries_fault(file.header.keys)
    if fault:
        raise _malformed(name, fault)
    return file


def encode(file: KeystoreFile) -> bytes:
    """The document's bytes, indented for a person to read, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def derive_file_key(passphrase: str, header_salt: bytes, cost: ScryptCost) -> bytes:
    """The 32-byte encryption key: the one slow step. Raises PassphraseUnfit, KeystoreMalformed.

    The passphrase is taken in Unicode's normal form C: the same letters typed on another machine open it.
    """
    data = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    if not 1 <= len(data) <= MOST_PASSPHRASE_BYTES:
        raise PassphraseUnfit(
            f"A passphrase has 1 to {MOST_PASSPHRASE_BYTES:,} bytes; this one has {len(data):,}.",
            "Choose another passphrase.",
        )
    fault = _cost_fault(cost)
    if fault:
        raise _malformed("the keystore", fault)
    return Scrypt(salt=header_salt, length=32, n=cost.n, r=cost.r, p=cost.p).derive(data)


def seal(
    file_key: bytes, salt: bytes, nonce: bytes, cost: ScryptCost, keys: Mapping[str, tuple[bytes, bytes]]
) -> KeystoreFile:
    """Encrypt `keys` (alias to public key and 32-byte scalar), in the order of their aliases.

    `nonce` must be fresh for each call with the same `file_key`: AES-GCM is broken by a repeated one.
    """
    ordered = sorted(keys.items())
    entries = tuple(PublicEntry(alias, public_key.hex()) for alias, (public_key, _) in ordered)
    header = Header("nostro-keystore", 1, "scrypt", cost, salt, "aes-256-gcm", nonce, entries)
    scalars = b"".join(scalar for _, (_, scalar) in ordered)
    return KeystoreFile(header, AESGCM(file_key).encrypt(nonce, scalars, _associated_data(header)))


def unseal(file: KeystoreFile, file_key: bytes, name: str) -> dict[str, tuple[bytes, bytes]]:
    """The keys (alias to public key and scalar). Raises WrongPassphrase, also for a changed header."""
    header = file.header
    try:
        scalars = AESGCM(file_key).decrypt(header.nonce, file.ciphertext, _associated_data(header))
    except InvalidTag as error:
        raise WrongPassphrase(
            f"The passphrase doesn't open {name}, or the file was changed since it was written.",
            "Check the passphrase; if it is right, restore the file from a backup.",
        ) from error
    pieces = (scalars[at : at + SCALAR_BYTES] for at in range(0, len(scalars), SCALAR_BYTES))
    return {
        entry.alias: (bytes.fromhex(entry.public_key), scalar)
        for entry, scalar in zip(header.keys, pieces, strict=True)
    }


def check_alias(alias: str) -> None:
    """Raises AliasMalformed unless `alias` matches ALIAS in full."""
    if not ALIAS.fullmatch(alias):
        raise AliasMalformed(
            f"{alias!r} is not an alias.",
            "Use 1 to 64 of a-z, 0-9, '.', '_' and '-', with a letter or a digit first.",
        )


def check_cost(cost: ScryptCost) -> None:
    """Raises KeystoreMalformed unless a keystore of this cost could be opened again."""
    fault = _cost_fault(cost)
    if fault:
        raise _malformed("the keystore to be made", fault)


def _associated_data(header: Header) -> bytes:
    return _DOMAIN + msgspec.json.encode(header)


def _cost_fault(cost: ScryptCost) -> str | None:
    if not LEAST_SCRYPT_N <= cost.n <= MOST_SCRYPT_N or cost.n & (cost.n - 1):
        return f"scrypt's n is {cost.n}, not a power of two from {LEAST_SCRYPT_N:,} to {MOST_SCRYPT_N:,}"
    if cost.r != SCRYPT_R:
        return f"scrypt's r is {cost.r}, not {SCRYPT_R}"
    if not 1 <= cost.p <= MOST_SCRYPT_P:
        return f"scrypt's p is {cost.p}, not 1 to {MOST_SCRYPT_P}"
    return None


def _size_fault(file: KeystoreFile) -> str | None:
    header = file.header
    if len(header.salt) != SALT_BYTES or len(header.nonce) != NONCE_BYTES:
        return f"its salt or its nonce doesn't have {SALT_BYTES} or {NONCE_BYTES} bytes"
    if len(header.keys) > MOST_KEYS:
        return f"it has {len(header.keys):,} keys, over {MOST_KEYS:,}"
    if len(file.ciphertext) != len(header.keys) * SCALAR_BYTES + TAG_BYTES:
        return (
            f"its ciphertext has {len(file.ciphertext):,} bytes, which doesn't fit {len(header.keys):,} keys"
        )
    return None


def _entries_fault(entries: Sequence[PublicEntry]) -> str | None:
    previous = ""
    for entry in entries:
        if not ALIAS.fullmatch(entry.alias):
            return f"{entry.alias!r} is not an alias"
        if entry.alias <= previous:
            return f"the alias {entry.alias!r} is out of order or there twice"
        if not re.fullmatch(r"04[0-9a-f]{128}", entry.public_key):
            return (
                f"the public key of {entry.alias!r} is not 65 bytes of an uncompressed point in hexadecimal"
            )
        previous = entry.alias
    return None


def _malformed(name: str, fault: str) -> KeystoreMalformed:
    return KeystoreMalformed(
        f"{name} is not a keystore that can be read: {fault}.", "Restore it from a backup."
    )
