"""Tests of `nostro account`: open, look, change."""

from __future__ import annotations

import pytest

from api.ports import Forgotten
from cli import address_book
from cli.errors import CommandError
from cli.exits import Exit
from cli.policies import parse_policy
from cli.wallet_files import WalletFiles
from ledger.policy import Policy
from tests.unit.cli.conftest import Nostro, document
from tests.unit.cli.world import World, public_keys
from wallet.keystore import Keystore


def test_open(nostro: Nostro, world: World) -> None:
    """The teller opens it for a key of the keystore, and the address book knows it from then on."""
    assert nostro("key", "new", "carol").exit_code == 0
    result = nostro(
        "account", "open", "carol", "--member", "beta", "--asset", "EUR", "--signer", "teller", "--json"
    )
    assert result.exit_code == 0, result.stderr
    entry = address_book.read(world.folder / "accounts.json")["carol"]
    assert entry == address_book.Entry(document(result)["address"], "EUR", "beta", "carol")
    assert nostro("pay", "carol", "3", "--from", "alice").exit_code == 0
    assert nostro("pay", "bob", "2", "--from", "carol").exit_code == 0
    assert document(nostro("account", "show", "carol", "--json"))["balance"] == "1.00"


def test_open_for_several_keys(nostro: Nostro, world: World) -> None:
    """Keys have weights, and the threshold is as given."""
    arguments = ("--key", "alice=2", "--key", public_keys([99])[0], "--threshold", "2")
    result = nostro(
        *("account", "open", "joint", "--member", "beta", "--asset", "EUR", "--signer", "teller"), *arguments
    )
    assert result.exit_code == 0, result.stderr
    policy = document(nostro("account", "show", "joint", "--json"))["policy"]
    assert policy["threshold"] == 2
    assert sorted(key["weight"] for key in policy["keys"]) == [1, 2]


def test_open_without_right(nostro: Nostro, world: World) -> None:
    """A key that isn't the teller's is refused, and no name is taken for it."""
    arguments = ("--key", "alice", "--member", "beta", "--asset", "EUR", "--signer", "alice")
    assert nostro("account", "open", "carol", *arguments).exit_code == Exit.REFUSED
    assert "carol" not in address_book.read(world.folder / "accounts.json")


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("alice", ("--asset", "EUR"), Exit.ERROR),
        ("carol", ("--asset", "EUR"), Exit.NOT_FOUND),
        ("carol", ("--asset", "USD", "--key", "alice"), Exit.NOT_FOUND),
        ("carol", ("--asset", "EUR", "--key", "alice=0"), Exit.USAGE),
        ("carol", ("--asset", "EUR", "--key", "alice=256"), Exit.ERROR),
        ("carol", ("--asset", "EUR", "--key", "alice", "--key", "alice"), Exit.USAGE),
        ("carol", ("--asset", "EUR", "--key", "alice", "--threshold", "2"), Exit.ERROR),
        ("a b", ("--asset", "EUR", "--key", "alice"), Exit.USAGE),
    ],
)
def test_open_with_mistakes(
    nostro: Nostro, world: World, name: str, arguments: tuple[str, ...], code: Exit
) -> None:
    """Names, keys, weights and thresholds are checked before anything is sent."""
    height = world.host.position().height
    result = nostro("account", "open", name, "--member", "beta", "--signer", "teller", *arguments)
    assert result.exit_code == code, result.stderr
    assert world.host.position().height == height


def test_heaviest_key(keystore: Keystore) -> None:
    """A weight of 255 is taken; without a threshold all must sign."""
    policy = parse_policy(WalletFiles(keystore.path), ("alice=255", "bob"), None)
    assert isinstance(policy, Policy)
    assert policy.threshold == 256


def test_policy_names_a_key_once(keystore: Keystore) -> None:
    """The same key by alias and in hex is the same key."""
    same = keystore.public_keys()["alice"].hex()
    with pytest.raises(CommandError, match="twice"):
        parse_policy(WalletFiles(keystore.path), ("alice", same), None)


def test_show(nostro: Nostro, world: World) -> None:
    """Balance, limit and flags in words, by name or by address."""
    for name in ("alice", world.address("alice")):
        shown = nostro("account", "show", name)
        assert "balance    1000.00 EUR" in shown.stdout
        assert "flags      none" in shown.stdout


def test_show_unknown_account(nostro: Nostro, world: World) -> None:
    """A name that isn't in the book, and an address that no account has, are not found."""
    from ledger.keys import address
    from tests.unit.ledger import sample

    nobody = address(sample.NETWORK_NAME, sample.CUSTOMER_ACCOUNT)
    assert nostro("account", "show", "zoe").exit_code == Exit.NOT_FOUND
    assert nostro("account", "show", nobody).exit_code == Exit.NOT_FOUND


def test_list(nostro: Nostro, world: World) -> None:
    """The address book's accounts."""
    listed = document(nostro("account", "list", "--json"))["accounts"]
    assert [(account["name"], account["key"]) for account in listed] == [("alice", "alice"), ("bob", "bob")]
    assert world.address("alice") in nostro("account", "list").stdout


