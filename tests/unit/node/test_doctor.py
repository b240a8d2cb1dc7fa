"""The examination of a node: each check says ok where all is well, and names what isn't with what to do."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.records import LEARNER, REGISTERED, RETIRED, VOTING, NodeRecord, account_row_key
from node import doctor_files, tls
from node.certificates import EXPIRY_WARNING_DAYS
from node.config import NodeConfig, load_config
from node.disk import LevelDatabase
from node.doctor import examine
from node.doctor_files import Stored, check_membership
from node.doctor_links import CLOCK_FAILED_S, CLOCK_WARNING_S, check_clock, clock_ahead_s
from node.findings import FAILED, OK, WARNING, Finding
from node.local import free_node_ports
from node.plan import plan_network
from node.provision import ProvisionedNetwork, create_network
from node.store import Store
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

NODE = "alpha-1"
NOW = datetime.datetime(2026, 11, 21, 5, 0, 0, 500_000, tzinfo=datetime.UTC)


def provision(folder: Path, nodes: int = 1) -> ProvisionedNetwork:
    """A network that has never run; its first node is examined."""
    plan = plan_network(nodes=nodes, ports=free_node_ports(nodes))
    return create_network(plan, folder / "net", "passphrase", keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))


def findings(network: ProvisionedNetwork) -> dict[str, Finding]:
    """What is found, by the name of the check."""
    return {found.check: found for found in asyncio.run(examine(network.config(NODE)))}


def config_of(network: ProvisionedNetwork) -> NodeConfig:
    return load_config(network.config(NODE))


def make_store(network: ProvisionedNetwork) -> LevelDatabase:
    """The node's database, made as its first start makes it."""
    database = LevelDatabase(config_of(network).data)
    Store.open(database, network.genesis.read_bytes(), NODE)
    return database


def replace(network: ProvisionedNetwork, old: str, new: str) -> None:
    """Change a line of the node's configuration."""
    path = network.config(NODE)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_healthy_node_is_ok_in_everything(tmp_path: Path) -> None:
    """A stopped node with its store: nothing fails, and nothing is warned of but that it is alone."""
    network = provision(tmp_path)
    make_store(network).close()
    found = findings(network)
    assert {check for check, each in found.items() if each.result != OK} == {"clock"}
    assert found["store"].what == (
        "stored to block 0, executed to 0, certified to 0; checksums and roots hold."
    )
    assert set(found) == {
        *("configuration", "signing key", "certificate node", "certificate api", "certificate ca"),
        *("port peer", "port api", "port admin", "disk", "store", "membership", "clock"),
    }


def test_an_examination_changes_nothing(tmp_path: Path) -> None:
    """A node that has never run has no store afterwards either, and is warned of starting without one."""
    network = provision(tmp_path)
    found = findings(network)["store"]
    assert (found.result, config_of(network).data.exists()) == (WARNING, False)
    assert "must not start" in found.remedy


def test_a_store_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    """The node runs, or another process has the store."""
    network = provision(tmp_path)
    database = make_store(network)
    found = findings(network)["store"]
    database.close()
    assert (found.result, "was not looked into" in found.what) == (OK, True)


def test_a_node_that_joined_isnt_taken_for_unknown_while_it_runs(tmp_path: Path) -> None:
    """Genesis doesn't name it, and the store that does is in use."""
    network = provision(tmp_path)
    database = make_store(network)
    _unknown_node(network)
    found = findings(network)["signing key"]
    database.close()
    assert (found.result, "stop the node to see" in found.what) == (OK, True)


@pytest.mark.parametrize(
    ("status", "result", "words"),
    [
        (REGISTERED, WARNING, "not in the cluster yet"),
        (LEARNER, OK, "doesn't vote"),
        (VOTING, OK, "the node votes"),
        (RETIRED, FAILED, "the members let this node go"),
    ],
)
def test_the_part_that_a_node_has_in_the_cluster_is_told(status: int, result: str, words: str) -> None:
    """As its store has it; nothing is said where that isn't known."""
    record = NodeRecord("alpha-1", "alpha", bytes(65), "alpha-1:7000", status, 1, 0)
    (found,) = check_membership("alpha-1", Stored({"alpha-1": record}))
    assert (found.result, words in found.what) == (result, True)
    assert bool(found.remedy) == (result != OK)
    assert not list(check_membership("alpha-2", Stored({"alpha-1": record})))
    assert not list(check_membership("alpha-1", None))


