"""The keys of a provisioned network's banks and issuer, opened from their folders.

It must not know what is signed with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from cli.settle.signing import BankKeys
from node.provision import CUSTOMERS, ISSUANCE, TELLER, ProvisionedNetwork
from wallet.keystore import open_keystore


def bank_keys(
    network: ProvisionedNetwork, banks: Iterable[str], passphrase: str, progress: Callable[[int, int], None]
) -> dict[str, BankKeys]:
    """The teller's and the customers' key of each bank; one scrypt a bank. Raises WalletError."""
    names = sorted(banks)
    keys: dict[str, BankKeys] = {}
    for done, bank in enumerate(names):
        progress(done, len(names))
        keystore = open_keystore(network.keystore(bank), passphrase)
        keys[bank] = BankKeys(keystore.private_key(TELLER), keystore.private_key(CUSTOMERS))
    progress(len(names), len(names))
    return keys


def issuance_key(network: ProvisionedNetwork, issuer: str, passphrase: str) -> EllipticCurvePrivateKey:
    """The key that rules the issuer's issuance accounts. Raises WalletError."""
    return open_keystore(network.keystore(issuer), passphrase).private_key(ISSUANCE)
