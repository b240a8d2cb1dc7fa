"""A small world for the commands: a real API over HTTP, a ledger behind it that decides at once, and keys.

The ledger, its server and its sample network are those of the API's and the ledger's own tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import address_book
from ledger.bodies import Body, Kind, OpenAccount, Transfer
from ledger.envelope import decode_envelope
from ledger.keys import account_id, address, public_bytes
from ledger.policy import single_key
from tests.unit.api.instant_host import InstantHost
from tests.unit.ledger import sample
from wallet.keystore import Keystore

BETA_ADMIN, BETA_TELLER, ISSUER_ADMIN = 20, 21, 10
FIRST_BALANCE = 100_000
ISSUANCE = address(sample.NETWORK_NAME, sample.ISSUANCE_ACCOUNT)


@dataclass(slots=True)
class World:
    """Alice and Bob bank with beta and have 1,000.00 EUR each; the keystore has their keys and the banks'."""

    url: str
    host: InstantHost
    folder: Path
    accounts: dict[str, bytes]

    def address(self, name: str) -> str:
        """An account as people see it."""
        return address(sample.NETWORK_NAME, self.accounts[name])

    def balance(self, name: str) -> int:
        """An account's balance in minor units."""
        account = self.host.state.account_by_id(self.accounts[name])
        assert account is not None
        return account.credits_posted - account.debits_posted

    @property
    def saved(self) -> list[str]:
        """The names of the payment files that were kept."""
        folder = self.folder / "payments"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def found(url: str, host: InstantHost, keystore: Keystore) -> World:
    """Open and fund the accounts of the keystore's alice and bob, and add the banks' keys to it."""
    world = World(url, host, keystore.path.parent, {})
    for number, name in enumerate(("alice", "bob"), start=1):
        policy = single_key(keystore.public_keys()[name])
        execute(host, OpenAccount("EUR", policy), Kind.OPEN_ACCOUNT, b"beta", number, BETA_TELLER)
        world.accounts[name] = account_id("beta", "EUR", number.to_bytes(16, "big"))
        body = Transfer(world.accounts[name], "EUR", FIRST_BALANCE)
        author = sample.ISSUANCE_ACCOUNT
        execute(host, body, Kind.TRANSFER, author, 10 + number, sample.ISSUANCE_KEY)
    keys = {
        "teller": BETA_TELLER,
        "admin": BETA_ADMIN,
        "issuer": ISSUER_ADMIN,
        "issuance": sample.ISSUANCE_KEY,
    }
    keystore.add_all({alias: sample.private_key(number) for alias, number in keys.items()})
    write_book(world)
    return world


def write_book(world: World) -> None:
    """The address book with alice's and bob's accounts."""
    entries = {name: address_book.Entry(world.address(name), "EUR", "beta", name) for name in world.accounts}
    address_book.add(world.folder / "accounts.json", entries)


def execute(host: InstantHost, body: Body, kind: Kind, author: bytes, number: int, signer: int) -> None:
    """Put one transaction on the chain."""
    raw = sample.payload(body, kind=kind, author=author, number=number, signers=(signer,))
    host.execute([decode_envelope(sample.signed(raw, (signer,)), sample.LIMITS)])


def public_keys(numbers: Sequence[int]) -> list[str]:
    """The public keys of these numbers, in hex."""
    return [public_bytes(sample.private_key(number)).hex() for number in numbers]
