"""What the tests of the command line share: running it in this process, and a keystore that opens quickly."""

from __future__ import annotations

import json
import operator
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from api.app import create_app
from cli.main import root
from cli.progress import Lines
from tests.unit.api.client import Api
from tests.unit.api.conftest import TEST_LIMITS, serving
from tests.unit.api.instant_host import InstantHost
from tests.unit.cli.world import World, found
from wallet.keystore import Keystore, create_keystore
from wallet.keystore_file import ScryptCost

PASSPHRASE = "a passphrase of the tests"
Nostro: TypeAlias = Callable[..., Result]
ENVIRONMENT = (
    "NOSTRO_URL",
    "NOSTRO_CA",
    "NOSTRO_NETWORK",
    "NOSTRO_KEYSTORE",
    "NOSTRO_PASSPHRASE",
    "NOSTRO_PASSPHRASE_FILE",
    "NO_COLOR",
)


@pytest.fixture
def nostro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nostro:
    """Run `nostro` with arguments in an empty folder, without the environment of whoever runs the tests."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, **env: str) -> Result:
        return CliRunner().invoke(
            root, [str(argument) for argument in arguments], env=env, prog_name="nostro"
        )

    return run


@pytest.fixture
def keystore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nostro: Nostro) -> Keystore:
    """A keystore with the keys alice and bob, which commands find without being told."""
    made = create_keystore(tmp_path / "keystore.json", PASSPHRASE, ScryptCost(n=1024))
    made.add_all({alias: ec.generate_private_key(ec.SECP256R1()) for alias in ("alice", "bob")})
    monkeypatch.setenv("NOSTRO_KEYSTORE", str(made.path))
    monkeypatch.setenv("NOSTRO_PASSPHRASE", PASSPHRASE)
    return made


@pytest.fixture(scope="session")
def application() -> FastAPI:
    """The API; each test puts its own ledger behind it."""
    return create_app(InstantHost(), TEST_LIMITS)


@pytest.fixture(scope="session")
def server(application: FastAPI) -> Iterator[Api]:
    """One server for all tests."""
    with serving(application, TEST_LIMITS) as api:
        yield api


@pytest.fixture
def world(application: FastAPI, server: Api, keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> World:
    """A fresh ledger behind the server, which commands find without being told; time is the ledger's own."""
    host = InstantHost()
    application.state.host = host
    made = found(f"http://127.0.0.1:{server.port}", host, keystore)
    monkeypatch.setenv("NOSTRO_URL", made.url)
    monkeypatch.setattr("cli.transact.now_ms", lambda: host.position().time_ms)
    return made


class Told(list[tuple[str, int, int]]):
    """What a command has told of its progress: the label, how much is done, and of how much."""

    def ends(self) -> dict[str, int]:
        """The labels whose work was told to be done, and how much that was."""
        return {label: total for label, done, total in self if done == total}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """All that is told of progress, the lines too that wouldn't be due yet."""
    found = Told()
    label = operator.attrgetter("_label")
    monkeypatch.setattr(Lines, "report", lambda lines, done, total: found.append((label(lines), done, total)))
    return found


@pytest.fixture
def unused_url() -> Iterator[str]:
    """A URL where nobody answers: the port is held, and not listened at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def document(result: Result) -> dict[str, Any]:
    """The one JSON document on stdout."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found
