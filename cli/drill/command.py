"""`nostro drill`: what it is told, and what it ends with.

It must not know what the steps of a drill are.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from pathlib import Path
from typing import Any

import click

from cli import output
from cli.background import folder_argument, voters_of
from cli.drill import report as drill_report
from cli.drill.journal import DrillStopped, Journal
from cli.drill.original import look, look_again
from cli.drill.plan import Loss, loss_of
from cli.drill.rehearsal import Rehearsal, rehearse
from cli.drill.scratch import scratch
from cli.drill.screen import Terminal
from cli.drill.signing import Signers
from cli.errors import CommandError
from cli.names import from_genesis
from cli.output import styled
from cli.transact import now_ms
from cli.wallet_files import members_passphrase
from node.provision import ISSUANCE, ProvisionedNetwork, load_network

STEP_TIMEOUT_S = 120


@click.command()
@folder_argument
@click.option(
    "--survivor",
    "survivors",
    multiple=True,
    metavar="NODE",
    help="A node that survives; repeat it.  [default: as many as are one too few]",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path),
    help="Where the report goes, as Markdown.  [default: nostro-drill-TIME.md, here]",
)
@click.option(
    "--scratch",
    "parent",
    type=click.Path(path_type=Path),
    help="Where the copies are made.  [default: the temporary folder]",
)
@click.option("--keep", is_flag=True, help="Don't remove the copies: to see why a step failed.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(1),
    default=STEP_TIMEOUT_S,
    show_default=True,
    help="Seconds that each thing waited for may take.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    envvar="NOSTRO_PASSPHRASE_FILE",
    help="A file whose first line opens the members' keystores.",
)
@output.json_option
def drill(
    folder: Path,
    survivors: tuple[str, ...],
    report_file: Path | None,
    parent: Path | None,
    keep: bool,
    timeout_s: int,
    passphrase_file: Path | None,
) -> None:
    """Rehearse a lost quorum and a restore, on copies of the nodes in FOLDER.

    FOLDER is a network's, with its members' keys; its nodes may run, and go on settling payments. The copies
    reach nobody but each other, and are removed. The report says how long each step took, what was checked,
    and what failed. The exit code is that of the step which failed.
    """
    network = load_network(folder)
    voters = [node.id for node in asyncio.run(voters_of(network))]
    loss = loss_of(voters, survivors)
    file = _report_file(report_file)
    signers = _signers(network, passphrase_file)
    screen = Terminal()
    journal = Journal(screen, now_ms, lambda: time.monotonic_ns() // 1_000_000)
    try:
        with scratch(parent, keep) as place:
            _run(network, loss, signers, place, timeout_s, journal)
    finally:
        screen.clear()
    kept = str(place) if keep else None
    heading = drill_report.Heading(network.name, network.network_id.hex(), loss.survivors, loss.lost, kept)
    document = drill_report.document(heading, journal.steps)
    file.write_text(drill_report.markdown(document), encoding="utf-8")
    _show(document, file, journal)


def _run(
    network: ProvisionedNetwork,
    loss: Loss,
    signers: Signers,
    place: Path,
    timeout_s: int,
    journal: Journal,
) -> None:
    """All steps on the copies, and however they end, a look at the real network."""
    before = look(network)
    running = tuple(node for node in loss.survivors if before[node].runs)
    with contextlib.suppress(DrillStopped):
        rehearse(Rehearsal(network, loss, running, signers, place, timeout_s), journal)
    with contextlib.suppress(DrillStopped), journal.step("See that the real network is untouched") as checked:
        checked |= look_again(network, before)


def _signers(network: ProvisionedNetwork, passphrase_file: Path | None) -> Signers:
    """The members' keys; a wrong passphrase or a missing keystore is told of before anything is done."""
    names = from_genesis(network.genesis.read_bytes())
    signers = Signers(network, names, members_passphrase(network, passphrase_file))
    signers.member_key(names.issuers[signers.asset], ISSUANCE)
    return signers


def _report_file(given: Path | None) -> Path:
    """Where the report goes; raises CommandError where it can't, before anything is done."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    file = given or Path(f"nostro-drill-{stamp}.md")
    if not file.parent.is_dir():
        raise CommandError(
            f"There is no folder {file.parent} for the report.", "Make it, or name another with --report."
        )
    return file


def _show(document: dict[str, Any], file: Path, journal: Journal) -> None:
    """Say how it ended and where the report is; end with the code of the step that failed."""
    out = output.current()
    pairs = [*drill_report.summary(document), ("report", str(file))]
    out.say("")
    out.result({**document, "report": str(file)}, lambda: out.fields(pairs))
    for step in journal.steps:
        if step.failure is not None:
            out.say(styled("error: ", "red") + f"{step.name}: {step.failure.message}")
            out.say("  " + step.failure.remedy)
    if document["kept_folder"]:
        out.warn(f"The copies are kept in {document['kept_folder']}: they hold signing keys. Remove them.")
    click.get_current_context().exit(int(journal.exit))
