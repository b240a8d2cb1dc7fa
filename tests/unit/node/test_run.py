"""A node that can't start says why in one line and ends with 1, whatever it is that is in its way."""

from __future__ import annotations

import json
import logging
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.records import account_row_key
from node.config import load_config
from node.disk import LevelDatabase
from node.local import free_node_ports
from node.machine import raise_file_limit
from node.plan import plan_network
from node.provision import ProvisionedNetwork, create_network
from node.run import EXIT_CANNOT_START, run_node
from node.store import Store
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

NODE = "alpha-1"


@pytest.fixture(autouse=True)
def _standard_logging() -> Iterator[None]:
    """A node takes over the process's standard logging; the tests give it back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def provision(folder: Path, name: str = "first") -> ProvisionedNetwork:
    plan = plan_network(nodes=1, ports=free_node_ports(1))
    return create_network(plan, folder / name, "passphrase", keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))


def replace(network: ProvisionedNetwork, old: str, new: str) -> None:
    """Change a line of the node's configuration."""
    path = network.config(NODE)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refusal(network: ProvisionedNetwork, capsys: pytest.CaptureFixture[str]) -> str:
    """The reason in the last line that the node writes before it ends with 1."""
    assert run_node(network.config(NODE)) == EXIT_CANNOT_START
    lines = capsys.readouterr().err.splitlines()
    line = json.loads(lines[-1])
    assert (line["event"], line["level"]) == ("cannot_start", "error")
    return str(line["reason"])


def store_of(network: ProvisionedNetwork) -> LevelDatabase:
    """The node's database, made as the node makes it."""
    database = LevelDatabase(load_config(network.config(NODE)).data)
    Store.open(database, network.genesis.read_bytes(), NODE)
    return database


def test_a_configuration_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before there is a log, the line is plain words."""
    assert run_node(tmp_path / "node.toml") == EXIT_CANNOT_START
    assert capsys.readouterr().err.startswith("nostro: this node can't start: cannot read the configuration")


@pytest.mark.parametrize("section", ["peer", "api", "admin"])
def test_a_port_that_is_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str) -> None:
    """The line says which port of the three, and where to change it."""
    network = provision(tmp_path)
    port = getattr(load_config(network.config(NODE)), section).port
    with socket.create_server(("127.0.0.1", port)):
        reason = refusal(network, capsys)
    assert f"the {section} port 127.0.0.1:{port} can't be used: Address already in use" in reason
    assert f"[{section}]" in reason


@pytest.mark.parametrize("host", ["no such host", "\u00fc" * 64])
def test_a_host_that_does_not_resolve(tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str) -> None:
    """It is not called a port in use; the resolver's words are given, not those of a system error."""
    network = provision(tmp_path)
    section = '[peer]\nhost = "{}"'
    replace(network, section.format("127.0.0.1"), section.format(host))
    reason = refusal(network, capsys)
    with pytest.raises((socket.gaierror, UnicodeError)) as found:
        socket.getaddrinfo(host.encode("idna"), 0)
    words = found.value.strerror if isinstance(found.value, OSError) else str(found.value)
    assert f"the host {host} of the peer port doesn't resolve on this machine: {words}. " in reason
    assert "[peer]" in reason


def test_a_store_of_another_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A node never writes into what belongs to another chain."""
    first, second = provision(tmp_path, "first"), provision(tmp_path, "second")
    store_of(first).close()
    data = load_config(first.config(NODE)).data
    replace(second, 'data = "data"', f'data = "{data}"')
    assert "this store's network is" in refusal(second, capsys)


def test_a_store_that_another_process_has_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LevelDB's lock is explained."""
    network = provision(tmp_path)
    database = store_of(network)
    assert "in use by another process" in refusal(network, capsys)
    database.close()


def test_a_state_that_was_changed_on_the_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that don't lead to the certified root are refused before the node takes part in anything."""
    network = provision(tmp_path)
    database = store_of(network)
    row = database.get(account_row_key(0))
    assert row is not None
    database.write({account_row_key(0): row[:-1] + bytes([row[-1] ^ 1])}, (), sync=True)
    database.close()
    assert "do not lead to the accounts root" in refusal(network, capsys)


def test_a_genesis_that_is_missing_or_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are named with the file."""
    network = provision(tmp_path)
    genesis = load_config(network.config(NODE)).genesis
    genesis.write_bytes(genesis.read_bytes()[:-1])
    assert "is no genesis document" in refusal(network, capsys)
    genesis.unlink()
    assert f"cannot read genesis from {genesis}" in refusal(network, capsys)


def test_a_signing_key_that_is_not_the_chains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A node with the wrong key would sign blocks that nobody accepts."""
    first, second = provision(tmp_path, "first"), provision(tmp_path, "second")
    key = load_config(first.config(NODE)).signing_key
    key.write_bytes(load_config(second.config(NODE)).signing_key.read_bytes())
    assert f"the chain knows node {NODE} under another key" in refusal(first, capsys)


def test_a_node_id_that_the_chain_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt id is found at the start: its key is another node's."""
    network = provision(tmp_path)
    replace(network, f'id = "{NODE}"', 'id = "alpha-2"')
    assert "as another node's than alpha-2's" in refusal(network, capsys)


def test_a_passphrase_variable_that_is_not_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named."""
    network = provision(tmp_path)
    monkeypatch.delenv("NOSTRO_TEST_PASSPHRASE", raising=False)
    replace(
        network,
        'signing_key = "signing.key"',
        'signing_key = "signing.key"\npassphrase_env = "NOSTRO_TEST_PASSPHRASE"',
    )
    assert "NOSTRO_TEST_PASSPHRASE" in refusal(network, capsys)


def test_tls_files_that_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files are named."""
    network = provision(tmp_path)
    load_config(network.config(NODE)).api_certificate.unlink()
    assert "api.pem" in refusal(network, capsys)


def test_a_node_asks_for_as_many_open_files_as_it_may_have() -> None:
    """Up to what was wanted, never above the hard limit, and never down."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        raise_file_limit(201)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (201, hard)
        raise_file_limit(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (201, hard)
        raise_file_limit(hard + 1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
