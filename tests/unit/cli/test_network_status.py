"""The status of a network's nodes: what is shown of one that answers, and of one that does not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli.background import alone_with, last_words, nodes_of
from cli.errors import CommandError
from cli.exits import Exit
from cli.network_status import duration, tell_warnings
from cli.output import Output
from node.plan import plan_network
from node.provision import ProvisionedNetwork, create_network
from tests.unit.cli.conftest import Nostro, document
from tests.unit.node.test_admin import REPORT
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost


@pytest.fixture
def network(tmp_path: Path) -> ProvisionedNetwork:
    """Two nodes that never ran."""
    plan = plan_network(nodes=2, ports=list(range(1, 7)))
    return create_network(plan, tmp_path / "net", "passphrase", keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "-"),
        (0, "0s"),
        (59_999, "59s"),
        (60_000, "1m00s"),
        (3_599_999, "59m59s"),
        (3_600_000, "1h00m"),
        (86_399_999, "23h59m"),
        (86_400_000, "1d00h"),
        (90_000_000_000, "1041d16h"),
    ],
)
def test_a_time_span_in_its_two_largest_units(ms: int | None, text: str) -> None:
    """Short enough for a column, at every boundary."""
    assert duration(ms) == text


def test_nodes_that_do_not_run_are_down(nostro: Nostro, network: ProvisionedNetwork) -> None:
    """The table says it of each, the error says what to do, the code is that of no quorum."""
    result = nostro("network", "status", network.directory)
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stdout.count("down") == 2
    assert "CERT DAYS" in result.stdout
    assert f"nostro network up {network.directory}" in result.stderr
    found = document(nostro("network", "status", network.directory, "--json"))["nodes"]
    assert [(each["node"], each["pid"], each["ready"]) for each in found] == [
        ("alpha-1", None, False),
        ("bravo-1", None, False),
    ]


def test_a_further_nodes_files_come_with_what_to_do_next(nostro: Nostro, network: ProvisionedNetwork) -> None:
    """As commands, with the node's key and address filled in."""
    folder = network.directory
    made = nostro("network", "add-node", folder, "--node", "bravo-2", "--member", "bravo", "--json")
    node = document(made)
    register, add, up = (line.split() for line in made.stderr.splitlines() if line.startswith("  nostro "))
    assert register[:4] == ["nostro", "members", "register", "bravo-2"]
    assert {node["key"], node["address"], "bravo", str(folder)} < set(register)
    assert add == ["nostro", "members", "add", "bravo-2", "--network", str(folder)]
    assert up == ["nostro", "network", "up", str(folder), "bravo-2"]


@pytest.mark.parametrize(
    ("voters", "learners", "part"),
    [
        (("alpha-1", "bravo-1"), (), "follower"),
        (("bravo-1",), ("alpha-1",), "learner"),
        (("bravo-1",), (), "none"),
    ],
)
def test_what_a_node_is_to_the_cluster(voters: tuple[str, ...], learners: tuple[str, ...], part: str) -> None:
    """Its role counts only where it votes: a node that was let go is a follower of nobody."""
    assert msgspec.structs.replace(REPORT, role="follower", voters=voters, learners=learners).part == part


def test_a_node_that_was_let_go_is_retired_whatever_it_still_hears() -> None:
    """The block that drops it from the learners doesn't reach it any more."""
    report = msgspec.structs.replace(REPORT, voters=("bravo-1",), learners=("alpha-1",), retired=True)
    assert report.part == "retired"


def test_rules_that_a_node_lacks_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the height before which it will stop, while there is time to install a newer version."""
    report = msgspec.structs.replace(REPORT, missing_rules=(4_100, 2))
    known = {**msgspec.to_builtins(report), "answers": True, "ready": True}
    tell_warnings(Output(), [known])
    assert "alpha-1 lacks rules 2, and stops before block 4,100" in capsys.readouterr().err


def test_unknown_nodes_are_a_usage_error(nostro: Nostro, network: ProvisionedNetwork) -> None:
    """The names that there are are listed; nothing is started for the ones that are right."""
    result = nostro("network", "up", network.directory, "alpha-1", "zulu-1")
    assert result.exit_code == Exit.USAGE
    assert "no node zulu-1" in result.stderr
    assert "alpha-1, bravo-1" in result.stderr
    assert not nodes_of(network)[0].pid_file.exists()


def test_a_node_named_twice_is_taken_once(network: ProvisionedNetwork) -> None:
    """In the order in which they were named."""
    assert [node.id for node in nodes_of(network, ["bravo-1", "alpha-1", "bravo-1"])] == [
        "bravo-1",
        "alpha-1",
    ]


def test_two_commands_do_not_start_nodes_at_once(nostro: Nostro, network: ProvisionedNetwork) -> None:
    """The second one is refused while the first has the folder, and not afterwards."""
    with alone_with(network.directory):
        refused = nostro("network", "down", network.directory)
        with pytest.raises(CommandError, match="Another command"), alone_with(network.directory):
            pass
    assert (refused.exit_code, "Another command" in refused.stderr) == (Exit.ERROR, True)
    assert nostro("network", "down", network.directory).exit_code == Exit.DONE


def test_last_words_of_a_node_that_said_nothing(network: ProvisionedNetwork) -> None:
    """Nothing is said in so many words."""
    assert last_words(nodes_of(network)[0]).strip() == "(nothing)"


def test_a_command_without_the_cas_key(nostro: Nostro, network: ProvisionedNetwork) -> None:
    """Who hasn't the key is told who has, and that certificates are no secret."""
    (network.directory / "ca" / "ca.key").unlink()
    result = nostro("network", "renew", network.directory)
    assert result.exit_code == Exit.ERROR
    assert "Only its keeper has its key" in result.stderr


def test_certificates_alone_are_renewed_by_the_keeper(nostro: Nostro, network: ProvisionedNetwork) -> None:
    """A bank's certificate, sent without its key, comes back with the bank's own names."""
    sent = network.directory.parent / "sent.pem"
    sent.write_bytes((network.directory / "nodes" / "alpha-1" / "node.pem").read_bytes())
    result = nostro("node", "renew", sent, "--ca", network.directory / "ca", "--json")
    assert [each["certificate"] for each in document(result)["renewed"]] == [str(sent)]
    assert sent.read_bytes() != (network.directory / "nodes" / "alpha-1" / "node.pem").read_bytes()
