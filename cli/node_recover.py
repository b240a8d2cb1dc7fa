"""`nostro node recover`: on stopped nodes, go on after too many others are lost for good for a quorum.

It must not know what makes a recovery right or how it is carried out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click

from cli import output
from cli.errors import CommandError
from cli.exits import Exit
from cli.names import from_genesis
from cli.policies import public_key
from cli.transact import Wish, build, new_id, now_ms, tx_id_text
from cli.transact_options import valid_minutes_option
from cli.wallet_files import WalletFiles, wallet_options
from ledger.bodies import Kind, Recover
from ledger.envelope import encode_envelope
from ledger.parameters import CertificateRule
from ledger.state import State
from node import tls
from node.config import NodeConfig, load_config
from node.data_switch import settle
from node.disk import LevelDatabase
from node.recovery import Done, Position, Survivor, carry_out, decision, furthest, position
from node.store import Store
from wallet.payment import Draft, complete_envelope
from wallet.payment_file import read_draft, write_draft

BOOT_BYTES = 16


@click.command()
@click.argument("configs", metavar="CONFIG...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--propose", metavar="FILE", type=click.Path(path_type=Path), help="Write the unsigned decision to FILE."
)
@click.option(
    "--apply",
    "signed",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Carry out the signed decision in FILE on these nodes.",
)
@click.option(
    "--signer",
    "signers",
    multiple=True,
    metavar="KEY",
    help="With --propose: an admin key that is to sign, by alias or in hex; repeat it.",
)
@click.option(
    "--height", type=click.IntRange(min=0), help="With --propose: another last block than the newest."
)
@valid_minutes_option
@wallet_options
@output.json_option
def recover(
    configs: tuple[Path, ...],
    propose: Path | None,
    signed: Path | None,
    signers: tuple[str, ...],
    height: int | None,
    valid_minutes: int,
    wallet: WalletFiles,
) -> None:
    """Go on after too many nodes are lost for good: look, propose, and carry out what the members signed.

    CONFIG is the node.toml of a survivor, which is stopped; give all of them. Without options: how far each
    one's store goes. With --propose: the decision to go on with these nodes, for `nostro payment sign`. With
    --apply: one that is signed. All other nodes are retired by it, for ever: be sure that they are lost.
    docs/operating.md has the procedure.
    """
    if propose is not None and signed is not None:
        raise CommandError("--propose and --apply exclude each other.", "Propose, sign, apply.", Exit.USAGE)
    settings = [load_config(path) for path in configs]
    if signed is not None:
        _apply(settings, signed)
        return
    positions = [_position(each) for each in settings]
    if propose is None:
        _show(positions)
        return
    if not signers:
        raise CommandError(
            "Nobody is to sign.",
            "Name admin keys of more than half of the members with --signer.",
            Exit.USAGE,
        )
    body, author = decision(positions, height)
    names = from_genesis(settings[0].genesis.read_bytes())
    keys = [public_key(wallet, name) for name in signers]
    draft = build(names, new_id(), Wish(author.encode(), Kind.RECOVER, body), keys, valid_minutes)
    check_fits(draft, furthest(positions).registry.parameters_at(body.height).envelope_bytes)
    write_draft(propose, draft)
    _show_proposed(propose, draft, body, maker=furthest(positions).node, keys=len(keys))


def check_fits(draft: Draft, envelope_bytes: int) -> None:
    """Raises CommandError, before anybody signs, where a block can't hold what is proposed."""
    signatures = [bytes(64)] * len(draft.decoded()[0].signers)
    size_bytes = len(encode_envelope(draft.payload, signatures))
    if size_bytes > envelope_bytes:
        raise CommandError(
            f"The signed decision would have {size_bytes:,} bytes; the network takes {envelope_bytes:,}.",
            "Go on with fewer survivors, or with fewer signers; the rest can join again afterwards.",
        )


