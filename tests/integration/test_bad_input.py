"""Bad input at the door of a running node: each kind of it has its answer, and costs nobody anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgpack
import pytest

from api.limits import DEFAULT_LIMITS
from ledger.bodies import Flag, Kind, SetFlags
from ledger.envelope import encode_envelope, signing_hash
from ledger.keys import sign
from node import tls
from node.local import LocalNetwork
from tests.integration.harness import VALID_FOR_MS, Bank, Holder, Key, funded
from wallet.client import Client, Freshness
from wallet.connections import Connections

pytestmark = pytest.mark.processes

NETWORK_ID, TX_ID, AUTHOR, KIND, BODY, VALID_FROM, VALID_UNTIL, SIGNERS = range(1, 9)
CREDIT, ASSET, AMOUNT = range(3)
BALANCE = 10_000

Change = Callable[[list[Any]], None]


def put(place: int, value: object) -> Change:
    """Give a field of the payload another value."""
    return lambda fields: fields.__setitem__(place, value)


def put_in_body(place: int, value: object) -> Change:
    """Give a field of the transfer another value."""
    return lambda fields: fields[BODY].__setitem__(place, value)


def shift(by_ms: int) -> Change:
    """Move the time in which it is valid."""

    def change(fields: list[Any]) -> None:
        now_ms = time.time_ns() // 1_000_000
        fields[VALID_FROM], fields[VALID_UNTIL] = now_ms + by_ms, now_ms + by_ms + VALID_FOR_MS

    return change


def changed(raw: bytes, key: Key, change: Change) -> bytes:
    """A payment with a changed payload, signed anew by its author: only the change is wrong with it."""
    fields = msgpack.unpackb(msgpack.unpackb(raw)[0])
    change(fields)
    payload = msgpack.packb(fields)
    return encode_envelope(payload, [sign(key, signing_hash(payload))])


WRONG_FIELDS = {
    "of another network": (put(NETWORK_ID, bytes(32)), 400, "wrong_network"),
    "of an unknown kind": (put(KIND, 99), 400, "unknown_kind"),
    "with an unknown field": (lambda fields: fields.append(0), 400, "bad_field"),
    "of nothing": (put_in_body(AMOUNT, 0), 400, "bad_field"),
    "of a negative amount": (put_in_body(AMOUNT, -1), 400, "bad_field"),
    "of more than can be counted": (put_in_body(AMOUNT, 2**63), 400, "bad_field"),
    "of an asset the account doesn't hold": (put_in_body(ASSET, "CHF"), 422, "wrong_asset"),
    "to an unknown account": (put_in_body(CREDIT, bytes([0]) + b"?" * 20), 422, "unknown_account"),
    "from an unknown account": (put(AUTHOR, bytes([0]) + b"?" * 20), 403, "unknown_author"),
    "of more than there is": (put_in_body(AMOUNT, BALANCE + 1), 422, "insufficient_funds"),
    "that has expired": (shift(-2 * VALID_FOR_MS), 422, "expired"),
    "of the future": (shift(VALID_FOR_MS), 422, "not_yet_valid"),
}


async def refusal(running: LocalNetwork, node: str, body: bytes) -> tuple[int, str]:
    """The status and the type of problem with which a node answers a submission of these bytes."""
    url = running.place(node).api_url + "/v1/payments"
    async with (
        aiohttp.ClientSession(connector=Connections()) as session,
        session.post(
            url,
            data=body,
            headers={"Content-Type": "application/msgpack"},
            ssl=tls.trusting_context(running.network.ca),
        ) as response,
    ):
        answer = await response.json(content_type=None)
    return response.status, answer.get("type", answer.get("outcome"))


async def untouched(bank: Bank, client: Client, *holders: Holder) -> bool:
    """Whether nothing has been paid out of or into these accounts since they were funded."""
    accounts = [await client.account(bank.address(holder), Freshness(strong=True)) for holder in holders]
    return all(account.balance == f"{BALANCE / 100:.2f}" for account in accounts)


def test_payments_that_are_wrong_have_each_their_word(running: LocalNetwork, bank: Bank) -> None:
    """Whatever is wrong with a well-signed payment is named, by every node alike; no money moves."""

    async def scenario() -> None:
        async with bank.client() as client:
            payer, payee = await funded(bank, client, BALANCE), await funded(bank, client, BALANCE)
            for what, (change, status, name) in WRONG_FIELDS.items():
                wrong = changed(bank.pay(payer, payee, 1).raw, payer.key, change)
                for node in running.node_ids:
                    answer = await refusal(running, node, wrong)
                    assert answer == (status, f"urn:nostro:outcome:{name}"), (what, node)
            assert await untouched(bank, client, payer, payee)

    asyncio.run(scenario())


def test_bytes_that_are_no_payment_have_each_their_word(running: LocalNetwork, bank: Bank) -> None:
    """Nonsense, a byte too many, a forged signature, a payment too large, a body too large."""

    async def scenario() -> None:
        async with bank.client() as client:
            payer, payee = await funded(bank, client, BALANCE), await funded(bank, client, BALANCE)
            good = bank.pay(payer, payee, 1).raw
            too_large = encode_envelope(bytes(DEFAULT_LIMITS.envelope_bytes - 100), [bytes(64)])
            cases = {
                b"pay me": (400, "urn:nostro:outcome:not_canonical"),
                b"": (400, "urn:nostro:outcome:not_canonical"),
                good + b"\x00": (400, "urn:nostro:outcome:not_canonical"),
                good[:-1] + bytes([good[-1] ^ 1]): (403, "urn:nostro:outcome:bad_signature"),
                too_large: (413, "urn:nostro:outcome:too_large"),
                bytes(DEFAULT_LIMITS.envelope_bytes + 1): (413, "urn:nostro:problem:body_too_large"),
            }
            for body, expected in cases.items():
                assert await refusal(running, running.node_ids[0], body) == expected, body[:20]
            assert await untouched(bank, client, payer, payee)

    asyncio.run(scenario())


def test_a_frozen_account_does_not_pay(running: LocalNetwork, bank: Bank) -> None:
    """The teller freezes it: the payment is refused with that word, and the money stays."""

    async def scenario() -> None:
        async with bank.client() as client:
            payer, payee = await funded(bank, client, BALANCE), await funded(bank, client, BALANCE)
            version = (await client.account(bank.address(payer), Freshness(strong=True))).version
            freeze = SetFlags(payer.account, version, Flag.NO_DEBIT.value)
            frozen = await client.submit(bank.by_teller(Kind.SET_FLAGS, freeze).raw)
            assert frozen.status == "executed", frozen
            answer = await refusal(running, running.node_ids[0], bank.pay(payer, payee, 1).raw)
            assert answer == (422, "urn:nostro:outcome:debit_frozen")
            assert await untouched(bank, client, payer, payee)

    asyncio.run(scenario())
