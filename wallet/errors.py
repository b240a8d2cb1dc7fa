"""The errors of the wallet: each says what happened, to which thing, and what to do next.

It must not know where its errors are shown; the command line and programs read `remedy` and the fields.
"""

from __future__ import annotations


class WalletError(Exception):
    """Something that the wallet could not do. `remedy` is one sentence: what to do next."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} {remedy}")
        self.what = what
        self.remedy = remedy


class WrongPassphrase(WalletError):
    """The passphrase doesn't open the keystore, or the file was changed since it was written."""


class KeystoreMalformed(WalletError):
    """The file is not a keystore that this program reads, or its fields are out of bounds."""


class KeystoreExists(WalletError):
    """A keystore is already there; creating one never overwrites."""


class KeystoreMissing(WalletError):
    """There is no keystore at that path."""


class KeystoreChanged(WalletError):
    """Another program wrote the keystore after this one opened it."""


class KeystoreFull(WalletError):
    """The keystore holds as many keys as it may."""


class AliasMalformed(WalletError):
    """The alias is not one that a keystore takes."""


class AliasTaken(WalletError):
    """A key of that alias is already in the keystore."""


class AliasUnknown(WalletError):
    """No key of that alias is in the keystore."""


class KeyMalformed(WalletError):
    """The bytes are not a P-256 private key in PKCS#8, or need another passphrase."""


class PassphraseUnfit(WalletError):
    """The passphrase is empty or too long to be used."""


class LabelMalformed(WalletError):
    """The label of a derived key is empty or too long."""


class IdMalformed(WalletError):
    """The text or the parts don't make a payment id."""


class PaymentMalformed(WalletError):
    """The payment file, or the payment in it, is not well-formed."""


class NotASigner(WalletError):
    """The key is not one of the signers that the payment was built for."""


class NotReachable(WalletError):
    """No node answered in time."""


class ProtocolError(WalletError):
    """What answers at the nodes' URLs doesn't speak the API of a Nostro node."""


class BatchTooLarge(WalletError):
    """More payments, or more bytes of them, than nodes take in one batch."""


class SignaturesMissing(WalletError):
    """The payment is not complete: some of its signers haven't signed."""