def _show_proposed(file: Path, draft: Draft, body: Recover, maker: str, keys: int) -> None:
    """What was written, and who does what with it next."""
    document = {
        "file": str(file),
        "tx_id": tx_id_text(draft),
        "height": body.height,
        "header_hash": body.header_hash.hex(),
        "epoch": body.epoch,
        "term": body.term,
        "certified_height": body.certified_height,
        "voters": list(body.voters),
        "certificate_rule": CertificateRule(body.certifiers.certificate_rule).name.lower(),
        "maker": maker,
    }
    certifiers = [
        {"node": each.node, "member": each.member, "key": each.key.hex()} for each in body.certifiers.nodes
    ]
    shown = [(name, str(value)) for name, value in document.items()]
    shown += [(each["node"], f"of {each['member']}, key {each['key']}") for each in certifiers]
    out = output.current()
    out.result({**document, "certifiers": certifiers}, lambda: out.fields(shown))
    out.say(
        "Every signer compares these keys with the nodes' own, as the chain has them: they certify alone."
    )
    out.say(f"Have each of {keys} keys sign it: nostro payment sign {file} --signer ALIAS")
    out.say(f"Then, for {maker} first: nostro node recover CONFIG --apply {file}")


def _apply(settings: list[NodeConfig], signed: Path) -> None:
    """Carry the decision out, node after node."""
    envelope = complete_envelope(read_draft(signed))
    done = [_carry_out(each, envelope) for each in settings]
    out = output.current()
    columns = ("NODE", "GOES ON FROM>", "TERM>", "CUT OFF>", "RECOVERY BLOCK")
    rows = [(d.node, d.height, d.term, d.cut_blocks, _where(d)) for d in done]
    document = {
        "nodes": [
            {"node": d.node, "height": d.height, "term": d.term, "cut_blocks": d.cut_blocks, "maker": d.maker}
            for d in done
        ]
    }
    out.result(document, lambda: out.table(columns, rows))
    out.say("Start these nodes. Then let the members add nodes until they are enough again.")


def _where(done: Done) -> str:
    return "made here" if done.node == done.maker else f"comes from {done.maker}"


def _carry_out(settings: NodeConfig, envelope: bytes) -> Done:
    with _opened(settings) as (database, genesis_raw):
        passphrase = os.environ.get(settings.passphrase_env or "")
        key = tls.load_signing_key(settings.signing_key, passphrase.encode() if passphrase else None)
        survivor = Survivor(settings.node, key, database, genesis_raw)
        return carry_out(survivor, envelope, now_ms(), os.urandom(BOOT_BYTES))


def _position(settings: NodeConfig) -> Position:
    with _opened(settings) as (database, genesis_raw):
        store = Store.open(database, genesis_raw, settings.node)
        return position(store, State.open(store), settings.node)


@contextmanager
def _opened(settings: NodeConfig) -> Iterator[tuple[LevelDatabase, bytes]]:
    """The store of a node that doesn't run, and genesis."""
    settle(settings.data)
    with ExitStack() as stack:
        database = stack.enter_context(closing(LevelDatabase(settings.data, create=False)))
        yield database, settings.genesis.read_bytes()


def _show(positions: list[Position]) -> None:
    """How far each survivor's store goes, the furthest named."""
    out = output.current()
    best = furthest(positions)
    columns = ("NODE", "EPOCH>", "TERM>", "LOG ENDS>", "EXECUTED>", "CERTIFIED>", "LAST BLOCK")
    rows = [
        (p.node, p.epoch, p.known_term, p.log_end, p.executed, p.certified, p.hashes[-1].hex()[:16])
        for p in positions
    ]
    document = {
        "nodes": [
            {
                "node": p.node,
                "member": p.member,
                "epoch": p.epoch,
                "term": p.known_term,
                "log_end": p.log_end,
                "executed": p.executed,
                "certified": p.certified,
                "last_block": p.hashes[-1].hex(),
            }
            for p in positions
        ],
        "furthest": best.node,
    }
    out.result(document, lambda: out.table(columns, rows))
    out.say(f"{best.node} holds the furthest log: going on from its block {best.log_end:,} loses the least.")
