"""`nostro settle` and `nostro orders`: the commands; what they do is in the modules beside this one."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.progress import progress

if TYPE_CHECKING:
    from cli.settle.network_keys import NetworkKeys
    from cli.settle.orders import BadLine, Order, OrderFile
    from cli.settle.plan import Plan
    from cli.settle.report import Report, Unprepared
    from cli.settle.runner import Carried, Runner
    from node.provision import ProvisionedNetwork
    from wallet.network_answers import Asset

DEFAULT_COLUMNS = {
    "order": "order_id",
    "payer": "account_id",
    "payer_bank": "bank_from",
    "payee": "account_to",
    "payee_bank": "bank_to",
    "amount": "amount",
    "category": "k_symbol",
}
SHOWN_LINES = 20
"""How many lines of each sort a person is shown; `--json` has them all."""
JOURNALS = "journals"


def _columns(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    from cli.settle.orders import FIELDS

    columns = dict(DEFAULT_COLUMNS)
    for value in values:
        field, equals, name = value.partition("=")
        if not equals or field not in FIELDS or not name:
            raise click.BadParameter(f"{value!r} is not FIELD=NAME with a field of: {', '.join(FIELDS)}")
        columns[field] = name
    return columns


def _delimiter(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    from cli.settle.orders import NO_DELIMITERS

    if len(value) != 1 or value in NO_DELIMITERS:
        raise click.BadParameter(
            f"{value!r} can't stand between columns: give one character, such as ';', ',' or a tab "
            "($'\\t' in a shell), and neither a quotation mark nor a line's end."
        )
    return value


@dataclass(frozen=True, slots=True)
class Batch:
    """What the options say of a run."""

    file: Path
    name: str
    journal: Path
    asset: str | None
    payer_bank: str | None
    delimiter: str
    columns: dict[str, str]


@click.command(name="settle")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--asset", help="The asset's code. Default: the network's only asset.")
@click.option(
    "--payer-bank", default="home", show_default=True, help="The payers' bank, if no column says it."
)
@click.option(
    "--delimiter",
    default=";",
    show_default=True,
    callback=_delimiter,
    help="The one character between columns; no quotation mark and no line's end.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_columns,
    metavar="FIELD=NAME",
    help="The file's name for a column. "
    "Fields: order, payer, payer_bank, payee, payee_bank, amount, category.",
)
@click.option("--batch", help="The name that ids derive from. Default: the file's name.")
@click.option("--journal", type=click.Path(path_type=Path), help="Where signed bytes are kept.")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    envvar="NOSTRO_PASSPHRASE_FILE",
    help="A file whose first line opens the banks' keystores.",
)
@connection_options
@output.json_option
def settle(
    file: Path,
    asset: str | None,
    payer_bank: str,
    delimiter: str,
    columns: dict[str, str],
    batch: str | None,
    journal: Path | None,
    passphrase_file: Path | None,
    connection: Connection,
) -> None:
    """Settle a file of payment orders, playing all its banks and payers.

    Needs the folder of a network (--network) with the banks' keys. Opens an account for every payer and
    payee, funds every order's payer from the asset's issuer, and pays every order. Run it again after any
    failure: nothing is ever paid twice.

    A file only grows: new orders go to its end, and lines that were left out may be mended. One of which any
    other line has changed since an earlier run is refused before anything is sent, and the line is named.

    Ends with 6 while orders are open (run it again), with 3 where the chain refused an order, its accounts
    or its funding for good.
    """
    network, passphrase = _network(connection, passphrase_file)
    name = batch or file.name
    place = journal or network.directory / JOURNALS / f"{name}.journal"
    settling = Batch(file, name, place, asset, payer_bank.lower(), delimiter, columns)
    report, asset_code, scale = asyncio.run(_settle(settling, network, passphrase, connection))
    _show(report, name, asset_code, scale)
    code = exit_code(report)
    if code is not Exit.DONE:
        raise SystemExit(int(code))


def _network(connection: Connection, passphrase_file: Path | None) -> tuple[ProvisionedNetwork, str]:
    """The network's folder and what opens its keystores."""
    from cli.wallet_files import members_passphrase
    from node.provision import load_network

    if connection.folder is None:
        raise CommandError(
            "Settling a file needs the folder of a network, where the banks' keys are.",
            "Name it with --network FOLDER; `nostro network new` or `nostro dev` make one.",
            Exit.USAGE,
        )
    network = load_network(connection.folder)
    return network, members_passphrase(network, passphrase_file)


