"""The keys of a provisioned network's banks and issuer, opened from their folders when one is needed.

It must not know what is signed with them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from cli.progress import progress
from cli.settle.signing import BankKeys
from node.provision import CUSTOMERS, ISSUANCE, TELLER, ProvisionedNetwork
from wallet.keystore import open_keystore


@dataclass(slots=True)
class NetworkKeys:
    """Opens each keystore at most once (one scrypt, a quarter of a second).

    Every method raises WalletError where a keystore can't be opened.
    """

    network: ProvisionedNetwork
    issuer: str
    passphrase: str = field(repr=False)
    _banks: dict[str, BankKeys] = field(default_factory=dict, repr=False)
    _issuance: EllipticCurvePrivateKey | None = field(default=None, repr=False)

    def bank(self, name: str) -> BankKeys:
        """The teller's and the customers' key of a bank."""
        if name not in self._banks:
            keystore = open_keystore(self.network.keystore(name), self.passphrase)
            self._banks[name] = BankKeys(keystore.private_key(TELLER), keystore.private_key(CUSTOMERS))
        return self._banks[name]

    def issuance(self) -> EllipticCurvePrivateKey:
        """The key that rules the issuer's issuance account."""
        if self._issuance is None:
            keystore = open_keystore(self.network.keystore(self.issuer), self.passphrase)
            self._issuance = keystore.private_key(ISSUANCE)
        return self._issuance

    def open_banks(self, names: Collection[str]) -> None:
        """Open the keystores of these banks, with progress shown."""
        if not names:
            return
        with progress("Opening the banks' keystores") as report:
            for done, name in enumerate(sorted(names), start=1):
                self.bank(name)
                report(done, len(names))
