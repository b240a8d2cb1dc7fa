"""Tests of what members decide from the command line: nodes, membership, parameters, rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.governance import admin_keys
from cli.what_if import what_if
from ledger.genesis import decode_genesis
from ledger.keys import public_bytes
from ledger.membership import Decision
from node.plan import plan_network
from node.provision import create_network
from tests.unit.cli.conftest import PASSPHRASE, Nostro, document
from tests.unit.cli.world import World
from tests.unit.ledger import sample
from wallet import network_answers
from wallet.keystore_file import ScryptCost

SIGNERS = ("--signer", "admin", "--signer", "issuer")
NEW = ("members", "register", "node-beta-2", "--member", "beta", "--address", "beta.example:7001")


def membership(*voters: str, rule: str = "majority") -> network_answers.Membership:
    """One with these voters and nothing pending."""
    decision = network_answers.Decision(version=1, from_height=0, voting=False, pending=False)
    return network_answers.Membership(
        version=1,
        voters=voters,
        outgoing=(),
        learners=(),
        changed_height=0,
        certificate_rule=rule,
        decision=decision,
    )


@pytest.mark.parametrize(
    ("voters", "rule", "quorum", "tolerated"),
    [
        ("a", "majority", 1, 0),
        ("ab", "majority", 2, 0),
        ("abc", "majority", 2, 1),
        ("abcde", "majority", 3, 2),
        ("abcd", "byzantine", 3, 1),
        ("abcdefg", "byzantine", 5, 2),
    ],
)
def test_how_many_must_run_and_may_fail(voters: str, rule: str, quorum: int, tolerated: int) -> None:
    """The majority of Raft, or what a certificate takes where that is more."""
    found = what_if(membership(*voters, rule=rule), frozenset(voters), None, None).before
    assert (found.quorum, found.tolerated, found.has_quorum) == (quorum, tolerated, True)


@pytest.mark.parametrize(
    ("voters", "reachable", "add", "remove", "good"),
    [
        ("abc", "abc", None, "c", True),
        ("abc", "ab", None, "c", True),
        ("abc", "ac", None, "c", False),
        ("abcde", "abc", None, "a", False),
        ("abcde", "abcd", None, "a", True),
        ("abc", "ab", "d", "c", True),
        ("abc", "ac", "d", "c", True),
        ("abc", "c", "d", "c", False),
    ],
)
def test_what_would_lose_the_quorum_is_refused(
    voters: str, reachable: str, add: str | None, remove: str | None, good: bool
) -> None:
    """Judged by the nodes that run now; one that comes in runs, for it votes only once it has caught up."""
    outlook = what_if(membership(*voters), frozenset(reachable), add, remove)
    assert outlook.after.has_quorum is good
    if good:
        outlook.check()
    else:
        with pytest.raises(CommandError, match="would lose its quorum"):
            outlook.check()


def test_members_lists_banks_nodes_and_roles(nostro: Nostro, world: World) -> None:
    """Who there is, whose keys decide, and which node votes."""
    shown = document(nostro("members", "--json"))
    assert [member["id"] for member in shown["members"]] == ["alpha", "beta", "gamma"]
    assert shown["membership"]["voters"] == ["node-alpha", "node-beta", "node-gamma"]
    result = nostro("members")
    assert "Bank Beta" in result.stdout
    assert "voter" in result.stdout
    assert "3 nodes vote, 2 must run, 1 may fail" in result.stderr


def test_a_node_is_registered_and_let_in(nostro: Nostro, world: World) -> None:
    """Signed by two of three members; pending until the cluster has carried it out."""
    registered = nostro(*NEW, "--key", sample.public_key(24).hex(), *SIGNERS)
    assert registered.exit_code == 0, registered.output
    moved = nostro(*NEW[:-1], "beta.example:7002", "--key", sample.public_key(24).hex(), *SIGNERS)
    assert moved.exit_code == 0, moved.output
    assert world.host.state.registry.nodes["node-beta-2"].address == "beta.example:7002"
    replaced = nostro("members", "replace", "node-beta", "node-beta-2", "--yes", *SIGNERS)
    assert replaced.exit_code == 0, replaced.output
    decision = world.host.state.registry.membership_decisions.entries[-1][1]
    assert decision == Decision(("node-beta-2",), True, ("node-beta",))
    listed = nostro("members")
    assert "Decided and not carried out yet: add node-beta-2 and remove node-beta" in listed.stderr
    assert "registered" in listed.stdout
    again = nostro("members", "remove", "node-alpha", "--yes", *SIGNERS)
    assert (again.exit_code, "isn't carried out yet" in again.output) == (3, True)


def test_a_removal_is_taken_back(nostro: Nostro, world: World) -> None:
    """What waits is shown, then taken back; where nothing waits, that is said."""
    nothing = nostro("members", "cancel", "--yes", *SIGNERS)
    assert (nothing.exit_code, "every decision is carried out" in nothing.output) == (3, True)
    assert nostro("members", "remove", "node-gamma", "--yes", *SIGNERS).exit_code == 0
    shown = document(nostro("members", "cancel", "--dry-run", "--json"))
    assert shown == {"taken_back": {"add": None, "remove": "node-gamma", "version": 2}}
    assert len(world.host.state.registry.membership_decisions.entries) == 2
    cancelled = nostro("members", "cancel", "--yes", *SIGNERS)
    assert cancelled.exit_code == 0, cancelled.output
    assert world.host.state.registry.membership_decisions.entries[-1][1] == Decision()
    assert "take back the one before" in nostro("members").stderr
    for way in (("--dry-run",), ("--yes", *SIGNERS)):
        again = nostro("members", "cancel", *way)
        assert (again.exit_code, "is taken back already" in again.output) == (3, True)
    assert len(world.host.state.registry.membership_decisions.entries) == 3


def test_one_decision_waits_for_the_other(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """A dry run refuses what the ledger would; what the pending one adds may be given up, and a file made."""
    assert nostro(*NEW, "--key", sample.public_key(24).hex(), *SIGNERS).exit_code == 0
    assert nostro("members", "replace", "node-beta", "node-beta-2", "--yes", *SIGNERS).exit_code == 0
    for extra in (("--dry-run",), ("--yes", *SIGNERS)):
        result = nostro("members", "remove", "node-gamma", *extra)
        assert (result.exit_code, result.stdout) == (3, ""), result.output
        assert "isn't carried out yet: add node-beta-2 and remove node-beta, from block" in result.stderr
    given_up = nostro("members", "remove", "node-beta-2", "--dry-run")
    assert (given_up.exit_code, "then" in given_up.stdout) == (0, True), given_up.output
    later = nostro("members", "remove", "node-gamma", "--out", str(tmp_path / "decision"), *SIGNERS)
    assert later.exit_code == 0, later.output


def test_too_few_members_decide_nothing(nostro: Nostro, world: World) -> None:
    """One of three is refused by the ledger."""
    result = nostro("members", "remove", "node-gamma", "--yes", "--signer", "admin")
    assert result.exit_code == 3
    assert "policy" in result.output


def test_dry_run_tells_the_quorum_before_and_after(nostro: Nostro, world: World) -> None:
    """Nothing is signed, and nothing decided."""
    shown = document(nostro("members", "remove", "node-gamma", "--dry-run", "--json"))
    before, after = shown["before"], shown["after"]
    assert (before["quorum"], before["tolerated_failures"]) == (2, 1)
    assert (after["quorum"], after["tolerated_failures"]) == (2, 0)
    assert after["voters"] == ["node-alpha", "node-beta"]
    lines = nostro("members", "remove", "node-gamma", "--dry-run").stdout.splitlines()
    assert lines[0].startswith("now   3 voting nodes, 2 must run, 1 may fail")
    assert lines[1].startswith("then  2 voting nodes, 2 must run, 0 may fail")
    assert len(world.host.state.registry.membership_decisions.entries) == 1


def test_nobody_decides_on_a_node_that_is_not_there(nostro: Nostro, world: World) -> None:
    """Neither a dry run nor a decision takes a mistyped id for a node."""
    for extra in (("--dry-run",), ("--yes", *SIGNERS)):
        for change, words in (
            (("add", "node-beta-2"), "No node node-beta-2 is registered"),
            (("replace", "node-beta", "node-beta-2"), "No node node-beta-2 is registered"),
            (("remove", "node-delta"), "No node node-delta is in the cluster"),
        ):
            result = nostro("members", *change, *extra)
            assert (result.exit_code, words in result.stderr) == (4, True), result.output


def test_what_would_lose_the_quorum_is_not_submitted(nostro: Nostro, world: World) -> None:
    """Where no other node is reached, none of those that run may go."""
    world.host.quorum = False
    for extra in (("--dry-run",), ("--yes", *SIGNERS)):
        result = nostro("members", "remove", "node-gamma", *extra)
        assert result.exit_code == 5
        assert "would lose its quorum" in result.stderr


def test_somebody_must_say_yes(nostro: Nostro, world: World) -> None:
    """Without a terminal and without --yes nothing is decided."""
    result = nostro("members", "remove", "node-gamma", *SIGNERS)
    assert (result.exit_code, "add --yes" in result.stderr) == (2, True)


def test_a_decision_goes_from_bank_to_bank(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """Written unsigned, signed by two banks one after the other, and submitted."""
    file = tmp_path / "decision.json"
    made = nostro("members", "remove", "node-gamma", "--out", file, *SIGNERS)
    assert made.exit_code == 0, made.output
    for signer in ("admin", "issuer"):
        assert nostro("payment", "sign", file, "--signer", signer, "--yes").exit_code == 0
    assert "add and remove those named below" in nostro("payment", "show", file).stdout
    assert nostro("payment", "submit", file).exit_code == 0
    assert world.host.state.registry.membership_pending(world.host.position().height + 1)


def test_without_keys_or_a_folder_it_says_what_to_do(nostro: Nostro, world: World) -> None:
    """Decisions need the keys of a majority."""
    result = nostro("members", "remove", "node-gamma", "--yes")
    assert (result.exit_code, "--signer" in result.stderr) == (2, True)


def test_parameters_are_listed_and_changed(nostro: Nostro, world: World) -> None:
    """What isn't named stays; the schedule shows both."""
    height = world.host.position().height + 70
    changed = nostro("parameters", "set", "--most-signers", "29", "--from-height", height, *SIGNERS)
    assert changed.exit_code == 0, changed.output
    shown = document(nostro("parameters", "--json"))
    newest = shown["schedule"][-1]
    assert (newest["from_height"], newest["parameters"]["signers"]) == (height, 29)
    assert newest["parameters"]["block_envelopes"] == 5_000
    assert "CERTIFICATE RULE" in nostro("parameters").stdout
    soon = nostro("parameters", "set", "--most-signers", "29", "--from-height", 5, *SIGNERS)
    assert soon.exit_code == 3


