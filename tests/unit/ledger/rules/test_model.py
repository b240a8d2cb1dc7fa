"""The rules against their dumb twin, over random sequences of every kind, block by block."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.bodies import (
    Body,
    CloseAccount,
    CreateAsset,
    OpenAccount,
    SetFlags,
    SetLimit,
    SetMember,
    SetNode,
    SetPolicy,
    Transfer,
)
from ledger.envelope import Envelope
from ledger.genesis import decode_genesis
from ledger.outcome import OUTCOMES
from ledger.state import State
from tests.unit.ledger.rules.naive import NaiveLedger
from tests.unit.ledger.rules.world import ADMIN, ISSUANCE, TELLER, World, policy, public_key

MEMBERS = ("alpha", "beta", "central")
OWNERS = (51, 52)
EVERY_ADMIN = tuple(ADMIN.values())

Step = tuple[str, int, int, int, int]
"""What to do, with whom, to whom, how much, and whether something about it is wrong."""

KINDS = ["open", "pay", "pay", "pay", "policy", "limit", "flags", "close", "repeat", "reuse", "govern"]
STEPS = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 5), st.integers(0, 40), st.integers(0, 9)
)


class Player:
    """Turns steps into transactions over the accounts there are."""

    def __init__(self, world: World, twin: NaiveLedger) -> None:
        """Play on a world, choosing by what the twin knows."""
        self.world, self.twin = world, twin
        self.played: list[Envelope] = []

    def play(self, step: Step) -> Envelope:
        """The transaction of a step."""
        kind, who, whom, amount, wrong = step
        if kind in ("repeat", "reuse") and not self.played:
            kind = "open"
        if kind == "repeat":
            return self.played[who % len(self.played)]
        author, body, signers, tx_id = getattr(self, "_" + kind)(who, whom, amount, wrong)
        envelope = self.world.envelope(author, body, signers, tx_id=tx_id)
        self.played.append(envelope)
        return envelope

    def _account(self, place: int) -> bytes:
        accounts = list(self.twin.accounts)
        return accounts[place % len(accounts)]

    def _key(self, account: bytes) -> int:
        keys = {public_key(n): n for n in (*OWNERS, ISSUANCE, 60)}
        return keys[self.twin.accounts[account]["policy"].keys[0].key]

    def _version(self, account: bytes, wrong: int) -> int:
        return int(self.twin.accounts[account]["version"]) + (wrong == 1)

    def _open(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], None]:
        member = MEMBERS[who % 3]
        asset = ("EUR", "USD", "XAU")[whom % 3]
        return member, OpenAccount(asset, policy(OWNERS[amount % 2])), [TELLER[member]], None

    def _pay(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], None]:
        payer, payee = self._account(who), self._account(whom)
        if wrong == 1:
            payee = bytes(21)
        asset = "USD" if wrong == 2 else self.twin.accounts[payer]["asset"]
        signer = 99 if wrong == 3 else self._key(payer)
        return payer, Transfer(payee, asset, amount + 1), [signer], None

    def _policy(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], None]:
        account = self._account(who)
        body = SetPolicy(account, self._version(account, wrong), policy(60))
        if whom % 2:
            return MEMBERS[whom % 3], body, [ADMIN[MEMBERS[whom % 3]]], None
        author = self._account(whom) if wrong == 2 else account
        return author, body, [self._key(author)], None

    def _limit(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], None]:
        account, issuer = self._account(who), "central" if wrong != 2 else "beta"
        body = SetLimit(account, self._version(account, wrong), amount)
        return issuer, body, [ADMIN[issuer]], None

    def _flags(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], None]:
        account, member = self._account(who), MEMBERS[whom % 3]
        flags = (0, 0, 1, 2, 3, 8, 16, 24, 4, 27)[amount % 10]
        return member, SetFlags(account, self._version(account, wrong), flags), [TELLER[member]], None

    def _close(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], None]:
        account = self._account(who)
        body = CloseAccount(account, self._version(account, wrong))
        if whom % 2:
            member = MEMBERS[whom % 3]
            return member, body, [TELLER[member]], None
        return account, body, [self._key(account)], None

    def _reuse(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], bytes]:
        earlier = self.played[who % len(self.played)].payload
        author, body, signers, _ = self._pay(who, whom, amount, wrong)
        if earlier.author in self.twin.accounts:
            return earlier.author, body, [self._key(earlier.author)], earlier.tx_id
        return author, body, signers, earlier.tx_id

    def _govern(self, who: int, whom: int, amount: int, wrong: int) -> tuple[Any, Body, list[int], None]:
        issuer = "gamma" if wrong == 1 else MEMBERS[whom % 3]
        node = f"{issuer}-{1 + whom % 2}"
        known: dict[str, Any] = self.twin.nodes.get(node, {"version": 0, "key": public_key(70 + whom)})
        bodies: list[Body] = [
            CreateAsset("XAU", 2, issuer, policy(ISSUANCE)),
            SetMember("delta", "Bank delta", policy(14), policy(24), amount % 3),
            SetNode(
                node, issuer, public_key(71) if wrong == 2 else known["key"], "n.test:1", known["version"]
            ),
        ]
        signers = [ADMIN["alpha"]] if wrong == 3 else [*EVERY_ADMIN, 14]
        return "alpha", bodies[who % 3], signers, None


def summary(world: World) -> dict[bytes, dict[str, Any]]:
    """The accounts of a world in the twin's form."""
    return {
        a.id: {
            "member": a.member,
            "asset": a.asset,
            "policy": a.policy,
            "limit": a.limit,
            "flags": a.flags,
            "version": a.version,
            "debits": a.debits_posted,
            "credits": a.credits_posted,
            "entries": a.entry_count,
        }
        for a in (world.state.account(n) for n in range(world.state.progress.account_count))
        if a is not None
    }


PROLOGUE: list[Step] = [
    ("open", 0, 0, 0, 0),
    ("open", 1, 0, 1, 0),
    ("open", 0, 1, 0, 0),
    ("pay", 0, 2, 39, 0),
    ("pay", 0, 3, 39, 0),
    ("pay", 1, 4, 39, 0),
]
"""Accounts in two assets, with money to pay from."""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(STEPS, max_size=8), max_size=6))
def test_rules_agree_with_their_dumb_twin(blocks: list[list[Step]]) -> None:
    """Outcomes, balances, versions, flags, entries and registry are the twin's after every block."""
    world = World()
    twin = NaiveLedger(decode_genesis(world.genesis_raw))
    player = Player(world, twin)
    for steps in [PROLOGUE, *blocks]:
        envelopes, expected = [], []
        for step in steps:
            envelopes.append(player.play(step))
            expected.append(twin.transact(envelopes[-1]))
        outcomes = [OUTCOMES[outcome].name for outcome in world.outcomes(*envelopes)]
        assert outcomes == expected
        assert summary(world) == twin.accounts
    registry = State.open(world.rows).registry
    assert {m.id: m.version for m in registry.members.values()} == {
        name: member["version"] for name, member in twin.members.items()
    }
    assert {n.id: n.version for n in registry.nodes.values()} == {
        name: node["version"] for name, node in twin.nodes.items()
    }
    assert {a.code: a.issuer for a in registry.assets.values()} == twin.assets
