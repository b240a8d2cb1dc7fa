"""What the tests of the command line share: running it in this process, and a keystore that opens quickly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec

from cli.main import root
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


def document(result: Result) -> dict[str, Any]:
    """The one JSON document on stdout."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found
