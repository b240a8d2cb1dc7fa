"""The steps of a drill, in their order: a lost quorum and a restore, on copies in a folder of their own.

Each step is what an operator does in earnest, through the same functions. It must not know how a step is
shown or reported, nor who chose the survivors.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from cli.audit_run import Task as Audit
from cli.audit_run import run as audit
from cli.drill.plan import newcomer
from cli.drill.report import PAID, PAID_AGAIN, STOCK
from cli.drill.signing import PAID_UNITS, Payee, submit
from cli.errors import CommandError
from cli.exits import Exit
from cli.governance import admin_keys
from cli.transact import Wish, now_ms
from ledger.bodies import Kind, SetMembership, SetNode
from ledger.codec import present
from ledger.keys import public_bytes
from node import operators, tls
from node.backup import back_up_store, copy_backup, restore, verify_backup
from node.config import load_config
from node.local import LocalNetwork, LocalNetworkError, wait_until
from node.marked_copy import Stock, mark, opened, take_stock
from node.provision import ProvisionedNetwork
from node.recovery import Position, carry_out, decision, furthest
from node.secluded import add_secluded, seclude
from node.store_copy import copy_store
from wallet.client import Client

if TYPE_CHECKING:
    from cli.drill.journal import Journal
    from cli.drill.plan import Loss
    from cli.drill.signing import Signers
    from ledger.audit_report import AuditReport
    from node.further_node import FurtherNode

BOOT_BYTES = 16
PAYMENTS = 2
"""So many payments are settled: one after the recovery, one after the restore."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is rehearsed, where, with whose keys. `folder` is empty, and nobody else may look into it.

    `running` are the survivors that run now; `timeout_s` bounds every wait.
    """

    network: ProvisionedNetwork
    loss: Loss
    running: tuple[str, ...]
    signers: Signers
    folder: Path
    timeout_s: int

    @property
    def backup(self) -> Path:
        """Where the backup is."""
        return self.folder / "backup"

    def data(self, node: str) -> Path:
        """Where the copy of a survivor's store is, until it has a node's folder around it."""
        return self.folder / "stores" / node

    @property
    def genesis_raw(self) -> bytes:
        """The genesis document."""
        return self.network.genesis.read_bytes()


@dataclass(frozen=True, slots=True)
class Survived:
    """How far the survivors' copies go, their signing keys, and what the furthest holds once it is marked."""

    positions: tuple[Position, ...]
    keys: Mapping[str, ec.EllipticCurvePrivateKey]
    best: Stock


def rehearse(drill: Rehearsal, journal: Journal) -> None:
    """All steps, until one fails: then DrillStopped."""
    if drill.running:
        # A copy that is made later holds all that is in the backup, and goes on from there.
        _back_up_running(drill, journal)
        _copy(drill, journal)
    else:
        _copy(drill, journal)
        _back_up_copy(drill, journal)
    _verify(drill, journal)
    survived = _take_stock(drill, journal)
    raw = _decide(drill, journal, survived)
    _apply(drill, journal, survived, raw)
    with LocalNetwork(_secluded(drill, survived)) as local:
        _start(drill, journal, local)
        _pay(drill, journal, local, PAID)
        _restore(drill, journal, local, survived)
        _pay(drill, journal, local, PAID_AGAIN)
        _stop(drill, journal, local)
        _audit(drill, journal, local.network, survived.best.supply)


def _back_up_running(drill: Rehearsal, journal: Journal) -> None:
    """A backup of a survivor that runs, as whoever operates it makes one."""
    node = drill.running[0]
    with journal.step("Back up a running node") as checked:
        checked["node"] = node
        snapshot = asyncio.run(operators.make_snapshot(operators.admin_port(drill.network, node)))
        checked["height"] = copy_backup(snapshot, drill.backup).height


def _back_up_copy(drill: Rehearsal, journal: Journal) -> None:
    """A backup of a stopped node, from the copy of its store."""
    node = drill.loss.survivors[0]
    with journal.step("Back up a stopped node") as checked:
        checked["node"] = node
        manifest = back_up_store(drill.data(node), drill.genesis_raw, node, drill.backup)
        checked["height"] = manifest.height


def _verify(drill: Rehearsal, journal: Journal) -> None:
    with journal.step("Verify the backup from genesis on") as checked:
        manifest = verify_backup(drill.backup, drill.genesis_raw)
        checked |= {"height": manifest.height, "bytes": manifest.size_bytes}
        checked["certified_by"] = [signature.node for signature in manifest.certificate.signatures]


def _copy(drill: Rehearsal, journal: Journal) -> None:
    with journal.step("Copy the survivors' stores") as checked:
        for node in drill.loss.survivors:
            checked[f"{node}_bytes"] = copy_store(
                load_config(drill.network.config(node)).data, drill.data(node)
            )