def test_history(nostro: Nostro, world: World) -> None:
    """Newest first, refused ones too, at most as many as asked for."""
    nostro("pay", "bob", "5", "--from", "alice")
    nostro("pay", "bob", "5000", "--from", "alice")
    entries = document(nostro("account", "history", "alice", "--json"))["payments"]
    assert [entry["outcome"]["name"] for entry in entries[:2]] == ["insufficient_funds", "executed"]
    assert [entry["entry"] for entry in entries] == [4, 3, 2, 1]
    assert len(document(nostro("account", "history", "alice", "--limit", "2", "--json"))["payments"]) == 2
    assert nostro("account", "history", "alice", "--limit", "0").exit_code == Exit.USAGE


def test_history_that_a_node_has_forgotten_in_part(nostro: Nostro, world: World) -> None:
    """What it holds is shown, and who holds the rest; who asked for no more isn't told."""
    nostro("pay", "bob", "5", "--from", "alice")
    world.host.forgotten = Forgotten(world.host.position().height - 1, ("n2", "n5"))
    shown = nostro("account", "history", "alice")
    assert shown.exit_code == 0, shown.output
    assert "5.00" in shown.stdout
    assert f"forgotten blocks up to {world.host.forgotten.height}: ask n2, n5" in shown.stderr
    found = document(nostro("account", "history", "alice", "--json"))
    assert len(found["payments"]) == 1
    assert found["forgotten"] == {"height": world.host.forgotten.height, "held_by": ["n2", "n5"]}
    assert nostro("account", "history", "alice", "--limit", "1").stderr == ""


def test_freeze_and_free(nostro: Nostro, world: World) -> None:
    """The member's teller sets a flag and clears it; in between nothing is paid."""
    assert nostro("account", "set-flags", "alice", "--add", "no_debit", "--signer", "teller").exit_code == 0
    assert document(nostro("account", "show", "alice", "--json"))["flag_names"] == ["no_debit"]
    refused = nostro("pay", "bob", "1", "--from", "alice", "--json")
    assert document(refused)["outcome"]["name"] == "debit_frozen"
    assert (
        nostro("account", "set-flags", "alice", "--remove", "no_debit", "--signer", "teller").exit_code == 0
    )
    assert nostro("pay", "bob", "1", "--from", "alice").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [(), ("--add", "no_debit", "--remove", "no_debit"), ("--add", "closed")]
)
def test_flags_that_say_nothing(nostro: Nostro, world: World, arguments: tuple[str, ...]) -> None:
    """No flag, one both ways, or one that only closing sets: usage."""
    result = nostro("account", "set-flags", "alice", "--signer", "teller", *arguments)
    assert result.exit_code == Exit.USAGE


def test_limit(nostro: Nostro, world: World) -> None:
    """The asset's issuer lets an account go below zero, down to the limit and not beyond."""
    assert nostro("account", "set-limit", "alice", "50.00", "--signer", "issuer").exit_code == 0
    assert nostro("pay", "bob", "1050.01", "--from", "alice").exit_code == Exit.REFUSED
    assert nostro("pay", "bob", "1050.00", "--from", "alice").exit_code == 0
    assert document(nostro("account", "show", "alice", "--json"))["balance"] == "-50.00"


def test_limit_by_another(nostro: Nostro, world: World) -> None:
    """Only the issuer may set it."""
    result = nostro("account", "set-limit", "alice", "50", "--by", "beta", "--signer", "admin")
    assert result.exit_code == Exit.REFUSED


def test_new_keys(nostro: Nostro, world: World) -> None:
    """After a rotation the old key pays no more and the new one does."""
    assert nostro("account", "set-policy", "alice", "--key", "bob", "--signer", "alice").exit_code == 0
    assert nostro("pay", "bob", "1", "--from", "alice").exit_code == Exit.REFUSED
    assert nostro("pay", "bob", "1", "--from", "bob", "--account", "alice").exit_code == 0


def test_recovery(nostro: Nostro, world: World) -> None:
    """A customer's lost key is replaced by the member's admin key."""
    arguments = ("--key", "bob", "--by", "beta", "--signer", "admin")
    assert nostro("account", "set-policy", "alice", *arguments).exit_code == 0
    assert nostro("pay", "bob", "1", "--from", "bob", "--account", "alice").exit_code == 0


def test_close(nostro: Nostro, world: World) -> None:
    """Only an empty account is closed, and then it is closed for ever."""
    assert nostro("account", "close", "alice", "--signer", "alice").exit_code == Exit.REFUSED
    assert nostro("pay", "bob", "1000", "--from", "alice").exit_code == 0
    assert nostro("account", "close", "alice", "--signer", "alice").exit_code == 0
    assert nostro("pay", "alice", "1", "--from", "bob").exit_code == Exit.REFUSED


def test_signer_is_needed(nostro: Nostro, world: World) -> None:
    """Nothing is signed by a key that wasn't named."""
    assert nostro("account", "close", "alice").exit_code == Exit.USAGE
