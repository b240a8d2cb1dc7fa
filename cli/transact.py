"""From what a command wants done to its outcome: build, sign, save, submit, show.

Every command that changes the ledger goes through here. It must not know what a transaction means: kinds
and bodies come from the command.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from cli import output
from cli.answers import exit_of, show_answer, show_simulated
from cli.connection import READ_TIMEOUT_MS
from cli.exits import Exit
from cli.names import from_node
from cli.policies import public_key
from cli.progress import patiently

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from cli.connection import Connection
    from cli.names import NetworkNames
    from cli.transact_options import Options, Waiting
    from cli.wallet_files import WalletFiles
    from ledger.bodies import Body, Kind
    from wallet.answers import Answer, Simulated
    from wallet.client import Client
    from wallet.payment import Draft

MS_A_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done, by whom (an account's 21 bytes, or a member's id in ASCII).

    `facts` are shown with the outcome. `keep` is called once it was submitted and not refused.
    """

    author: bytes
    kind: Kind
    body: Body
    facts: Mapping[str, Any] = field(default_factory=dict)
    keep: Callable[[], None] | None = None


Make: TypeAlias = "Callable[[Client, NetworkNames, bytes], Awaitable[Wish]]"
"""What a command wishes, once it knows the network and the transaction's id."""


@dataclass(frozen=True, slots=True)
class Signing:
    """The public keys that are to sign a draft (65 bytes each), and what signs it with all of them."""

    keys: Sequence[bytes]
    sign: Callable[[Draft], Draft]


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of a wish: a draft to be written, or else a simulated outcome, or an answer."""

    wish: Wish
    draft: Draft
    simulated: Simulated | None = None
    answer: Answer | None = None
    saved: Path | None = None


def transact(
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
    signers: Sequence[str],
    make: Make,
) -> None:
    """Carry out what `make` wishes once it knows the network and the transaction's id; end with the outcome.

    `signers` are aliases of the keystore; for a payment file (`--out`) public keys in hex serve as well.
    """
    keys = [public_key(wallet, name) for name in signers]

    async def run() -> Ending:
        async with connection.client(min(READ_TIMEOUT_MS, options.waiting.timeout_ms)) as client:
            signing = Signing(keys, lambda draft: sign(wallet, draft, signers))
            return await carry_out(client, wallet, options, make, signing)

    show(asyncio.run(run()), options)


async def carry_out(
    client: Client, wallet: WalletFiles, options: Options, make: Make, signing: Signing
) -> Ending:
    """Build what is wished; then leave it as a draft for a file, or sign it and simulate or submit it."""
    names, tx_id = await from_node(client), new_id()
    wish = await make(client, names, tx_id)
    draft = build(names, tx_id, wish, signing.keys, options.valid_minutes)
    if options.out is not None:
        return Ending(wish, draft)
    return await _send(client, wallet, options, wish, signing.sign(draft))


async def _send(client: Client, wallet: WalletFiles, options: Options, wish: Wish, draft: Draft) -> Ending:
    """Simulate or submit a signed draft."""
    from wallet.payment import complete_envelope

    if options.dry_run:
        return Ending(wish, draft, simulated=await client.simulate(complete_envelope(draft)))
    answer, saved = await submit_saved(client, wallet, draft, options.waiting)
    return Ending(wish, draft, answer=answer, saved=saved)


def now_ms() -> int:
    """This machine's time, Unix ms."""
    return time.time_ns() // 1_000_000


def new_id() -> bytes:
    """A new id for a transaction."""
    from wallet.ids import new_tx_id

    return new_tx_id(now_ms(), os.urandom)


def build(names: NetworkNames, tx_id: bytes, wish: Wish, keys: Sequence[bytes], valid_minutes: int) -> Draft:
    """The unsigned transaction, valid from about now on."""
    from wallet.payment import build_draft, validity

    valid_from_ms, valid_until_ms = validity(now_ms(), valid_minutes * MS_A_MINUTE)
    return build_draft(
        names.names,
        network_id=names.network_id,
        tx_id=tx_id,
        author=wish.author,
        body=wish.body,
        kind=wish.kind,
        valid_from_ms=valid_from_ms,
        valid_until_ms=valid_until_ms,
        signers=keys,
    )


def sign(wallet: WalletFiles, draft: Draft, aliases: Sequence[str]) -> Draft:
    """The draft with the signatures of these keys; the keystore is opened once."""
    from wallet.payment import sign_draft

    keystore = wallet.open()
    for alias in aliases:
        draft = sign_draft(draft, keystore.private_key(alias))
    return draft


async def submit_patiently(client: Client, envelope: bytes, waiting: Waiting) -> Answer:
    """Submit, and tell a person who has to wait for the outcome how long that can be."""
    most_s = waiting.timeout_ms // 1_000
    told = f"Waiting for the outcome, {most_s} s at the most (--timeout) ..."
    return await patiently(client.submit(envelope, waiting.wait, waiting.timeout_ms), told)


async def submit_saved(
    client: Client, wallet: WalletFiles, draft: Draft, waiting: Waiting
) -> tuple[Answer, Path | None]:
    """Save the signed bytes, submit them, and forget the file once the outcome is certain."""
    from wallet.payment import complete_envelope
    from wallet.payment_file import write_draft

    envelope = complete_envelope(draft)
    saved = wallet.payments / f"{tx_id_text(draft)}.json"
    saved.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_draft(saved, draft)
    answer = await submit_patiently(client, envelope, waiting)
    if answer.status in ("unknown", "pending"):
        return answer, saved
    saved.unlink()
    return answer, None


def show(ending: Ending, options: Options) -> None:
    """Print what came of it and end the command with its code."""
    from wallet.payment_file import write_draft

    wish = ending.wish
    if options.out is not None:
        write_draft(options.out, ending.draft)
        show_written(options.out, ending.draft, wish.facts)
    elif ending.simulated is not None:
        show_simulated(ending.simulated)
    elif ending.answer is not None:
        if wish.keep is not None and exit_of(ending.answer) is not Exit.REFUSED:
            wish.keep()
        show_answer(ending.answer, options.waiting.wait, ending.saved, wish.facts)


def show_written(path: Path, draft: Draft, facts: Mapping[str, Any]) -> None:
    """Say which file holds an unsigned or partly signed transaction, and what is to be done with it next."""
    from ledger.bodies import Kind

    out = output.current()
    missing = [key.hex() for key in draft.missing_signers]
    document = {"tx_id": tx_id_text(draft), "file": str(path), "missing_signers": missing, **facts}
    out.result(document, lambda: out.data(str(path)))
    if missing:
        out.say(f"{len(missing)} still to sign: nostro payment sign {path} --signer ALIAS")
    elif draft.decoded()[0].kind == Kind.RECOVER:
        # No node takes it: those that could are stopped, and it is carried out on their stores.
        out.say(f"Every signer has signed. On each survivor: nostro node recover CONFIG --apply {path}")
    else:
        out.say(f"Every signer has signed: nostro payment submit {path}")


def tx_id_text(draft: Draft) -> str:
    """The id of a draft's transaction, as text."""
    from wallet.ids import format_tx_id

    return format_tx_id(draft.decoded()[0].tx_id)