def _take_stock(drill: Rehearsal, journal: Journal) -> Survived:
    """See what the copies hold, and mark the one that goes furthest."""
    with journal.step(STOCK) as checked:
        keys = {node: _signing_key(drill, node) for node in drill.loss.survivors}
        found = [_stock(drill, node, key) for node, key in keys.items()]
        best = furthest([stock.position for stock in found])
        certified = max(stock.position.certified for stock in found)
        checked |= {"certified_height": certified, "kept_height": best.log_end}
        checked |= {"last_block": best.hashes[-1].hex(), "furthest_log": best.node}
        known_term = max(stock.position.known_term for stock in found)
        with opened(drill.data(best.node), drill.genesis_raw, best.node, keys[best.node]) as copy:
            marked = mark(copy, known_term, now_ms(), os.urandom(BOOT_BYTES))
        checked["marked_block"] = marked.position.hashes[-1].hex()
        checked["supply"] = dict(marked.supply)
    positions = [marked.position if stock.position.node == best.node else stock.position for stock in found]
    return Survived(tuple(positions), keys, marked)


def _decide(drill: Rehearsal, journal: Journal, survived: Survived) -> bytes:
    """The decision to recover, signed by as many members as it takes; it is held in memory alone."""
    with journal.step("Sign the decision to recover") as checked:
        body, author = decision(survived.positions, rehearsal=True)
        keys = _admin_keys(drill, survived)
        raw = drill.signers.envelope(Wish(author.encode(), Kind.RECOVER, body), keys)
        checked |= {"height": body.height, "header_hash": body.header_hash.hex(), "epoch": body.epoch}
        checked |= {"term": body.term, "voters": list(body.voters), "signers": len(keys)}
        checked["sha256"] = hashlib.sha256(raw).hexdigest()
    return raw


def _apply(drill: Rehearsal, journal: Journal, survived: Survived, raw: bytes) -> None:
    with journal.step("Carry the decision out on the copies") as checked:
        for node, key in survived.keys.items():
            with opened(drill.data(node), drill.genesis_raw, node, key) as copy:
                done = carry_out(copy, raw, now_ms(), os.urandom(BOOT_BYTES), rehearsal=True)
            checked[node] = "made the recovery block" if done.node == done.maker else f"follows {done.maker}"


def _secluded(drill: Rehearsal, survived: Survived) -> ProvisionedNetwork:
    """A network's folder around the copies."""
    known = survived.best.registry.nodes
    copies = seclude(drill.network, drill.folder / "network", survived.keys, known)
    for node in survived.keys:
        drill.data(node).rename(load_config(copies.config(node)).data)
    return copies


def _start(drill: Rehearsal, journal: Journal, local: LocalNetwork) -> None:
    with journal.step("Start the survivors") as checked:
        local.start()
        asyncio.run(local.ready(timeout_s=drill.timeout_s))
        checked["nodes"] = list(local.node_ids)


def _pay(drill: Rehearsal, journal: Journal, local: LocalNetwork, name: str) -> None:
    """A payment to an account that is opened for it, certified by all who vote."""
    member = local.network.nodes[-1].member
    payee = Payee(drill.signers, member, public_bytes(ec.generate_private_key(ec.SECP256R1())))

    async def pay() -> tuple[int, list[str]]:
        async with _client(drill, local.network) as client:
            await submit(client, payee.opening(), drill.timeout_s)
            height = await submit(client, payee.payment(), drill.timeout_s)
            signatures = (await client.certificate(height)).signatures
            return height, [signature.node for signature in signatures]

    with journal.step(name) as checked:
        checked["height"], checked["certified_by"] = asyncio.run(pay())


def _restore(drill: Rehearsal, journal: Journal, local: LocalNetwork, survived: Survived) -> None:
    """A node of the backup, under an id that the chain doesn't know, until it votes."""
    registry = survived.best.registry
    name, member = newcomer(registry.nodes, drill.loss.lost)
    with journal.step("Restore the backup as a new node") as checked:
        checked |= {"node": name, "member": member}
        local.network, made = add_secluded(local.network, name, member, registry.nodes)
        manifest = restore(
            drill.backup, drill.genesis_raw, name, load_config(local.network.config(name)).data
        )
        checked["height"] = manifest.height
    with journal.step("Take the restored node in, until it votes") as checked:
        local.start([name])
        voters = asyncio.run(_take_in(drill, local, made, _admin_keys(drill, survived)))
        asyncio.run(local.ready([name], timeout_s=drill.timeout_s))
        checked["voters"] = voters