def test_a_damaged_state_is_found(tmp_path: Path) -> None:
    """What a start would refuse, the examination says beforehand."""
    network = provision(tmp_path)
    database = make_store(network)
    row = database.get(account_row_key(0))
    assert row is not None
    database.write({account_row_key(0): row[:-1] + bytes([row[-1] ^ 1])}, (), sync=True)
    database.close()
    found = findings(network)["store"]
    assert found.result == FAILED
    assert "do not lead to the accounts root" in found.what


def _missing_config(network: ProvisionedNetwork) -> None:
    network.config(NODE).unlink()


def _missing_genesis(network: ProvisionedNetwork) -> None:
    config_of(network).genesis.unlink()


def _open_signing_key(network: ProvisionedNetwork) -> None:
    config_of(network).signing_key.chmod(0o644)


def _other_signing_key(network: ProvisionedNetwork) -> None:
    config_of(network).signing_key.write_bytes(config_of(network).key.read_bytes())


def _unset_passphrase(network: ProvisionedNetwork) -> None:
    replace(network, 'data = "data"', 'data = "data"\npassphrase_env = "NOSTRO_TEST_UNSET"')


def _unknown_node(network: ProvisionedNetwork) -> None:
    replace(network, f'id = "{NODE}"', 'id = "alpha-2"')


def _other_key(network: ProvisionedNetwork) -> None:
    config_of(network).key.write_bytes(config_of(network).api_key.read_bytes())


def _api_certificate_for_peers(network: ProvisionedNetwork) -> None:
    config = config_of(network)
    config.certificate.write_bytes(config.api_certificate.read_bytes())
    config.key.write_bytes(config.api_key.read_bytes())


def _certificate_of_another_ca(network: ProvisionedNetwork) -> None:
    config, now = config_of(network), datetime.datetime.now(datetime.UTC)
    ca = tls.create_ca(network.name, now)
    issued = tls.issue(ca, NODE, [tls.node_name(NODE, network.name)], now)
    config.certificate.write_bytes(issued.certificate)
    config.key.write_bytes(issued.key)


def _open_tls_key(network: ProvisionedNetwork) -> None:
    config_of(network).api_key.chmod(0o640)


def _missing_ca(network: ProvisionedNetwork) -> None:
    config_of(network).ca.unlink()


def _hasty_elections(network: ProvisionedNetwork) -> None:
    replace(network, "tick_ms = 25", "tick_ms = 14")


def _rare_heartbeats(network: ProvisionedNetwork) -> None:
    replace(network, "heartbeat_ticks = 4", "heartbeat_ticks = 10")


def _unnamed_url(network: ProvisionedNetwork) -> None:
    replace(network, f"{NODE} = ", "bravo-1 = ")


