"""`nostro members`: the banks, their nodes, and the decisions about which nodes make up the cluster.

It must not know how a change is carried out: the members decide, and the nodes do it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.governance import author_of, decide, deciding
from cli.lazy import LazyCommand, listing_group
from cli.transact_options import Options
from cli.wallet_files import WalletFiles

if TYPE_CHECKING:
    from cli.names import NetworkNames
    from cli.transact import Wish
    from cli.what_if import Strength, WhatIf
    from wallet.client import Client
    from wallet.network_answers import Member, Membership, Node

MEMBER_COMMANDS = {
    "register": LazyCommand("cli.members:register", "Register a member's node, or give it another address."),
    "add": LazyCommand("cli.members:add", "Let a registered node into the cluster."),
    "remove": LazyCommand("cli.members:remove", "Let a node leave the cluster, for ever."),
    "replace": LazyCommand("cli.members:replace", "Let one node take the place of another."),
    "cancel": LazyCommand(
        "cli.members:cancel", "Take back a decision about the cluster that isn't carried out yet."
    ),
}
ROLES = ("voter", "outgoing", "learner")


@listing_group("members", MEMBER_COMMANDS)
@connection_options
@output.json_option
def members(connection: Connection) -> None:
    """List the banks and their nodes, and change which nodes make up the cluster."""
    import msgspec

    out = output.current()
    banks, nodes, found = connection.ask(
        lambda client: asyncio.gather(client.members(), client.nodes(), client.membership())
    )
    document = {
        "members": msgspec.to_builtins(banks),
        "nodes": msgspec.to_builtins(nodes),
        "membership": msgspec.to_builtins(found),
    }

    def human() -> None:
        columns = ("MEMBER", "NAME", "ADMIN KEYS", "NODE", "ROLE", "ADDRESS")
        out.table(columns, [row for bank in banks for row in _rows(bank, nodes, found)])

    out.result(document, human)
    for line in _words(found):
        out.say(line)


@click.command()
@click.argument("node", metavar="NODE")
@click.option("--member", required=True, help="The bank that answers for it.")
@click.option("--key", required=True, metavar="HEX", help="Its public key, 65 bytes in hex.")
@click.option("--address", required=True, metavar="HOST:PORT", help="Where other nodes reach it.")
@deciding
def register(
    node: str,
    member: str,
    key: str,
    address: str,
    signers: tuple[str, ...],
    by: str | None,
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Register a member's node, or give it another address.

    A new node has no vote and takes no part before `members add`. Its key and member never change.
    """
    from cli.policies import public_key
    from cli.transact import Wish
    from ledger.bodies import Kind, SetNode

    async def wish(client: Client, _names: NetworkNames, _tx_id: bytes) -> Wish:
        known = [known.version for known in await client.nodes() if known.id == node]
        body = SetNode(node, member, public_key(wallet, key), address, known[0] if known else 0)
        return Wish(await author_of(client, by), Kind.SET_NODE, body)

    decide(connection, wallet, options, signers, wish)