def test_rules_are_shown_and_activated(nostro: Nostro, world: World) -> None:
    """The version in force, and the one decided."""
    height = world.host.position().height + 70
    assert nostro("rules", "set", 2, "--from-height", height, *SIGNERS).exit_code == 0
    shown = json.loads(nostro("rules", "--json").stdout)
    assert (shown["current"], shown["schedule"][-1]) == (1, {"from_height": height, "rules": 2})
    assert "RULES" in nostro("rules").stdout
    assert nostro("rules", "set", 2, "--from-height", height, *SIGNERS).exit_code == 3


def test_a_networks_folder_signs_for_a_majority(tmp_path: Path) -> None:
    """The admin keys of just more than half of the members, and what is said where there are too few."""
    network = create_network(
        plan_network(nodes=1, banks=2, seed=b"members"),
        tmp_path / "net",
        PASSPHRASE,
        keystore_cost=ScryptCost(n=1024),
    )
    members = [member.id for member in network.members]
    keys = admin_keys(network, PASSPHRASE, members)
    genesis = decode_genesis(network.genesis.read_bytes())
    policies = [member.admin_policy.keys[0].key for member in genesis.members]
    assert [public_bytes(key) for key in keys] == policies[:2]
    with pytest.raises(CommandError, match="4 of 6 members must sign"):
        admin_keys(network, PASSPHRASE, [*members, "x", "y", "z"])