async def _take_in(
    drill: Rehearsal, local: LocalNetwork, made: FurtherNode, keys: Sequence[ec.EllipticCurvePrivateKey]
) -> list[str]:
    """Register the node, decide on it, and wait until it votes; who votes then."""
    place = made.place
    author = local.network.nodes[0].member.encode()
    async with _client(drill, local.network) as client:
        known = SetNode(place.id, place.member, made.key, made.address, 0)
        await submit(
            client, drill.signers.envelope(Wish(author, Kind.SET_NODE, known), keys), drill.timeout_s
        )
        version = (await client.membership()).decision.version
        change = SetMembership(present(place.id), True, present(None), version)
        decided = Wish(author, Kind.SET_MEMBERSHIP, change)
        await submit(client, drill.signers.envelope(decided, keys), drill.timeout_s)

        async def votes() -> bool:
            found = await client.membership()
            return place.id in found.voters and not found.outgoing and not found.decision.pending

        try:
            await wait_until(votes, drill.timeout_s, f"{place.id} votes")
        except LocalNetworkError as error:
            raise CommandError(
                f"{place.id} did not come to vote within {drill.timeout_s} s.",
                "Run the drill again with a longer --timeout, or with --keep to see its log.",
            ) from error
        return list((await client.membership()).voters)


def _stop(drill: Rehearsal, journal: Journal, local: LocalNetwork) -> None:
    with journal.step("Stop the copies") as checked:
        asyncio.run(_at_rest(drill, local))
        codes = local.stop(drill.timeout_s)
        checked |= codes
        ended = [node for node, code in codes.items() if code]
        if ended:
            raise CommandError(
                f"The copy of {ended[0]} ended with code {codes[ended[0]]}.",
                "Run the drill again with --keep, and see the log beside its configuration.",
            )


async def _at_rest(drill: Rehearsal, local: LocalNetwork) -> None:
    """Wait until each copy holds the certificate of its newest block, which alone proves a restored store."""
    certified = partial(operators.all_certified, local.network)
    try:
        await wait_until(certified, drill.timeout_s, "every copy's newest block is certified")
    except LocalNetworkError as error:
        raise CommandError(
            f"The copies did not certify their newest block within {drill.timeout_s} s.",
            "Run the drill again with a longer --timeout, or with --keep to see their logs.",
        ) from error


def _audit(drill: Rehearsal, journal: Journal, copies: ProvisionedNetwork, before: Mapping[str, int]) -> None:
    """Audit every copy from genesis on across the recovery; the money is what was, and was paid."""
    asset = drill.signers.asset
    supply = {**before, asset: before.get(asset, 0) + PAYMENTS * PAID_UNITS}
    with journal.step("Audit the chain across the recovery") as checked:
        for node in [place.id for place in copies.nodes]:
            store = load_config(copies.config(node)).data
            task = Audit(store, drill.genesis_raw, drill.network.network_id, 1, drill.folder, rehearsal=True)
            report, _ = audit(task)
            checked[node] = _audited(report)
            if not report.clean:
                found = report.findings[0]
                raise _violation(f"The audit of the copy of {node} found {found.code}: {found.what}.")
            if _held(report.supply) != _held(supply):
                raise _violation(f"The copy of {node} holds another sum than before plus what was paid.")


def _audited(report: AuditReport) -> dict[str, Any]:
    return {
        "blocks": report.blocks,
        "transactions": report.transactions,
        "certified": report.certified,
        "proved_up_to": report.pruned,
        "findings": len(report.findings),
        "supply": dict(report.supply),
    }


def _held(supply: Mapping[str, int]) -> dict[str, int]:
    """Without the assets of which nothing is held."""
    return {asset: amount for asset, amount in supply.items() if amount}


def _violation(what: str) -> CommandError:
    remedy = "Audit the real nodes' stores with `nostro audit`, each from a copy or while it is stopped."
    return CommandError(what, remedy, Exit.VIOLATION)


def _client(drill: Rehearsal, copies: ProvisionedNetwork) -> Client:
    return Client(copies.api_urls, ca_file=copies.ca, timeout_ms=drill.timeout_s * 1_000)


def _admin_keys(drill: Rehearsal, survived: Survived) -> list[ec.EllipticCurvePrivateKey]:
    return admin_keys(drill.network, drill.signers.passphrase, list(survived.best.registry.members))


def _signing_key(drill: Rehearsal, node: str) -> ec.EllipticCurvePrivateKey:
    settings = load_config(drill.network.config(node))
    passphrase = os.environ.get(settings.passphrase_env or "")
    return tls.load_signing_key(settings.signing_key, passphrase.encode() if passphrase else None)


def _stock(drill: Rehearsal, node: str, key: ec.EllipticCurvePrivateKey) -> Stock:
    with opened(drill.data(node), drill.genesis_raw, node, key) as copy:
        return take_stock(copy)