@click.command()
@click.argument("node", metavar="NODE")
@click.option("--learner", is_flag=True, help="It is to follow along and not to vote.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@deciding
def add(node: str, learner: bool, yes: bool, **common: Any) -> None:
    """Let a registered node into the cluster.

    It catches up first, and then votes. With --dry-run: what that does to the quorum.
    """
    _change(common, yes, add=node, voting=not learner)


@click.command()
@click.argument("node", metavar="NODE")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@deciding
def remove(node: str, yes: bool, **common: Any) -> None:
    """Let a node leave the cluster, for ever.

    Its id is never used again. With --dry-run: what that does to the quorum. Refused where the nodes that run
    now would be too few without it. It also gives up a decision to add the node, however far that has come.
    """
    _change(common, yes, remove=node)


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@deciding
def replace(old: str, new: str, yes: bool, **common: Any) -> None:
    """Let one node take the place of another.

    So a node's key is rotated, and a lost machine replaced. NEW is registered and runs. With --dry-run: what
    that does to the quorum.
    """
    _change(common, yes, add=new, voting=True, remove=old)


@click.command()
@click.option("--yes", is_flag=True, help="Do it without asking.")
@deciding
def cancel(yes: bool, **common: Any) -> None:
    """Take back a decision about the cluster that isn't carried out yet.

    So a removal that waits for nodes that don't come back is undone. Once the old voters and the new decide
    jointly it is too late. What is done until it takes effect, 64 blocks later, stays. With --dry-run: what
    would be taken back.
    """
    from cli.payment import confirm
    from cli.transact import Wish
    from ledger.bodies import Kind, SetMembership

    options: Options = common["options"]
    found = common["connection"].ask(lambda client: client.membership())
    _check_pending(found)
    _show_pending(found, quiet=not options.dry_run)
    if options.dry_run:
        return
    if not yes and options.out is None:
        confirm("Take this back?")

    async def wish(client: Client, _names: NetworkNames, _tx_id: bytes) -> Wish:
        body = SetMembership((), False, (), found.decision.version)
        return Wish(await author_of(client, common["by"]), Kind.SET_MEMBERSHIP, body)

    decide(common["connection"], common["wallet"], options, common["signers"], wish)


def _check_pending(found: Membership) -> None:
    """Raises CommandError where nothing waits that could be taken back."""
    decision = found.decision
    if found.outgoing:
        why = "its voters change right now"
    elif not decision.pending:
        why = "every decision is carried out"
    elif not decision.add and not decision.remove:
        why = f"the last decision is taken back already, from block {decision.from_height:,} on"
    else:
        return
    raise CommandError(
        f"There is nothing to take back: {why}.", "`nostro members` shows who votes.", Exit.REFUSED
    )


def _show_pending(found: Membership, quiet: bool) -> None:
    """What is decided and not carried out."""
    out, what = output.current(), f"To be taken back: {_decided(found)}."
    if quiet:
        out.say(what)
        return
    decision = found.decision
    document = {"add": decision.add, "remove": decision.remove, "version": decision.version}
    out.result({"taken_back": document}, lambda: out.data(what))


def _change(
    common: dict[str, Any],
    yes: bool,
    *,
    add: str | None = None,
    voting: bool = False,
    remove: str | None = None,
) -> None:
    """Say what the change does to the quorum, refuse what would lose it, and decide it."""
    from cli.payment import confirm
    from cli.transact import Wish
    from cli.what_if import what_if
    from ledger.bodies import Kind, SetMembership
    from ledger.codec import present

    connection: Connection = common["connection"]
    options: Options = common["options"]
    found, nodes, reachable = connection.ask(_look)
    _check_known(found, nodes, add, remove)
    if options.dry_run or options.out is None:
        _check_free(found, add, remove)
    outlook = what_if(found, reachable, add if voting else None, remove)
    _show(outlook, quiet=not options.dry_run)
    outlook.check()
    if options.dry_run:
        return
    if not yes and options.out is None:
        confirm("Decide this?")

    async def wish(client: Client, _names: NetworkNames, _tx_id: bytes) -> Wish:
        version = (await client.membership()).decision.version
        body = SetMembership(present(add), voting, present(remove), version)
        return Wish(await author_of(client, common["by"]), Kind.SET_MEMBERSHIP, body)

    decide(connection, common["wallet"], options, common["signers"], wish)


async def _look(client: Client) -> tuple[Membership, tuple[Node, ...], frozenset[str]]:
    """The membership, all registered nodes, and those that one of them reaches."""
    found, nodes, cluster = await asyncio.gather(client.membership(), client.nodes(), client.cluster())
    peers = {peer.node for peer in cluster.peers if peer.connected}
    return found, nodes, frozenset({cluster.node, *peers})


def _check_known(found: Membership, nodes: tuple[Node, ...], add: str | None, remove: str | None) -> None:
    """Refuse ids that nobody can mean; whether the rest is allowed, the ledger says."""
    if add is not None and not any(node.id == add and node.status != "retired" for node in nodes):
        raise CommandError(
            f"No node {add} is registered, or it was let go.",
            f"Register a new one first: nostro members register {add} --member MEMBER.",
            Exit.NOT_FOUND,
        )
    if remove is not None and remove not in (
        *found.voters, *found.outgoing, *found.learners, found.decision.add,
    ):  # fmt: skip
        raise CommandError(
            f"No node {remove} is in the cluster.", "`nostro members` shows which are.", Exit.NOT_FOUND
        )


def _check_free(found: Membership, add: str | None, remove: str | None) -> None:
    """Refuse, as the ledger would, what must wait for the decision before: all but giving up what that adds.

    A decision that is only written to a file may be submitted once the one before is carried out.
    """
    decision = found.decision
    if not decision.pending or (add is None and remove == decision.add):
        return
    raise CommandError(
        f"A decision about the cluster isn't carried out yet: {_decided(found)}.",
        "Wait until `nostro members` names none, or take it back: nostro members cancel.",
        Exit.REFUSED,
    )


def _show(outlook: WhatIf, quiet: bool) -> None:
    """The quorum before and after: the command's data in a dry run, else words beside it."""
    out = output.current()
    lines = [_line("now", outlook.before), _line("then", outlook.after)]
    if quiet:
        for line in lines:
            out.say(line)
        return
    document = {"before": outlook.before.document(), "after": outlook.after.document()}

    def human() -> None:
        for line in lines:
            out.data(line)

    out.result(document, human)


def _line(when: str, strength: Strength) -> str:
    return (
        f"{when.ljust(4)}  {len(strength.voters)} voting nodes, {strength.quorum} must run, "
        f"{strength.tolerated} may fail; {len(strength.reachable)} run ({', '.join(strength.voters)})"
    )


def _rows(bank: Member, nodes: tuple[Node, ...], found: Membership) -> list[tuple[object, ...]]:
    policy = bank.admin_policy
    keys = f"{policy.threshold} of {sum(key.weight for key in policy.keys)}"
    own = [node for node in nodes if node.member == bank.id]
    if not own:
        return [(bank.id, bank.name, keys, "", "", "")]
    return [(bank.id, bank.name, keys, node.id, _role(node, found), node.address) for node in own]


def _role(node: Node, found: Membership) -> str:
    lists = (found.voters, found.outgoing, found.learners)
    return next((role for role, ids in zip(ROLES, lists, strict=True) if node.id in ids), node.status)


def _words(found: Membership) -> list[str]:
    from cli.what_if import what_if

    strength = what_if(found, frozenset(), None, None).before
    lines = [
        f"{len(strength.voters)} nodes vote, {strength.quorum} must run, {strength.tolerated} may fail "
        f"(certificates by the rule {found.certificate_rule})."
    ]
    if found.decision.pending:
        lines.append(f"Decided and not carried out yet: {_decided(found)}.")
    return lines


def _decided(found: Membership) -> str:
    decision = found.decision
    what = [f"add {decision.add}{'' if decision.voting else ' as a learner'}"] if decision.add else []
    what += [f"remove {decision.remove}"] if decision.remove else []
    return f"{' and '.join(what) or 'take back the one before'}, from block {decision.from_height:,} on"
