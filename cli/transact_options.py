"""The options that commands which change the ledger share: how long to wait, and how far to go.

It must not know any command.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from wallet.answers import Wait

# A payment may wait for its signers and for a node that is down, but not come back from a drawer next year.
DEFAULT_VALID_MINUTES = 60
MOST_VALID_MINUTES = 60 * 24 * 30
DEFAULT_TIMEOUT_S = 30
MOST_TIMEOUT_S = 3_600


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a submission waits for, and for how long at most."""

    wait: Wait
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Options:
    """How far a command goes: whether it only tries or only writes a file, and how long it is valid."""

    waiting: Waiting
    dry_run: bool
    out: Path | None
    valid_minutes: int


def waiting_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--wait`, `--no-wait` and `--timeout`, and the argument `waiting: Waiting`."""

    @click.option(
        "--wait",
        type=click.Choice(["executed", "certified", "none"]),
        default="executed",
        show_default=True,
        help="Answer once the chain has decided, once a quorum of banks has certified it, or at once.",
    )
    @click.option("--no-wait", is_flag=True, help="The same as --wait none.")
    @click.option(
        "--timeout",
        "timeout_s",
        type=click.IntRange(1, MOST_TIMEOUT_S),
        default=DEFAULT_TIMEOUT_S,
        show_default=True,
        help="Seconds to wait before the outcome is given as unknown.",
    )
    @functools.wraps(function)
    def wrapper(*args: Any, wait: Wait, no_wait: bool, timeout_s: int, **kwargs: Any) -> Any:
        waiting = Waiting("none" if no_wait else wait, timeout_s * 1_000)
        return function(*args, waiting=waiting, **kwargs)

    return wrapper


def valid_minutes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--valid-minutes`."""
    option = click.option(
        "--valid-minutes",
        type=click.IntRange(1, MOST_VALID_MINUTES),
        default=DEFAULT_VALID_MINUTES,
        show_default=True,
        help="How long it may still be executed.",
    )
    return option(function)


def transact_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of every transaction, and the argument `options: Options`."""

    @waiting_options
    @click.option("--dry-run", is_flag=True, help="Show the outcome it would have now; submit nothing.")
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="Write it unsigned to this file instead, for `payment sign`.",
    )
    @valid_minutes_option
    @functools.wraps(function)
    def wrapper(
        *args: Any, waiting: Waiting, dry_run: bool, out: Path | None, valid_minutes: int, **kwargs: Any
    ) -> Any:
        return function(*args, options=Options(waiting, dry_run, out, valid_minutes), **kwargs)

    return wrapper
