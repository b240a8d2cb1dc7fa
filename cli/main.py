"""The root of the command line: the list of commands, and the one place where a run ends.

It must not know what any command does; each is imported when it runs.
"""

from __future__ import annotations

from typing import Any

import click

from cli.errors import Explained, explain
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup
from cli.output import Output, styled

COMMANDS = {
    "dev": LazyCommand("cli.dev:dev", "Run a network of your own on this machine, with funded accounts."),
    "network": LazyCommand(
        "cli.network:network",
        "Make the files of a new network, and run its nodes in the background of this machine.",
    ),
    "node": LazyCommand("cli.node:node", "Run one bank's node, or ask how it is."),
    "drill": LazyCommand(
        "cli.drill.command:drill", "Rehearse a lost quorum and a restore, on copies of the nodes in FOLDER."
    ),
    "leader": LazyCommand("cli.leader:leader", "See to which node leads."),
    "key": LazyCommand("cli.key:key", "Make and keep the keys that sign payments."),
    "pay": LazyCommand("cli.pay:pay", "Pay an amount from one account to another."),
    "payment": LazyCommand("cli.payment:payment", "Build, sign, submit and look up payments, step by step."),
    "settle": LazyCommand(
        "cli.settle.command:settle", "Settle a file of payment orders, playing all its banks and payers."
    ),
    "orders": LazyCommand(
        "cli.settle.command:orders",
        "Write COUNT realistic payment orders of one bank's customers to 13 other banks.",
    ),
    "account": LazyCommand("cli.account:account", "Open, look at and change accounts."),
    "block": LazyCommand("cli.block:block", "Look at the blocks of the chain."),
    "receipt": LazyCommand("cli.receipt:receipt", "Fetch the proof of a payment, and check one offline."),
    "audit": LazyCommand("cli.audit:audit", "Check a whole chain offline, in a copy of a node's store."),
    "members": LazyCommand(
        "cli.members:members", "List the banks and their nodes, and change which nodes make up the cluster."
    ),
    "parameters": LazyCommand(
        "cli.parameters:parameters", "List the parameters that the banks agree on, and change them."
    ),
    "rules": LazyCommand("cli.rules:rules", "Show which rules blocks follow, and activate newer ones."),
    "assets": LazyCommand("cli.registry:assets", "List the assets."),
    "outcomes": LazyCommand("cli.registry:outcomes", "List every way a payment can end."),
    "bench": LazyCommand("cli.bench.command:bench", "Measure a network of real nodes on this machine."),
    "version": LazyCommand("cli.about:version", "Print the version."),
    "completion": LazyCommand("cli.about:completion", "Print the completion script of a shell."),
}


class Explaining:
    """Ends the run with words and a code for what `cli.errors` can explain, and lets all else go on."""

    def __init__(self, ctx: click.Context) -> None:
        self._ctx = ctx

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Show an explained error and exit with its code."""
        explained = explain(error) if error is not None else None
        if explained is not None:
            out = self._ctx.ensure_object(Output)
            out.as_json |= out.json_named and explained.exit is Exit.USAGE
            show_error(out, explained)
            self._ctx.exit(int(explained.exit))


class Root(LazyGroup):
    """The group under which a run ends."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments as they came: a usage error may come before `--json` is read."""
        ctx.ensure_object(Output).json_named = "--json" in args
        with Explaining(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that can be explained becomes words and an exit code."""
        ctx.ensure_object(Output)
        with Explaining(ctx):
            return super().invoke(ctx)


def show_error(out: Output, explained: Explained) -> None:
    """Tell the person on stderr; with `--json`, and nothing shown yet, on stdout as a document too."""
    out.say(styled("error: ", "red") + explained.message)
    out.say("  " + explained.remedy)
    if out.as_json and not out.shown:
        out.result(explained.document(), lambda: None)


@click.command(
    cls=Root,
    lazy=COMMANDS,
    name="nostro",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 refused by the ledger, 4 not found, "
    "5 no quorum or unreachable, 6 outcome unknown, 10 audit violation.",
)
def root() -> None:
    """A settlement ledger that banks run together: pay, look, prove.

    Data goes to stdout, words for people to stderr. `nostro dev` starts a network to try everything on.
    """


def main() -> None:
    """Run the command line and end the process."""
    root.main(prog_name="nostro")