@pytest.mark.parametrize(
    ("harm", "check", "result", "words"),
    [
        (_missing_config, "configuration", FAILED, "cannot read the configuration"),
        (_missing_genesis, "genesis", FAILED, "genesis can't be read"),
        (_hasty_elections, "configuration", WARNING, "after 280 ms"),
        (_rare_heartbeats, "configuration", WARNING, "fewer than three missed heartbeats"),
        (_unnamed_url, "configuration", WARNING, "api_urls doesn't name this node"),
        (_open_signing_key, "signing key", FAILED, "can be read by others"),
        (_other_signing_key, "signing key", FAILED, "under another key"),
        (_unset_passphrase, "signing key", FAILED, "NOSTRO_TEST_UNSET"),
        (_unknown_node, "signing key", WARNING, "has no node alpha-2"),
        (_other_key, "certificate node", FAILED, "cannot use the TLS files"),
        (_api_certificate_for_peers, "certificate node", FAILED, "it isn't for alpha-1.nodes."),
        (_certificate_of_another_ca, "certificate node", FAILED, "of another CA"),
        (_open_tls_key, "certificate api", WARNING, "others than its owner can read"),
        (_missing_ca, "certificate ca", FAILED, "cannot read the certificate"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, harm: Callable[[ProvisionedNetwork], None], check: str, result: str, words: str
) -> None:
    """The check that it belongs to, how bad it is, what it is, and what to do."""
    network = provision(tmp_path)
    harm(network)
    found = findings(network)[check]
    assert (found.result, words in found.what) == (result, True), found
    assert found.remedy


@pytest.mark.parametrize("name", ["node", "api"])
@pytest.mark.parametrize(
    ("left", "result"),
    [(EXPIRY_WARNING_DAYS + 1, OK), (EXPIRY_WARNING_DAYS - 1, WARNING), (1, WARNING), (-1, FAILED)],
)
def test_days_left_of_certificates(tmp_path: Path, name: str, left: int, result: str) -> None:
    """Warned of from sixty days on, failed once it has expired, each time with how to renew it."""
    network = provision(tmp_path)
    config = config_of(network)
    path = config.certificate if name == "node" else config.api_certificate
    issued_at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=tls.LEAF_DAYS - left)
    ca = tls.read_ca(network.directory / "ca")
    path.write_bytes(tls.renewed(ca, tls.read_certificate(path), issued_at))
    found = findings(network)[f"certificate {name}"]
    assert (found.result, "nostro node renew" in found.remedy) == (result, result != OK)


def test_a_port_that_another_holds(tmp_path: Path) -> None:
    """A server that shows no certificate of this node is somebody else."""
    network = provision(tmp_path)
    admin = config_of(network).admin
    with socket.create_server((admin.host, admin.port)) as server:
        server.settimeout(0)
        found = findings(network)
    assert found["port admin"].result == FAILED
    assert f"{admin.host}:{admin.port} can't be used: address already in use" in found["port admin"].what
    assert found["port api"].result == OK


def test_a_host_that_does_not_resolve(tmp_path: Path) -> None:
    """It is not called a port in use."""
    network = provision(tmp_path)
    path = network.config("alpha-1")
    path.write_text(path.read_text().replace('[peer]\nhost = "127.0.0.1"', '[peer]\nhost = "no such host"'))
    found = findings(network)["port peer"]
    assert found.result == FAILED
    assert "no such host doesn't resolve" in found.what
    assert "[peer]" in found.remedy


def test_peers_that_do_not_run_are_named(tmp_path: Path) -> None:
    """Each by itself, with its address; without any there is no clock to compare with."""
    found = findings(provision(tmp_path, nodes=3))
    for peer in ("bravo-1", "charlie-1"):
        assert found[f"peer {peer}"].result == FAILED
        assert "can't be reached" in found[f"peer {peer}"].what
    assert found["clock"].result == WARNING


@pytest.mark.parametrize(
    ("free", "result"),
    [
        (doctor_files.WARN_FREE_BYTES, OK),
        (doctor_files.WARN_FREE_BYTES - 1, WARNING),
        (doctor_files.LEAST_FREE_BYTES, WARNING),
        (doctor_files.LEAST_FREE_BYTES - 1, FAILED),
    ],
)
def test_free_space_is_judged(free: int, result: str) -> None:
    """Little is warned of, very little fails."""
    assert doctor_files.judge_space(free, Path("/data")).result == result


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        ("Sat, 21 Nov 2026 05:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 04:59:50 GMT", 10.0),
        ("Sat, 21 Nov 2026 05:00:10 GMT", -10.0),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_date_header_tells_how_far_ahead_this_clock_is(date: str | None, ahead_s: float | None) -> None:
    """It is cut to the second, so the middle of that second is taken."""
    assert clock_ahead_s(date, NOW) == ahead_s


@pytest.mark.parametrize(
    ("aheads_s", "result", "words"),
    [
        ([0.1, CLOCK_WARNING_S - 0.01, 50.0], OK, "within 2 s"),
        ([CLOCK_WARNING_S], WARNING, "2 s ahead of"),
        ([-CLOCK_WARNING_S], WARNING, "2 s behind"),
        ([-CLOCK_FAILED_S + 0.01], WARNING, "behind"),
        ([CLOCK_FAILED_S], FAILED, "10 s ahead of"),
        ([], WARNING, "no peer could be asked"),
    ],
)
def test_the_clock_is_compared_with_the_middle_peer(aheads_s: list[float], result: str, words: str) -> None:
    """One peer whose clock is wrong doesn't make this one's look wrong."""
    found = check_clock(aheads_s)
    assert (found.result, words in found.what) == (result, True)
