"""Opening, reading and corrupting the state; views, histories and the cache."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.block import genesis_parent
from ledger.bodies import CloseAccount, OpenAccount, SetMember, Transfer
from ledger.cache import GenerationCache
from ledger.certificate import encode_seal, seal_hash
from ledger.codec import Malformed, decode
from ledger.genesis_state import genesis_seal
from ledger.membership import Decision
from ledger.merkle import Frontier
from ledger.outcome import Outcome
from ledger.records import (
    NODE_PREFIX,
    PROGRESS_KEY,
    AccountNumber,
    RegistryRow,
    account_key,
    account_row_key,
    encode_record,
    history_row_key,
    key_hash,
    registry_row_key,
)
from ledger.registry_tree import nibbles
from ledger.state import State, scheduled
from ledger.view import ReadView, Seen, StateCorrupted
from tests.unit.ledger.rules.world import (
    ADMIN,
    ISSUANCE,
    ISSUED_LIMIT,
    TELLER,
    MemoryRows,
    World,
    genesis,
    policy,
)

PAYER, PAYEE = 51, 52


@pytest.fixture
def world() -> World:
    """A network in which one account was funded and has paid another twice."""
    world = World()
    payer, payee = world.open("alpha", PAYER, funds=100), world.open("beta", PAYEE)
    for amount in (1, 2):
        world.block(world.envelope(payer, Transfer(payee, "EUR", amount), [PAYER]))
    return world


def test_state_of_genesis() -> None:
    """Genesis opens one issuance account an asset, with its limit, and nothing has happened yet."""
    world = World()
    state = world.state
    assert [asset.code for asset in state.registry.assets.values()] == ["EUR", "USD"]
    account = world.account(world.issuance("USD"))
    assert (account.number, account.limit, account.balance, account.entry_count) == (1, ISSUED_LIMIT, 0, 0)
    assert account.available == ISSUED_LIMIT
    assert state.parent == genesis_parent(world.genesis_raw)
    seal = genesis_seal(world.network_id, state.registry, state.state_root)
    assert state.progress.seal_hash == seal_hash(encode_seal(seal))
    member, node, asset = state.member("beta"), state.node("beta-1"), state.asset("EUR")
    assert member is not None
    assert node is not None
    assert asset is not None
    assert (member.number, node.member, asset.issuer) == (1, "beta", "central")
    assert (state.member("x"), state.node("x"), state.asset("XAU"), state.account(2)) == (None,) * 4
    assert state.parameters_at(0) == genesis().parameters


def test_genesis_of_other_bytes_is_refused() -> None:
    """What is not a genesis document opens nothing."""
    with pytest.raises(Malformed):
        State.from_genesis(b"\x90")


def test_scheduled_values_of_the_next_block(world: World) -> None:
    """A block is checked against the network, the nodes' keys and the parameters in force."""
    found = world.state.scheduled(5, 5)
    assert found == scheduled(world.state.progress, world.state.registry, 5, 5)
    assert (found.network_id, found.rules, found.activation_waits) == (world.network_id, 1, False)
    assert found.membership_decision == (1, Decision())
    assert list(found.node_keys) == ["alpha-1", "beta-1", "central-1"]


def test_opening_without_genesis_says_what_to_do() -> None:
    """An empty store is no state."""
    with pytest.raises(StateCorrupted, match="write the rows of genesis first"):
        State.open(MemoryRows({}))


