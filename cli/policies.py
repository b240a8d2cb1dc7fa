"""Policies as people write them on the command line: keys with weights, and a threshold.

It must not know whose policy it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.wallet_files import WalletFiles
    from ledger.policy import Policy

_PUBLIC_KEY = re.compile("04[0-9a-fA-F]{128}")
_WEIGHT = re.compile("[1-9][0-9]{0,2}")


def parse_policy(wallet: WalletFiles, keys: Sequence[str], threshold: int | None) -> Policy:
    """A policy of `KEY` or `KEY=WEIGHT` (an alias, or a public key in hex); by default all must sign."""
    from ledger.policy import Policy, PolicyKey, check_policy

    weighted = {public_key(wallet, name): weight for name, weight in map(_split, keys)}
    if len(weighted) != len(keys):
        raise CommandError(
            "The policy names a key twice.", "Name each key once, with its weight.", Exit.USAGE
        )
    needed = sum(weighted.values()) if threshold is None else threshold
    policy = Policy(needed, tuple(PolicyKey(key, weight) for key, weight in sorted(weighted.items())))
    check_policy(policy)
    return policy


def public_key(wallet: WalletFiles, name: str) -> bytes:
    """The 65 bytes of a public key in hex, or of the keystore's key of that alias."""
    return bytes.fromhex(name) if _PUBLIC_KEY.fullmatch(name) else wallet.public_key(name)


def _split(text: str) -> tuple[str, int]:
    name, equals, weight = text.partition("=")
    if equals and not _WEIGHT.fullmatch(weight):
        raise CommandError(
            f"{text!r} has no weight after '='.", "Write KEY=WEIGHT with 1 to 255.", Exit.USAGE
        )
    return name, int(weight) if equals else 1
