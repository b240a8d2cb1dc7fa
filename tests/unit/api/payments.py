"""The transactions that the tests send: an account opened, paid from the issuance account, paying back."""

from __future__ import annotations

from ledger.bodies import Body, Kind, OpenAccount, Transfer
from ledger.keys import account_id, address
from ledger.policy import single_key
from tests.unit.ledger import sample

TELLER_OF_BETA = 21
CUSTOMER_KEY = 101
OPEN_TX = 7
CUSTOMER = account_id("beta", "EUR", OPEN_TX.to_bytes(16, "big"))
CUSTOMER_ADDRESS = address(sample.NETWORK_NAME, CUSTOMER)
ISSUANCE_ADDRESS = address(sample.NETWORK_NAME, sample.ISSUANCE_ACCOUNT)


def tx_text(number: int) -> str:
    """The UUID text of a transaction id that is this number."""
    return f"00000000-0000-0000-0000-{number:012x}"


def transaction(kind: Kind, body: Body, author: bytes, number: int, signer: int) -> bytes:
    """A signed envelope."""
    raw = sample.payload(body, kind=kind, author=author, number=number, signers=(signer,))
    return sample.signed(raw, (signer,))


def open_customer() -> bytes:
    """Bank beta opens its customer's account."""
    body = OpenAccount("EUR", single_key(sample.public_key(CUSTOMER_KEY)), ())
    return transaction(Kind.OPEN_ACCOUNT, body, b"beta", OPEN_TX, TELLER_OF_BETA)


def issue(number: int, amount: int = 1_250) -> bytes:
    """The issuer pays the customer, amount in cents."""
    body = Transfer(CUSTOMER, "EUR", amount, (), ())
    return transaction(Kind.TRANSFER, body, sample.ISSUANCE_ACCOUNT, number, sample.ISSUANCE_KEY)


def pay_back(number: int, amount: int) -> bytes:
    """The customer pays the issuer, amount in cents."""
    body = Transfer(sample.ISSUANCE_ACCOUNT, "EUR", amount, (), ())
    return transaction(Kind.TRANSFER, body, CUSTOMER, number, CUSTOMER_KEY)
