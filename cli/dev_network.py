"""What `nostro dev` does: makes the network or finds it, starts its nodes, funds accounts, shows them, waits.

It must not know how a node works, nor what the accounts are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from cli import address_book, network_folder, output
from cli.dev_accounts import DevAccount, Funding, MemberKeys, plan_funding, wallet_keys
from cli.errors import CommandError
from cli.progress import clear_line
from ledger.amounts import format_amount
from node.local import LocalNetwork
from node.plan import PORTS_A_NODE, plan_network
from node.provision import SUMMARY_FILE, ProvisionedNetwork, create_network, load_network
from wallet.atomic_file import write_private
from wallet.client import Client
from wallet.errors import NotReachable
from wallet.keystore import create_keystore, open_keystore
from wallet.keystore_file import ScryptCost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from wallet.answers import Answer

# Nobody's money is behind this passphrase; it only keeps the files in the form that real ones have.
PASSPHRASE = "development only"
# A real keystore takes a quarter of a second to open on purpose; here that would only slow the start.
COST = ScryptCost(n=2**12)
STATUS_EVERY_S = 1.0
READY_TIMEOUT_S = 60.0
BATCH = 500
LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Wanted:
    """The network that is to be made where there is none."""

    nodes: int
    accounts: int
    seed: bytes
    base_port: int


def run(wanted: Wanted, folder: Path, reset: bool, config_out: Path | None) -> None:
    """Start the network in the folder, made first where there is none, and keep it up until a signal."""
    out = output.current()
    if reset and folder.exists():
        forget(folder)
    network = find_or_make(out, wanted, folder)
    asyncio.run(_serve(out, network, wanted.accounts, config_out))


def forget(folder: Path) -> None:
    """Delete a development network; any other folder is refused."""
    if not (folder / SUMMARY_FILE).exists() or not load_network(folder).development:
        raise CommandError(
            f"{folder} is no development network, so it is not deleted.", "Choose another folder with --dir."
        )
    shutil.rmtree(folder)


def find_or_make(out: output.Output, wanted: Wanted, folder: Path) -> ProvisionedNetwork:
    """The network in the folder; a new one where the folder isn't there."""
    if folder.exists():
        network = load_network(folder)
        if not network.development:
            raise CommandError(
                f"{folder} holds a network that was not made for development.",
                "Start its nodes with `nostro node run`, or choose another folder with --dir.",
            )
        out.say(f"Starting the network in {folder} again; --reset begins anew.")
        return network
    check_ports(wanted.base_port, wanted.nodes * PORTS_A_NODE)
    out.say(f"Making a network of {wanted.nodes} banks in {folder} ...")
    plan = plan_network(nodes=wanted.nodes, base_port=wanted.base_port, seed=wanted.seed)
    return create_network(plan, folder, PASSPHRASE, keystore_cost=COST)


def check_ports(first: int, count: int) -> None:
    """Raise CommandError where one of `count` ports in a row is in use: before a network is made for them."""
    for port in range(first, first + count):
        if port > LAST_PORT or not is_free(port):
            raise CommandError(
                f"The network needs the ports {first} to {first + count - 1}, and {port} can't be used.",
                "Stop what uses it (another `nostro dev`?), or choose others with --base-port.",
            )


def is_free(port: int) -> bool:
    """Whether nothing listens at a port of this machine at the moment."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


async def _serve(
    out: output.Output, network: ProvisionedNetwork, count: int, config_out: Path | None
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with LocalNetwork(network) as nodes:
        nodes.start()
        async with Client(network.api_urls, ca_file=network.ca) as client:
            ready = asyncio.ensure_future(_prepare(out, nodes, client, count))
            stopped = asyncio.ensure_future(stopping.wait())
            await asyncio.wait((ready, stopped), return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                document = ready.result()
                _present(out, network, document, config_out)
                await _watch(out, nodes, client, stopping)
            for task in (ready, stopped):
                task.cancel()
        out.say("Stopping the nodes ...")
        await asyncio.to_thread(nodes.stop)


async def _prepare(
    out: output.Output, nodes: LocalNetwork, client: Client, count: int
) -> list[dict[str, Any]]:
    """Wait for the nodes, fund the accounts where that wasn't done yet, and return the accounts."""
    await nodes.ready(timeout_s=READY_TIMEOUT_S)
    network = nodes.network
    wallet = network.directory / network_folder.WALLET_FOLDER
    members = member_keys(network)
    book = address_book.read(wallet / network_folder.ADDRESS_BOOK_NAME)
    funding = plan_funding(network.genesis.read_bytes(), members, len(book) or count)
    if not book:
        out.say(f"Opening and funding {count} accounts ...")
        for envelopes in (funding.openings, funding.transfers):
            await submit_all(client, envelopes)
        write_wallet(wallet, funding, members)
        return [describe(account) for account in funding.accounts]
    return [describe(account) for account in opened_before(funding, book)]


def opened_before(funding: Funding, book: Mapping[str, address_book.Entry]) -> list[DevAccount]:
    """Those of the accounts that were opened here; the book may have others that people added since."""
    return [
        account
        for account in funding.accounts
        if account.name in book and book[account.name].address == account.address
    ]


