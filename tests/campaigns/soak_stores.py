"""What stopped nodes' stores say of a soak's payments and balances, read row by row.

It must not know how the payments were made, but for the numbers that their ids begin with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from ledger.codec import decode
from ledger.outcome import Outcome
from ledger.records import ACCOUNT_PREFIX, HISTORY_PREFIX, Account, HistoryRow, parse_place
from node.config import load_config
from node.disk import LevelDatabase
from node.provision import ProvisionedNetwork
from node.store import Store
from tests.campaigns.soak_book import StoreSays, place_number

TIME_BYTES = 6
"""A payment's id begins with milliseconds: those of the first payment, and one more for each after it."""

ABSENT = "none"


def read_store(
    network: ProvisionedNetwork,
    node: str,
    height: int,
    places: Sequence[int],
    first_ms: int,
    issuance: bytes,
) -> StoreSays:
    """What a stopped node's store says, given where each payment stands by its payer (0: not told).

    Its state is that at `height`: above it may stand the opening of a term that began when the nodes were
    stopped. `issuance` is the issuance account's id.
    """
    data = load_config(network.config(node)).data
    with closing(LevelDatabase(data, create=False)) as database:
        store = Store.open(database, network.genesis.read_bytes(), node)
        header = store.header(height)
        right, wrong, untold = compare(places, executed(store.scan(HISTORY_PREFIX), first_ms))
        balances = {
            account.id: account.balance
            for account in (decode(raw, Account) for _, raw in store.scan(ACCOUNT_PREFIX))
        }
    # A header holds the hash of the one before it, and a seal the root of the state.
    state = hashlib.sha256(header.header + header.seal).hexdigest() if header else ABSENT
    return StoreSays(state, right, wrong, untold, sum(balances.values()), -balances[issuance])


def executed(rows: Iterable[tuple[bytes, bytes]], first_ms: int) -> Iterator[tuple[int, int]]:
    """Payment and place of every transaction of these rows that was executed; both are numbers.

    What isn't one of the payments has a number below 0.
    """
    for key, raw in rows:
        row = decode(raw, HistoryRow)
        if row.outcome == Outcome.EXECUTED and row.consumed:
            time_ms = int.from_bytes(row.consumed[0].tx_id[:TIME_BYTES], "big")
            yield time_ms - first_ms, place_number(*parse_place(key[len(HISTORY_PREFIX) :]))


def compare(places: Sequence[int], found: Iterable[tuple[int, int]]) -> tuple[int, int, int]:
    """How many payments stand where their payers were told, elsewhere, and without that anybody was told."""
    right = wrong = untold = 0
    for payment, place in found:
        if not 0 <= payment < len(places):
            continue
        if not places[payment]:
            untold += 1
        elif places[payment] == place:
            right += 1
        else:
            wrong += 1
    return right, wrong, untold
