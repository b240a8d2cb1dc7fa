"""The demonstration behind scripts/demo: banks settle a file of orders while their leader is killed.

It does what a person would do, with the commands that a person has; only killing and restarting nodes is its
own.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from cli.output import styled
from cli.progress import clear_line
from cli.settle.generator import write_orders
from cli.settle.journal import count_signed
from cli.settle.orders import Order, OrderFormat, read_orders
from cli.settle.plan import make_plan
from ledger.amounts import AmountError, format_amount, parse_amount
from node.local import LocalNetwork, LocalNetworkError, free_node_ports
from node.plan import NetworkPlan, PlannedAsset, PlannedMember, PlannedNode
from node.provision import ProvisionedNetwork, create_network
from wallet.answers import Certificate
from wallet.client import Client
from wallet.keystore_file import ScryptCost
from wallet.network_answers import Cluster

PASSPHRASE = "nostro demo"
# Everybody may know this passphrase: keystores that are slow to open would protect nothing here.
COST = ScryptCost(n=2**12)
BANKS = ("home", "ab", "cd", "ef", "gh", "ij", "kl", "mn", "op", "qr", "st", "uv", "wx", "yz")
NODES = 3
COLUMNS = {
    "payer": "account_id",
    "payee": "account_to",
    "payee_bank": "bank_to",
    "amount": "amount",
}
ASSET, SCALE = "CZK", 2
LAYOUT = OrderFormat(";", COLUMNS, "home", SCALE)
WATCH_S = 0.05
CATCH_UP_S = 60.0
TOO_LATE = (
    "error: all orders were settled before the leader was killed: nothing was shown of a crash. "
    "Take more orders, or leave the leader alone with --no-kill."
)


def amount(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """An amount in minor units, if one is given."""
    try:
        return None if value is None else parse_amount(value, SCALE)
    except AmountError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--orders", "count", default=3_000, show_default=True, help="How many orders to make.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same orders.")
@click.option(
    "--file",
    "given",
    type=click.Path(path_type=Path, exists=True),
    help="Settle this file of orders instead: semicolons; account_id, bank_to, account_to, amount.",
)
@click.option("--no-kill", is_flag=True, help="Leave the leader alone.")
@click.option(
    "--expect-total",
    "expected",
    callback=amount,
    metavar="AMOUNT",
    help="Fail unless the chain holds just this much when all orders are settled.",
)
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), default=Path("nostro-demo"), show_default=True
)
def demo(
    count: int, seed: int, given: Path | None, no_kill: bool, expected: int | None, folder: Path
) -> None:
    """Three banks settle a file of payment orders while their leader is killed, and an audit confirms it."""
    title(1, "Fourteen banks and a central bank; three of the banks run a node")
    click.echo("   making their keys, keystores and certificates ...")
    network = new_network(folder)
    with LocalNetwork(network) as local:
        click.echo("   starting the nodes ...")
        local.start()
        asyncio.run(local.ready())
        for node in network.nodes:
            click.echo(f"   {node.id} of bank {node.member} answers at {node.api_url}")
        file = given or orders_file(folder, count, seed)
        if no_kill:
            title(2, f"Settle {file.name}")
            settle(folder, file)
        else:
            title(2, f"Settle {file.name}; in the middle the leader is killed (kill -9)")
            settle_while_killing(local, folder, file)
        title(3, "Settle the same file again: nothing is paid twice")
        settle(folder, file)
        title(4, "The three nodes agree")
        asyncio.run(compare(network))
        stop(local)
    title(5, "An auditor replays the whole chain, offline, from each node's store")
    for node in network.nodes:
        check(audit(folder, node.id, network.genesis), orders_of(file), expected)
    closing(folder)


def title(number: int, text: str) -> None:
    """The headline of a step."""
    click.secho(f"\n{number}. {text}\n", bold=True)


def new_network(folder: Path) -> ProvisionedNetwork:
    """A fresh network on free ports; one that an earlier demonstration left is removed."""
    if (folder / "network.json").is_file():
        shutil.rmtree(folder)
    ports = free_node_ports(NODES)
    members = [PlannedMember("cnb", "Central bank")]
    for number, bank in enumerate(BANKS):
        its_ports = ports[3 * number : 3 * number + 3]
        node = PlannedNode(f"{bank}-1", "127.0.0.1", *its_ports) if its_ports else None
        members.append(PlannedMember(bank, f"Bank {bank.upper()}", node))
    plan = NetworkPlan("nostrodemo", tuple(members), (PlannedAsset(ASSET, SCALE, "cnb", 10**15),))
    return create_network(plan, folder, PASSPHRASE, keystore_cost=COST)


def orders_file(folder: Path, count: int, seed: int) -> Path:
    """A file of generated orders."""
    path = folder / "orders.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        write_orders(out, count, seed)
    return path


def orders_of(file: Path) -> tuple[Order, ...]:
    """What the file asks for."""
    return read_orders(file, LAYOUT).orders


def settle(folder: Path, file: Path) -> None:
    """`nostro settle`, as a person would run it."""
    nostro("settle", str(file), "--network", str(folder), "--passphrase-file", str(passphrase_file(folder)))


def passphrase_file(folder: Path) -> Path:
    """What opens the banks' keystores; in earnest each bank keeps its own."""
    path = folder / "passphrase"
    path.write_text(PASSPHRASE + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def nostro(*arguments: str) -> None:
    """Run a command of nostro's; a failure ends the demonstration with its code."""
    click.echo(f"   $ nostro {' '.join(arguments)}\n")
    done = subprocess.run([sys.executable, "-m", "cli", *arguments], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def audit(folder: Path, node: str, genesis: Path) -> dict[str, Any]:
    """`nostro audit --json` of a stopped node's store; what it finds wrong ends the demonstration."""
    command = ["audit", str(folder / "nodes" / node / "data"), "--genesis", str(genesis), "--json"]
    click.echo(f"   $ nostro {' '.join(command)}\n")
    done = subprocess.run([sys.executable, "-m", "cli", *command], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return dict(json.loads(done.stdout))


def check(found: dict[str, Any], orders: Sequence[Order], expected: int | None) -> None:
    """Show what an audit found, which must be each order once, with its funding, and nothing else.

    `expected` is a total in minor units that somebody knows from elsewhere.
    """
    payments, supply = found["checked"]["payments"], found["supply"][ASSET]
    click.echo(
        f"   {found['node']}: {found['replayed']:,} blocks replayed, {payments:,} payments, "
        f"{len(orders):,} of them fundings; {supply} {ASSET} issued and held\n"
    )
    total = sum(order.amount for order in orders)
    if (payments, supply, found["issued"][ASSET]) != (2 * len(orders), *[format_amount(total, SCALE)] * 2):
        raise SystemExit(f"error: the file has {len(orders):,} orders over {format_amount(total, SCALE)}.")
    if expected not in (None, total):
        raise SystemExit(f"error: the orders were to come to {format_amount(expected, SCALE)}, not {supply}.")


def settle_while_killing(local: LocalNetwork, folder: Path, file: Path) -> None:
    """Settle, and kill the leader once half of the payments are signed; start it again afterwards."""
    finished = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as threads:
        killing = threads.submit(kill_in_the_middle, local, file, finished)
        try:
            settle(folder, file)
        finally:
            finished.set()
        killing.result()


def kill_in_the_middle(local: LocalNetwork, file: Path, finished: threading.Event) -> None:
    """Wait for the middle, kill the leader, wait for another, start the first again."""
    journal = local.network.directory / "journals" / f"{file.name}.journal"
    plan = make_plan(orders_of(file), batch=file.name, asset=ASSET, start_ms=0)
    middle = len(plan.customers) + len(plan.payments) + len(plan.payments) // 2
    wait_for_middle(journal, middle, finished)
    old = asyncio.run(next_leader(local.network, local.node_ids, None))
    if finished.is_set():
        raise SystemExit(TOO_LATE)
    start = time.monotonic()
    local.kill(old)
    interject(f"leader {old} is killed", "red")
    others = tuple(node for node in local.node_ids if node != old)
    new = asyncio.run(next_leader(local.network, others, old))
    interject(f"{new} leads, {time.monotonic() - start:.1f} s later", "green")
    local.start([old])


def wait_for_middle(journal: Path, middle: int, finished: threading.Event) -> None:
    """Until so many transactions are signed; settling that is over before is no demonstration of a crash."""
    while count_signed(journal) < middle:
        if finished.wait(WATCH_S):
            raise SystemExit(TOO_LATE)


def interject(text: str, colour: str) -> None:
    """A line of its own while another process draws its bar."""
    clear_line()
    click.echo("   " + styled(text, colour), err=True)


async def leader(network: ProvisionedNetwork, nodes: tuple[str, ...]) -> str | None:
    """The leader that these nodes know of."""
    for url in (place.api_url for place in network.nodes if place.id in nodes):
        async with Client([url], ca_file=network.ca) as client:
            found = (await client.cluster()).leader
        if found is not None:
            return found
    return None


async def next_leader(network: ProvisionedNetwork, nodes: tuple[str, ...], old: str | None) -> str:
    """The first leader that isn't the old one, if there was one."""
    deadline = time.monotonic() + CATCH_UP_S
    while time.monotonic() < deadline:
        found = await leader(network, nodes)
        if found not in (None, old):
            return str(found)
        await asyncio.sleep(WATCH_S)
    raise LocalNetworkError(f"no leader within {CATCH_UP_S} s; look at the nodes' logs.")


async def compare(network: ProvisionedNetwork) -> None:
    """Show that all nodes certify the same state at the highest height."""
    tip = max([(await cluster(network, node.api_url)).executed_height for node in network.nodes])
    roots: set[str] = set()
    for node in network.nodes:
        certificate = await certified(network, node.api_url, tip)
        signers = ", ".join(signature.node for signature in certificate.signatures)
        click.echo(f"   {node.id}: height {tip:,}, state {certificate.state_root[:16]}…, signed by {signers}")
        roots.add(certificate.state_root)
    if len(roots) != 1:
        raise SystemExit("The nodes' states differ.")


async def cluster(network: ProvisionedNetwork, url: str) -> Cluster:
    """One node's view."""
    async with Client([url], ca_file=network.ca) as client:
        return await client.cluster()


async def certified(network: ProvisionedNetwork, url: str, height: int) -> Certificate:
    """A node's certificate of a height, once it has one."""
    deadline = time.monotonic() + CATCH_UP_S
    while (await cluster(network, url)).certified_height < height:
        if time.monotonic() > deadline:
            raise LocalNetworkError(f"{url} did not certify height {height:,} within {CATCH_UP_S} s.")
        await asyncio.sleep(WATCH_S)
    async with Client([url], ca_file=network.ca) as client:
        return await client.certificate(height)


def stop(local: LocalNetwork) -> None:
    """Stop the nodes well: the leader hands over first."""
    codes = local.stop()
    click.echo(f"   stopped: {', '.join(f'{node} (exit {code})' for node, code in codes.items())}")


def closing(folder: Path) -> None:
    """Where to look next."""
    click.secho("\nDone. Where to look next:\n", bold=True)
    click.echo(
        f"   {folder}/                 the network: genesis, nodes with their stores and logs, keystores"
    )
    click.echo("   .venv/bin/nostro dev         a network of your own, with funded accounts to pay from")
    click.echo("   docs/start.md                first steps; docs/walk.md: the walk of one payment")
    click.echo("   .venv/bin/nostro bench       how fast it is on this machine")


if __name__ == "__main__":
    try:
        demo()
    except LocalNetworkError as error:
        raise SystemExit(f"error: {error}") from error