def describe(account: DevAccount) -> dict[str, Any]:
    """An account for people and programs, with its secret: it is for development."""
    secret = account.key.private_numbers().private_value.to_bytes(32).hex()
    return {
        "name": account.name,
        "member": account.member,
        "asset": account.asset,
        "first_balance": format_amount(account.balance, account.scale),
        "address": account.address,
        "private_key": secret,
    }


def member_keys(network: ProvisionedNetwork) -> dict[str, MemberKeys]:
    """Every member's keys by alias."""
    found: dict[str, MemberKeys] = {}
    for member in network.members:
        keystore = open_keystore(network.keystore(member.id), PASSPHRASE)
        found[member.id] = {alias: keystore.private_key(alias) for alias in keystore.public_keys()}
    return found


async def submit_all(client: Client, envelopes: Sequence[bytes]) -> None:
    """Submit in batches; every one must be executed. Submitted twice, they are executed once."""
    for at in range(0, len(envelopes), BATCH):
        for answer in await client.submit_batch(envelopes[at : at + BATCH]):
            _check(answer)


def _check(answer: Answer) -> None:
    if answer.outcome is None or answer.outcome.number != 0:
        said = answer.outcome.sentence if answer.outcome else f"its status is {answer.status}."
        raise CommandError(
            f"The accounts could not be opened and funded: {said}",
            "Begin anew with --reset; the nodes' logs are in nodes/*/node.log.",
        )


def write_wallet(folder: Path, funding: Funding, members: dict[str, MemberKeys]) -> None:
    """The folder that other commands find: keystore, its passphrase, and last the address book."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    write_private(folder / network_folder.PASSPHRASE_NAME, PASSPHRASE.encode() + b"\n")
    keystore = create_keystore(folder / network_folder.KEYSTORE_NAME, PASSPHRASE, COST)
    keystore.add_all(wallet_keys(funding, members))
    entries = {
        account.name: address_book.Entry(account.address, account.asset, account.member, account.name)
        for account in funding.accounts
    }
    address_book.add(folder / network_folder.ADDRESS_BOOK_NAME, entries)


def _present(
    out: output.Output, network: ProvisionedNetwork, accounts: list[dict[str, Any]], config_out: Path | None
) -> None:
    document = {
        "folder": str(network.directory),
        "name": network.name,
        "network_id": network.network_id.hex(),
        "ca": str(network.ca),
        "urls": list(network.api_urls),
        "accounts": accounts,
    }
    if config_out is not None:
        write_private(config_out, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")

    def human() -> None:
        out.table(("BANK", "NODE", "API"), [(node.member, node.id, node.api_url) for node in network.nodes])
        out.data("")
        out.table(("ACCOUNT", "BANK", "FIRST BALANCE>", "ADDRESS"), [_row(account) for account in accounts])
        out.data("")
        # A table of their own: beside the addresses both would be folded, and nobody could copy them.
        keys = [(account["name"], account["private_key"]) for account in accounts]
        out.table(("ACCOUNT", "PRIVATE KEY (DEV ONLY)"), keys)

    out.result(document, human)
    out.say("\nDEV ONLY: everybody may know these keys. Try, in another terminal:\n")
    out.say("  " + first_payment(network, accounts))
    out.say("\nCtrl-C stops the network.")


def _row(account: dict[str, Any]) -> tuple[str, ...]:
    balance = f"{account['first_balance']} {account['asset']}"
    return (account["name"], account["member"], balance, account["address"])


def first_payment(network: ProvisionedNetwork, accounts: list[dict[str, Any]]) -> str:
    """A command that pays, when it is pasted in the same folder."""
    payer = accounts[0]["name"]
    payee = accounts[1]["name"] if len(accounts) > 1 else payer
    here = network.directory == network_folder.DEFAULT_FOLDER.absolute()
    where = "" if here else f" --network {network.directory}"
    return f"nostro pay {payee} 12.50 --from {payer}{where}"


async def _watch(out: output.Output, nodes: LocalNetwork, client: Client, stopping: asyncio.Event) -> None:
    """Until the network is to stop: one live line on a terminal, nothing elsewhere; warns of a dead node."""
    told: set[str] = set()
    with live_line() as show:
        while not stopping.is_set():
            down = [node for node in nodes.node_ids if not nodes.is_running(node)]
            for node in sorted(set(down) - told):
                clear_line()
                out.warn(f"Node {node} has ended; its log: {nodes.log_file(node)}")
                told.add(node)
            show(await _status(nodes, client, len(down)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), STATUS_EVERY_S)


async def _status(nodes: LocalNetwork, client: Client, down: int) -> str:
    """The network in one line."""
    up = f"{len(nodes.node_ids) - down} of {len(nodes.node_ids)} nodes up"
    try:
        view = await client.cluster()
    except NotReachable:
        return f"{up}; none answers"
    leader = f"leader {view.leader}" if view.leader else "no leader"
    heights = f"block {view.executed_height:,} executed, {view.certified_height:,} certified"
    return f"{up}; {leader}, term {view.term}; {heights}"


@contextlib.contextmanager
def live_line() -> Iterator[Callable[[str], None]]:
    """Give a function that shows a line on stderr in place of the last one, if it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    from rich.console import Console
    from rich.status import Status

    with Status("starting", console=Console(file=sys.stderr)) as status:
        yield status.update