def test_every_flipped_account_or_root_is_found_at_opening(world: World) -> None:
    """A byte changed in any account row, in the registry's root row or in the progress stops the opening."""
    for key in [key for key in world.rows.rows if key[:1] == b"a" or key in (b"n", PROGRESS_KEY)]:
        row = world.rows.rows[key]
        for position in (len(row) // 2, len(row) - 1):
            flipped = row[:position] + bytes([row[position] ^ 1]) + row[position + 1 :]
            rows = MemoryRows({**world.rows.rows, key: flipped})
            with pytest.raises(StateCorrupted):
                State.open(rows)


@pytest.mark.parametrize("name", [b"member/beta", b"node/beta-1", b"asset/EUR", b"schedule/parameters"])
def test_every_changed_registry_value_is_found_at_opening(world: World, name: bytes) -> None:
    """A readable value that is not the one in the tree stops the opening: it could name another's key."""
    row_key = registry_row_key(key_hash(name))
    row = decode(world.rows.rows[row_key], RegistryRow)
    for position in range(len(row.value)):
        value = row.value[:position] + bytes([row.value[position] ^ 1]) + row.value[position + 1 :]
        rows = MemoryRows({**world.rows.rows, row_key: encode_record(RegistryRow(name, value))})
        with pytest.raises(StateCorrupted):
            State.open(rows)


def test_registry_nodes_are_checked_below_the_root_too(world: World) -> None:
    """A changed or missing row of any inner node on the way to a value stops the opening."""
    for number in range(30):
        member = SetMember(f"m{number}", "Bank", policy(14), policy(24), 0)
        world.block(world.envelope("alpha", member, [*ADMIN.values(), 14]))
    paths = {nibbles(key_hash(key))[:1] for key, _ in world.state.registry.values()}
    inner = [NODE_PREFIX + path for path in paths if NODE_PREFIX + path in world.rows.rows]
    assert inner
    for key in inner:
        row = world.rows.rows[key]
        for changed in ({key: row[:-1] + bytes([row[-1] ^ 1])}, {key: b"\x90"}):
            with pytest.raises(StateCorrupted, match="registry root"):
                State.open(MemoryRows({**world.rows.rows, **changed}))
        rows = {other: value for other, value in world.rows.rows.items() if other != key}
        with pytest.raises(StateCorrupted, match="its row is missing"):
            State.open(MemoryRows(rows))


def test_an_id_that_names_anothers_number_is_found_where_it_is_used(world: World) -> None:
    """A registry row changed to another account's number never debits that one."""
    payer, payee = world.account_numbered(2), world.account_numbered(3)
    row_key = registry_row_key(key_hash(account_key(payer)))
    wrong = RegistryRow(account_key(payer), encode_record(AccountNumber(world.account(payee).number)))
    state = State.open(MemoryRows({**world.rows.rows, row_key: encode_record(wrong)}))
    with pytest.raises(StateCorrupted, match="another's"):
        state.account_by_id(payer)
    assert state.account_by_id(payee) == world.account(payee)


@pytest.mark.parametrize(
    "changed",
    [
        {"height": 3},
        {"term": 2},
        {"time_ms": 1},
        {"epoch": 1},
        {"network_id": bytes(32)},
        {"block_hash": bytes(32)},
        {"seal_hash": bytes(32)},
        {"seal_raw": b""},
        {"header_raw": b""},
        {"account_count": 3},
        {"accounts_root": bytes(32)},
        {"registry_root": bytes(32)},
        {"log": Frontier()},
    ],
)
def test_progress_that_contradicts_itself_is_found(world: World, changed: dict[str, Any]) -> None:
    """Block, seal, roots and counts of the progress row must tell one story."""
    row = encode_record(replace(world.state.progress, **changed))
    with pytest.raises(StateCorrupted, match="at height"):
        State.open(MemoryRows({**world.rows.rows, PROGRESS_KEY: row}))


def test_missing_rows_are_named(world: World) -> None:
    """A missing account, a missing last account and a missing schedule are each named."""
    for number, words in ((1, "account 1 is missing"), (3, "3 accounts, not 4")):
        rows = dict(world.rows.rows)
        del rows[account_row_key(number)]
        with pytest.raises(StateCorrupted, match=words):
            State.open(MemoryRows(rows))
    for name in (b"schedule/parameters", b"schedule/rules", b"schedule/membership", b"certifiers/"):
        rows = {key: row for key, row in world.rows.rows.items() if name not in row}
        with pytest.raises(StateCorrupted, match=name.decode()):
            State.open(MemoryRows(rows))


def test_unreadable_registry_rows_are_named(world: World) -> None:
    """A registry row that is no row stops the opening."""
    key = next(key for key, row in world.rows.rows.items() if key[:1] == b"k" and b"member/beta" in row)
    with pytest.raises(StateCorrupted, match=key.hex()):
        State.open(MemoryRows({**world.rows.rows, key: b"\x90"}))


def test_view_reads_what_the_state_reads(world: World) -> None:
    """A view over the rows alone gives the accounts, uses of ids and registry of the state."""
    view = ReadView(world.rows, lambda: world.state.registry)
    for number in range(4):
        account = world.state.account(number)
        assert account is not None
        assert view.account_by_id(account.id) == world.state.account_by_id(account.id) == account
        assert view.account_number(account.id) == number
    assert view.account_by_id(bytes(21)) is None
    assert view.account(4) is None
    assert (view.member("alpha"), view.node("alpha-1"), view.asset("EUR")) == (
        world.state.member("alpha"),
        world.state.node("alpha-1"),
        world.state.asset("EUR"),
    )


def test_view_finds_used_ids_by_author(world: World) -> None:
    """An id is found under its author, account or member; who else used it can be listed."""
    view = ReadView(world.rows, lambda: world.state.registry)
    payer = world.account_numbered(2)
    payment = world.envelope(payer, Transfer(world.issuance(), "EUR", 5), [PAYER])
    tx_id = payment.payload.tx_id
    opening = world.envelope("alpha", OpenAccount("EUR", policy(1)), [TELLER["alpha"]], tx_id=tx_id)
    world.block(payment, opening)
    assert view.seen(payer, tx_id) == Seen(5, 0, payment.signing_hash, 0)
    assert (
        view.seen(b"alpha", tx_id) == world.state.seen(b"alpha", tx_id) == Seen(5, 1, opening.signing_hash, 0)
    )
    assert view.seen(b"beta", tx_id) is None
    assert view.seen(b"nobody", tx_id) is None
    assert view.seen(bytes(21), tx_id) is None
    assert set(view.authors_of(tx_id)) == {payer, b"alpha"}
    assert view.authors_of(bytes(16)) == ()


def test_history_is_walked_newest_first(world: World) -> None:
    """All entries come, newest first, in pages that join without a gap, the refused one too."""
    payer = world.account_numbered(2)
    refused = world.envelope(payer, CloseAccount(payer, 1), [PAYER])
    assert world.outcomes(refused) == [Outcome.BALANCE_NOT_ZERO]
    view, account = ReadView(world.rows, lambda: world.state.registry), world.account(payer)
    whole, cursor = view.history(account, None, 100)
    assert cursor is None
    assert [(item.height, item.index) for item in whole] == [(5, 0), (4, 0), (3, 0), (1, 1), (1, 0)]
    assert [item.entry.entry_count for item in whole] == [5, 4, 3, 2, 1]
    assert [item.entry.debit for item in whole] == [0, 2, 1, 0, 0]
    assert whole[0].row.outcome == Outcome.BALANCE_NOT_ZERO
    assert sum(item.entry.credit - item.entry.debit for item in whole) == account.balance
    paged, cursor = view.history(account, None, 2)
    while cursor is not None:
        page, cursor = view.history(account, cursor, 2)
        paged += page
    assert paged == whole


def test_history_of_an_account_without_entries(world: World) -> None:
    """An account that nothing has touched has no entries, and no place to go on at."""
    view = ReadView(world.rows, lambda: world.state.registry)
    assert view.history(world.account(world.issuance("USD")), None, 5) == ((), None)


@pytest.mark.parametrize("cursor", [(2, 0), (9, 0), (3, 7)])
def test_history_from_a_place_that_is_not_the_accounts(world: World, cursor: tuple[int, int]) -> None:
    """A cursor at another account's transaction, or nowhere, is refused by name."""
    view = ReadView(world.rows, lambda: world.state.registry)
    with pytest.raises(KeyError, match="no entry at height"):
        view.history(world.account(world.account_numbered(2)), cursor, 5)


def test_broken_rows_are_named_where_they_are_read(world: World) -> None:
    """An unreadable account, id or history row is corruption, never an answer."""
    view = ReadView(world.rows, lambda: world.state.registry)
    account = world.account_numbered(2)
    payment = world.envelope(account, Transfer(world.issuance(), "EUR", 5), [PAYER])
    world.block(payment)
    history = world.rows.rows.pop(history_row_key(5, 0))
    with pytest.raises(StateCorrupted, match="height 5, index 0"):
        view.seen(account, payment.payload.tx_id)
    world.rows.rows[history_row_key(5, 0)] = history[:-1]
    with pytest.raises(StateCorrupted, match="cannot be read"):
        view.seen(account, payment.payload.tx_id)
    world.rows.rows[account_row_key(2)] = b""
    with pytest.raises(StateCorrupted, match="cannot be read"):
        view.account(2)


def test_account_cache_never_answers_with_an_old_record(world: World) -> None:
    """After each block the cached accounts are those of the rows."""
    payer = world.account_numbered(2)
    for _ in range(3):
        world.block(world.envelope(world.issuance(), Transfer(payer, "EUR", 5), [ISSUANCE]))
        assert world.state.account_by_id(payer) == world.state.account(2)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(1, 99))))
def test_cache_is_bounded_and_never_wrong(size: int, steps: list[tuple[bool, int, int]]) -> None:
    """Whatever is put and asked for, the cache holds at most its size and only what was put last."""
    cache: GenerationCache[int, int] = GenerationCache(size)
    truth: dict[int, int] = {}
    for putting, key, value in steps:
        if putting:
            cache.put(key, value)
            truth[key] = value
            assert cache.get(key) == value
        else:
            assert cache.get(key) in (None, truth.get(key))
        assert len(cache) <= size


def test_cache_keeps_what_is_used(world: World) -> None:
    """What is asked for again and again is still there after many others; a size below 2 is refused."""
    cache: GenerationCache[int, int] = GenerationCache(10)
    cache.put(0, 7)
    for key in range(1, 100):
        cache.put(key, key)
        assert cache.get(0) == 7
    with pytest.raises(ValueError, match="2 entries"):
        GenerationCache[int, int](1)
