"""The whole way: keys, payments and client of the wallet against the real API around a small real ledger."""

from __future__ import annotations

import asyncio

from api.app import create_app
from ledger.bodies import Kind, OpenAccount
from ledger.certificate import decode_certificate
from ledger.json_form import Names
from ledger.keys import account_id, address
from ledger.outcome import Outcome
from ledger.policy import single_key
from ledger.receipt import verify_receipt
from tests.unit.api.conftest import TEST_LIMITS, serving
from tests.unit.api.instant_host import InstantHost
from tests.unit.ledger import sample
from wallet.client import Client, Freshness
from wallet.ids import format_tx_id
from wallet.payment import Draft, build_draft, build_transfer, complete_envelope, sign_draft
from wallet.replies import NotFound

NAMES = Names(sample.NETWORK_NAME, {"EUR": 2}.get)
TELLER_KEY, CUSTOMER_KEY = 21, 99
FROM_MS, UNTIL_MS = sample.GENESIS_TIME_MS, sample.GENESIS_TIME_MS + 3_600_000
OPENING_ID = bytes(15) + b"\x07"
CUSTOMER = address(sample.NETWORK_NAME, account_id("beta", "EUR", OPENING_ID))
ISSUANCE = address(sample.NETWORK_NAME, sample.ISSUANCE_ACCOUNT)


def opening() -> bytes:
    """The bank beta opens its customer's account."""
    draft = build_draft(
        NAMES,
        network_id=sample.network(),
        tx_id=OPENING_ID,
        author=b"beta",
        kind=Kind.OPEN_ACCOUNT,
        body=OpenAccount("EUR", single_key(sample.public_key(CUSTOMER_KEY))),
        valid_from_ms=FROM_MS,
        valid_until_ms=UNTIL_MS,
        signers=[sample.public_key(TELLER_KEY)],
    )
    return complete_envelope(sign_draft(draft, sample.private_key(TELLER_KEY)))


def pay(number: int, debit: str, credit: str, amount: str, key: int) -> bytes:
    """A signed transfer."""
    draft: Draft = build_transfer(
        NAMES,
        network_id=sample.network(),
        tx_id=number.to_bytes(16),
        debit=debit,
        credit=credit,
        asset="EUR",
        amount=amount,
        valid_from_ms=FROM_MS,
        valid_until_ms=UNTIL_MS,
        signers=[sample.public_key(key)],
    )
    return complete_envelope(sign_draft(draft, sample.private_key(key)))


async def settle(client: Client) -> None:
    """Open, pay, pay again, be refused, look at everything."""
    opened = await client.submit(opening(), wait="certified")
    assert (opened.status, opened.author) == ("certified", "beta")
    paid = await client.submit(pay(1, ISSUANCE, CUSTOMER, "12.50", sample.ISSUANCE_KEY))
    again = await client.submit(pay(1, ISSUANCE, CUSTOMER, "12.50", sample.ISSUANCE_KEY))
    assert (paid.outcome, paid.height, paid.index) == (again.outcome, again.height, again.index)
    poor = await client.submit(pay(2, CUSTOMER, ISSUANCE, "12.51", CUSTOMER_KEY))
    assert poor.outcome is not None
    assert poor.outcome.number == Outcome.INSUFFICIENT_FUNDS
    forged = await client.submit(pay(3, CUSTOMER, ISSUANCE, "1.00", TELLER_KEY))
    assert (forged.status, forged.decided_by) == ("refused", "node")
    batch = await client.submit_batch(
        [pay(n, ISSUANCE, CUSTOMER, "0.01", sample.ISSUANCE_KEY) for n in (4, 5)]
    )
    assert [answer.outcome and answer.outcome.name for answer in batch] == ["executed", "executed"]

    fresh = Freshness(min_height=batch[1].height or 0, strong=True)
    account = await client.account(CUSTOMER, fresh)
    assert (account.balance, account.entry_count) == ("12.52", 5)
    assert [entry.credit async for entry in client.history(CUSTOMER, page=2)] == [
        "0.01",
        "0.01",
        "0.00",
        "12.50",
        "0.00",
    ]
    receipt = await client.receipt(paid.tx_id, paid.author)
    assert verify_receipt(receipt, sample.network()).outcome == Outcome.EXECUTED
    assert (await client.payment(paid.tx_id)).height == paid.height
    assert (
        await client.simulate(pay(6, CUSTOMER, ISSUANCE, "1.00", CUSTOMER_KEY))
    ).outcome.name == "executed"


async def look_around(client: Client) -> None:
    """Every other read gives what its type says."""
    block = await client.block("latest")
    assert (await client.block(block.hash)) == (await client.block(block.height)) == block
    assert len(await client.block_raw(block.height)) > len(await client.header(block.height)) > 100
    assert [found.height for found in (await client.blocks(before=3, limit=2)).blocks] == [2, 1]
    assert len((await client.certificate(block.height)).signatures) >= 2
    assert [member.id for member in await client.members()] == ["alpha", "beta", "gamma"]
    assert [node.member for node in await client.nodes()] == ["alpha", "beta", "gamma"]
    assert [(asset.code, asset.scale) for asset in await client.assets()] == [("EUR", 2)]
    assert (await client.parameters()).current.signers == 16
    assert {outcome.number for outcome in await client.outcomes()} == {int(outcome) for outcome in Outcome}
    assert (await client.network()).network_id == sample.network().hex()
    assert (await client.cluster()).executed_height == block.height
    proved = await client.account_proof(CUSTOMER)
    assert (proved.height, proved.seals) == (block.height, ())
    assert decode_certificate(proved.certificate).seal == proved.seal


def test_the_whole_way() -> None:
    """A customer is opened, paid, refused and proved, and a payment submitted twice is paid once."""

    async def scenario(url: str) -> None:
        async with Client([url]) as client:
            await settle(client)
            await look_around(client)

    with serving(create_app(InstantHost(), TEST_LIMITS), TEST_LIMITS) as api:
        asyncio.run(scenario(f"http://127.0.0.1:{api.port}"))


def test_nothing_there() -> None:
    """Accounts, payments and blocks that don't exist are not found, each by the API's own problem."""

    async def scenario(url: str) -> list[str]:
        found = []
        async with Client([url]) as client:
            for missing in (
                client.account(CUSTOMER),
                client.payment(format_tx_id(OPENING_ID)),
                client.block(99),
            ):
                try:
                    await missing
                except NotFound as error:
                    found.append(error.problem.type)
        return found

    with serving(create_app(InstantHost(), TEST_LIMITS), TEST_LIMITS) as api:
        types = asyncio.run(scenario(f"http://127.0.0.1:{api.port}"))
    assert types == ["urn:nostro:problem:not_found"] * 3