async def _settle(
    batch: Batch, network: ProvisionedNetwork, passphrase: str, connection: Connection
) -> tuple[Report, str, int]:
    from cli.settle.journal import Journal
    from cli.settle.network_keys import NetworkKeys
    from cli.settle.orders import OrderFormat, read_orders
    from cli.settle.plan import make_plan
    from cli.settle.report import make_report
    from cli.settle.runner import Runner
    from cli.settle.signing import Desk
    from cli.settle.unchanged import check_signed
    from ledger.genesis import decode_genesis
    from ledger.keys import parse_address

    genesis = decode_genesis(network.genesis.read_bytes())
    async with connection.client() as client:
        asset = _pick(await client.assets(), batch.asset)
        layout = OrderFormat(batch.delimiter, batch.columns, batch.payer_bank, asset.scale)
        orders, bad_lines = _of_members(read_orders(batch.file, layout), network)
        plan = make_plan(orders, batch=batch.name, asset=asset.code, start_ms=genesis.time_ms)
        keys = NetworkKeys(network, asset.issuer, passphrase)
        account = parse_address(asset.account, network.name)
        desk = Desk(network.network_id, asset.code, account, keys, time.time_ns() // 1_000_000)
        with Journal(batch.journal, network.network_id, batch.name) as journal:
            check_signed(plan, journal.envelopes, desk, asset.scale)
            runner = Runner(client, journal, desk, network.name, asset.scale)
            carried = await _carry_out(runner, plan, keys)
    return make_report(carried, bad_lines), asset.code, asset.scale


def _pick(assets: tuple[Asset, ...], code: str | None) -> Asset:
    codes = ", ".join(asset.code for asset in assets)
    if code is None and len(assets) == 1:
        return assets[0]
    for asset in assets:
        if asset.code == code:
            return asset
    problem = f"The network has no asset {code}." if code else "The network has several assets, or none."
    raise CommandError(problem, f"Name one with --asset (there are: {codes or 'none'}).", Exit.USAGE)


def _of_members(file: OrderFile, network: ProvisionedNetwork) -> tuple[list[Order], list[BadLine]]:
    """The orders whose banks are members; each of the others is a bad line."""
    from cli.settle.orders import BadLine

    members = {member.id for member in network.members}
    orders: list[Order] = []
    bad_lines = list(file.bad_lines)
    for order in file.orders:
        strangers = [bank for bank in (order.payer_bank, order.payee_bank) if bank not in members]
        if strangers:
            bad_lines.append(BadLine(order.line, f"the bank {strangers[0]!r} is no member of the network"))
        else:
            orders.append(order)
    return orders, sorted(bad_lines, key=lambda bad: bad.line)


async def _carry_out(runner: Runner, plan: Plan, keys: NetworkKeys) -> Carried:
    from cli.settle.plan import signing_banks
    from cli.settle.recall import Recall
    from cli.settle.runner import Carried, carry_out
    from wallet.client import Freshness

    # Linearizable: a node that is catching up would take what an earlier run settled for this run's.
    height = (await runner.client.block("latest", Freshness(strong=True))).height
    recall = Recall(runner.client, runner.desk, runner.network_name, runner.scale, height)
    signed = runner.journal.envelopes
    endings = await recall.endings(plan, signed, progress)
    keys.open_banks(signing_banks(plan, signed.keys() | endings.keys()))
    start = time.monotonic()
    await carry_out(runner, plan, endings, progress)
    return Carried(plan, height, endings, time.monotonic() - start)


def _show(report: Report, batch: str, asset: str, scale: int) -> None:
    from cli.settle.report import to_document

    output.current().result(
        to_document(report, batch, asset, scale), lambda: show_human(report, batch, asset, scale)
    )


def show_human(report: Report, batch: str, asset: str, scale: int) -> None:
    """The net positions on stdout; on stderr what isn't paid and why, and the sums."""
    from cli.settle.report import signed_amount
    from ledger.amounts import format_amount

    out = output.current()
    rows = [
        (
            position.bank,
            format_amount(position.received, scale),
            format_amount(position.paid, scale),
            signed_amount(position.net, scale),
        )
        for position in report.positions
    ]
    out.table(("BANK", f"RECEIVED {asset}>", f"PAID {asset}>", f"NET {asset}>"), rows)
    _show_reasons(report)
    out.say(_summary(report, batch, asset, format_amount(report.amount, scale)))
    if report.withheld:
        out.warn(
            f"{len(report.withheld):,} orders were not sent, since the chain refused what they need. "
            "When its cause is mended, settle these lines in a file of their own."
        )
    if report.open:
        out.warn(
            f"{len(report.open):,} orders are still open: mend what is told above, if anything, "
            "and run the same command again."
        )


def _show_reasons(report: Report) -> None:
    out = output.current()
    for lines in (
        [f"line {bad.line}: left out: {bad.reason}" for bad in report.bad_lines],
        [_unprepared(unprepared) for unprepared in report.unprepared],
        [f"line {unpaid.order.line}: refused: {unpaid.ending.sentence}" for unpaid in report.refused],
        [
            f"line {unpaid.order.line}: open: {unpaid.ending.sentence}"
            for unpaid in report.open
            if unpaid.sent
        ],
    ):
        for line in lines[:SHOWN_LINES]:
            out.say(line)
        if len(lines) > SHOWN_LINES:
            out.say(f"... and {len(lines) - SHOWN_LINES:,} more of these; --json lists them all.")


def _unprepared(unprepared: Unprepared) -> str:
    if unprepared.line is not None:
        return f"line {unprepared.line}: the issuer's funding is not executed: {unprepared.ending.sentence}"
    customer = unprepared.customer
    return f"account {customer.name} of {customer.bank} is not open: {unprepared.ending.sentence}"


def _summary(report: Report, batch: str, asset: str, amount: str) -> str:
    earlier = f" ({report.settled_earlier:,} of them by an earlier run)" if report.settled_earlier else ""
    return (
        f"{batch}: {report.settled:,} of {report.orders:,} orders settled{earlier}, {amount} {asset}; "
        f"{len(report.refused):,} refused, {len(report.withheld):,} not sent, {len(report.open):,} open, "
        f"{len(report.bad_lines):,} lines left out; "
        f"{report.accounts:,} accounts; {report.seconds:.1f} s."
    )


def exit_code(report: Report) -> Exit:
    """What can be mended by another run comes before what can't."""
    if report.open:
        return Exit.UNKNOWN
    if report.refused or report.withheld:
        return Exit.REFUSED
    return Exit.ERROR if report.bad_lines else Exit.DONE


@click.command(name="orders")
@click.argument("count", type=click.IntRange(1), default=6_471)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same orders.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write. Default: standard output.")
@output.json_option
def orders(count: int, seed: int, out: Path | None) -> None:
    """Write COUNT realistic payment orders of one bank's customers to 13 other banks.

    Amounts, categories and banks are spread like the published figures of a real Czech bank's standing
    orders.
    """
    from cli.settle.generator import MAX_ORDERS

    if count > MAX_ORDERS:
        raise CommandError(f"{count:,} orders are more than {MAX_ORDERS:,}.", "Ask for fewer.", Exit.USAGE)
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as file:
            hellers = _write_orders(file, count, seed)
        _show_written(out, count, hellers)
    elif output.current().as_json:
        raise CommandError(
            "With --json the document is on standard output, so that the orders can't be there too.",
            "Name a file for them with --out.",
            Exit.USAGE,
        )
    else:
        _write_orders(sys.stdout, count, seed)


def _write_orders(file: TextIO, count: int, seed: int) -> int:
    """Write orders with progress shown, but not among the orders on a terminal; what they come to."""
    from cli.settle.generator import write_orders

    if file.isatty():
        return write_orders(file, count, seed)
    with progress("orders written") as report_progress:
        return write_orders(file, count, seed, report_progress)


def _show_written(file: Path, count: int, hellers: int) -> None:
    from cli.settle.generator import SCALE
    from ledger.amounts import format_amount

    out = output.current()
    total = format_amount(hellers, SCALE)
    out.result(
        {"file": str(file), "orders": count, "total": total},
        lambda: out.fields((("written", file), ("orders", f"{count:,}"), ("total", total))),
    )
