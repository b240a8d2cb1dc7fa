"""Each invariant is broken on purpose, and is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace as replace_value
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from ledger.bodies import Transfer
from ledger.codec import MAX_INTEGER
from ledger.draft import Draft, Touch
from ledger.membership import Change
from ledger.records import (
    LEARNER,
    REGISTERED,
    RETIRED,
    Account,
    HistoryEntry,
    HistoryRow,
    RecoveryRecord,
    Schedule,
    opened_account,
)
from ledger.registry import Registry
from ledger.rules.base import InvariantViolated
from ledger.rules.v1 import invariants
from ledger.rules.v1.invariants import check_invariants, check_whole
from ledger.schedule import LOOK_BACK
from tests.unit.ledger.rules.world import ISSUANCE, World, policy, public_key

T = TypeVar("T")

PAYER, PAYEE = 51, 52


def payment(world: World) -> Draft:
    """The draft of a block in which one account pays 10 to another, correct in every respect."""
    payer, payee = world.open("alpha", PAYER, funds=100), world.open("beta", PAYEE)
    draft = Draft(world.state, 3)
    envelope = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    touches = (Touch(world.account(payer), 10), Touch(world.account(payee), 0, 10))
    consumed = draft.consume_id(payer, envelope.payload.tx_id, envelope.signing_hash, 0)
    draft.record(
        outcome=0,
        duplicate_of=(),
        leaf_hash=envelope.leaf_hash,
        consumed=(consumed,),
        touches=touches,
    )
    return draft


def corrupt(draft: Draft, place: int, change: Callable[[Account], Account]) -> None:
    """Change one of the draft's accounts behind the rules' back."""
    account_id = list(draft.accounts)[place]
    draft.accounts[account_id] = change(draft.accounts[account_id])


def test_a_correct_block_keeps_every_invariant(world: World) -> None:
    """The block that the other tests corrupt is itself accepted."""
    draft = payment(world)
    check_invariants(draft)
    assert len(draft.accounts) == 2


CORRUPTIONS: list[tuple[str, int, Callable[[Account], Account]]] = [
    ("conservation_posted", 1, lambda a: replace(a, credits_posted=a.credits_posted + 1)),
    ("conservation_posted", 0, lambda a: replace(a, debits_posted=a.debits_posted - 1)),
    ("conservation_posted", 1, lambda a: replace(a, asset="USD")),
    ("conservation_pending", 1, lambda a: replace(a, credits_pending=1)),
    (
        "entries_agree",
        0,
        lambda a: replace(a, debits_posted=a.debits_posted + 5, credits_posted=a.credits_posted + 5),
    ),
    ("entries_agree", 0, lambda a: replace(a, entry_count=a.entry_count + 1)),
    ("counters_never_decrease", 0, lambda a: replace(a, version=0)),
    ("identity_never_changes", 0, lambda a: replace(a, member="beta")),
    ("identity_never_changes", 0, lambda a: replace(a, reference=(bytes(32),))),
    ("identity_never_changes", 0, lambda a: replace(a, opened_height=9)),
    ("version_counts_changes", 0, lambda a: replace(a, flags=1)),
    ("version_counts_changes", 0, lambda a: replace(a, limit=1)),
    ("version_counts_changes", 0, lambda a: replace(a, policy=policy(PAYEE))),
    ("closed_is_empty", 0, lambda a: replace(a, flags=4)),
]


@pytest.mark.parametrize(("name", "place", "change"), CORRUPTIONS)
def test_corrupted_accounts_are_named(
    world: World, name: str, place: int, change: Callable[[Account], Account]
) -> None:
    """Whatever an account is corrupted to, the invariant that forbids it speaks."""
    draft = payment(world)
    corrupt(draft, place, change)
    with pytest.raises(InvariantViolated) as caught:
        check_invariants(draft)
    assert caught.value.name == name
    assert caught.value.what


def without(values: Mapping[str, T], name: str) -> Mapping[str, T]:
    """A mapping without one of its names."""
    return {other: value for other, value in values.items() if other != name}


def test_corrupted_registries_are_named(world: World) -> None:
    """A record that vanishes or becomes another, a number left out, and a value changed before its time."""
    registry = world.state.registry
    member, node, asset = registry.members["beta"], registry.nodes["beta-1"], registry.assets["EUR"]
    soon, later = 3 + LOOK_BACK - 1, 3 + LOOK_BACK
    cases: list[tuple[str, dict[str, Any]]] = [
        ("registry_only_grows", {"members": without(registry.members, "beta")}),
        ("registry_only_grows", {"nodes": without(registry.nodes, "beta-1")}),
        ("registry_only_grows", {"assets": without(registry.assets, "EUR")}),
        ("registry_only_grows", {"members": {**registry.members, "beta": replace(member, number=9)}}),
        ("registry_only_grows", {"nodes": {**registry.nodes, "beta-1": replace(node, key=public_key(99))}}),
        ("registry_only_grows", {"assets": {**registry.assets, "EUR": replace(asset, scale=0)}}),
        ("numbers_follow", {"members": {**registry.members, "new": replace(member, id="new", number=7)}}),
        ("look_back_is_kept", {"rules": Schedule(2, ((0, 1), (soon, 2)))}),
        ("look_back_is_kept", {"rules": Schedule(2, ((0, 2),))}),
    ]
    for name, changed in cases:
        draft = Draft(world.state, 3)
        draft.registry = replace_value(registry, **changed)
        with pytest.raises(InvariantViolated) as caught:
            check_invariants(draft)
        assert caught.value.name == name
    draft = Draft(world.state, 3)
    draft.registry = replace_value(registry, rules=Schedule(2, ((0, 1), (later, 2))))
    check_invariants(draft)


def test_overdraft_is_found_at_its_boundary(world: World) -> None:
    """With 10 left after paying everything plus the limit, one minor unit less is an overdraft."""
    draft = payment(world)
    account = next(iter(draft.accounts.values()))
    invariants.check_account(replace(account, debits_posted=120, limit=20))
    with pytest.raises(InvariantViolated, match="no_overdraft"):
        invariants.check_account(replace(account, debits_posted=121, limit=20))
    invariants.check_account(replace(account, debits_posted=100, debits_pending=20, limit=20))
    with pytest.raises(InvariantViolated, match="available"):
        invariants.check_account(replace(account, debits_posted=100, debits_pending=21, limit=20))


def test_counters_stay_in_range(world: World) -> None:
    """The largest integer is allowed, one more is not."""
    account = world.account(world.issuance())
    full = replace(account, debits_posted=MAX_INTEGER, credits_posted=MAX_INTEGER)
    invariants.check_account(full)
    for field in ("debits_posted", "credits_posted"):
        over = replace(full, limit=MAX_INTEGER, **{field: MAX_INTEGER + 1})
        with pytest.raises(InvariantViolated, match="counters_in_range"):
            invariants.check_account(over)


def test_unbalanced_and_wrong_rows_are_found(world: World) -> None:
    """Rows that do not balance, that post on a refusal, or that name untouched accounts are found."""
    draft = payment(world)
    row = draft.rows[0]
    paid, owed = row.entries
    cases: list[tuple[str, HistoryRow]] = [
        ("rows_balance", replace(row, entries=(paid,))),
        ("refusals_post_nothing", replace(row, outcome=406)),
        ("entries_agree", replace(row, entries=(paid, owed, HistoryEntry(99, 0, 0, 1, 0, 0)))),
    ]
    for name, wrong in cases:
        draft.rows[0] = wrong
        with pytest.raises(InvariantViolated) as caught:
            check_invariants(draft)
        assert caught.value.name == name


def test_closed_accounts_take_no_postings(world: World) -> None:
    """A closed account may have entries of refusals, but nothing of it changes otherwise."""
    before = replace(world.account(world.issuance()), flags=4)
    invariants.check_step(before, replace(before, entry_count=1))
    for change in ({"flags": 0}, {"version": 2}, {"debits_posted": 1, "credits_posted": 1}):
        with pytest.raises(InvariantViolated, match="closed_never_changes"):
            invariants.check_step(before, replace(before, entry_count=1, **change))


def test_new_accounts_follow_in_number(world: World) -> None:
    """Numbers are given out without holes, and a new account opens now and without credit."""
    invariants.check_numbers([4, 5], 4, 6)
    for opened in ([5], [4, 6], [4, 4], []):
        with pytest.raises(InvariantViolated, match="numbers_follow"):
            invariants.check_numbers(opened, 4, 6)
    account = opened_account(4, bytes(21), "alpha", "EUR", policy(1), 7)
    invariants.check_opened(account, 7)
    for wrong in (replace(account, opened_height=6), replace(account, limit=1)):
        with pytest.raises(InvariantViolated, match="opened_plain"):
            invariants.check_opened(wrong, 7)


def test_ids_are_consumed_once(world: World) -> None:
    """A row without its log record, a log record without its row, an execution without an id."""
    draft = payment(world)
    for rows, ids, logged in ((draft.rows, {}, 1), (draft.rows, draft.id_changes, 0), (draft.rows, {}, 0)):
        with pytest.raises(InvariantViolated, match="ids_consumed_once"):
            invariants.check_ids(rows, ids, logged)


def test_whole_state_gives_supplies(world: World) -> None:
    """Over all accounts each asset balances, and its supply is what is held."""
    world.open("alpha", PAYER, funds=100)
    world.open("beta", PAYEE, "USD", funds=7)
    accounts = [world.account(row.id) for row in (world.state.account(n) for n in range(4)) if row]
    assert check_whole(accounts) == {"EUR": 100, "USD": 7}
    with pytest.raises(InvariantViolated, match="numbers_follow"):
        check_whole(accounts[1:])
    with pytest.raises(InvariantViolated, match="conservation_posted"):
        check_whole([*accounts[:3], replace(accounts[3], credits_posted=8)])
    with pytest.raises(InvariantViolated, match="conservation_pending"):
        check_whole([*accounts[:3], replace(accounts[3], credits_pending=8)])
    with pytest.raises(InvariantViolated, match="entries_agree"):
        check_whole([*accounts[:3], replace(accounts[3], history_hash=bytes(32))])
    assert world.account(world.issuance()).policy == policy(ISSUANCE)


def _with_statuses(registry: Registry, **statuses: int) -> Registry:
    for node, status in statuses.items():
        name = node.replace("_", "-")
        registry = registry.with_node(replace(registry.nodes[name], status=status))
    return registry


def _with_membership(registry: Registry, **fields: Any) -> Registry:
    return replace_value(registry, membership=replace(registry.membership, **fields))


def _two_votes(registry: Registry) -> Registry:
    beta = replace(registry.nodes["beta-1"], member="alpha")
    return registry.with_node(beta)


MEMBERSHIPS: list[tuple[str, Callable[[Registry], Registry]]] = [
    ("one_vote_a_member", lambda r: _with_membership(r, voters=())),
    ("one_vote_a_member", _two_votes),
    ("learners_do_not_vote", lambda r: _with_membership(r, learners=("alpha-1",))),
    ("nodes_agree_with_membership", lambda r: _with_statuses(r, beta_1=RETIRED)),
    ("nodes_agree_with_membership", lambda r: _with_statuses(r, beta_1=LEARNER)),
    ("nodes_agree_with_membership", lambda r: _with_membership(r, voters=("alpha-1", "beta-1"))),
    (
        "retired_for_ever",
        lambda r: _with_statuses(_with_membership(r, voters=("alpha-1", "beta-1")), central_1=REGISTERED),
    ),
    ("changes_are_counted", lambda r: _with_membership(r, version=2)),
    (
        "changes_are_counted",
        lambda r: _with_statuses(
            _with_membership(r, voters=("alpha-1", "beta-1"), version=2), central_1=RETIRED
        ),
    ),
]


@pytest.mark.parametrize(("name", "spoil"), MEMBERSHIPS)
def test_membership_is_sound(world: World, name: str, spoil: Callable[[Registry], Registry]) -> None:
    """Nobody votes twice or none at all, statuses agree, who left stays away, each change is counted."""
    before = world.state.registry
    invariants.check_membership(before, before, 9)
    with pytest.raises(InvariantViolated, match=name):
        invariants.check_membership(before, spoil(before), 9)


def test_a_change_is_of_its_own_height(world: World) -> None:
    """A sound change passes at the height it names, and at no other."""
    before = world.state.registry
    after = _with_membership(before, voters=("alpha-1", "beta-1"), version=2, changed_height=9)
    after = _with_statuses(after, central_1=RETIRED)
    invariants.check_membership(before, after, 9)
    with pytest.raises(InvariantViolated, match="changes_are_counted"):
        invariants.check_membership(before, after, 8)
    again = _with_statuses(after, central_1=REGISTERED)
    with pytest.raises(InvariantViolated, match="retired_for_ever"):
        invariants.check_membership(after, again, 9)


def test_electorates_and_recoveries_are_noted_and_kept(world: World) -> None:
    """Who decides stands in the registry as the members are; a recovery is noted at its height, for ever."""
    before = world.state.registry
    member = replace(before.members["beta"], admin_policy=policy(51))
    changed = before.with_member(member)
    with pytest.raises(InvariantViolated, match="electorates_are_noted"):
        invariants.check_electorates(before, changed, 9)
    noted = changed.with_electorate_after(9)
    invariants.check_electorates(before, noted, 9)
    with pytest.raises(InvariantViolated, match=r"registry_only_grows .*electorates"):
        invariants.check_electorates(before, replace_value(noted, electorates=noted.electorates[1:]), 9)
    recovered = before.with_recovery(9, RecoveryRecord(2, b""))
    invariants.check_electorates(before, recovered, 9)
    with pytest.raises(InvariantViolated, match=r"registry_only_grows .*recoveries"):
        invariants.check_electorates(before, recovered, 8)
    with pytest.raises(InvariantViolated, match=r"registry_only_grows .*recoveries"):
        invariants.check_electorates(recovered, before, 10)


def test_a_recovery_bends_the_rule_and_no_other_parameter(world: World) -> None:
    """Blocks of the look-back are judged by the parameters, but never by their rule of certificates."""
    before = world.state.registry
    recovered = before.with_recovery(9, RecoveryRecord(2, b""))
    for field, value, is_sound in (("certificate_rule", 1, True), ("signers", 20, False)):
        bent = replace(before.parameters_at(9), **{field: value})
        after = recovered.with_parameters(Schedule(2, (*before.parameters.entries, (9, bent))))
        if is_sound:
            invariants.check_schedules(before, after, 9)
        else:
            with pytest.raises(InvariantViolated, match=r"look_back_is_kept .*parameters"):
                invariants.check_schedules(before, after, 9)


def test_certifiers_are_noted_and_kept(world: World) -> None:
    """Who certifies next stands in the registry, and who certified before is never rewritten."""
    before = world.state.registry
    after = before.with_change(Change(1, ("alpha-1", "beta-1"), (), ()), 9)
    with pytest.raises(InvariantViolated, match="certifiers_are_noted"):
        invariants.check_certifiers(before, after, 9)
    noted = after.with_certifiers_after(9)
    invariants.check_certifiers(before, noted, 9)
    with pytest.raises(InvariantViolated, match="registry_only_grows"):
        invariants.check_certifiers(before, replace_value(noted, certifiers=noted.certifiers[1:]), 9)
