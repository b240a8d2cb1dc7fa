"""The page docs/cli.md, from the commands' own help: scripts/write_cli_page.py writes it, a test compares.

It must not know any command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEAD = """# The command line

`nostro` is one command with subcommands. This page is made from their own help by scripts/write_cli_page.py.

- Data goes to stdout, words for people to stderr. `--json` gives one document on stdout, errors included:
  `{"error": {"message", "remedy", "exit_code"}}`. Every command takes it but `node run`, which stays, and
  `completion`, which prints a script.
- Colour only on a terminal, and never with NO_COLOR set. Questions are asked only on a terminal.
- Exit codes: 0 done, 1 error, 2 usage, 3 refused by the ledger, 4 not found, 5 no quorum or unreachable,
  6 outcome unknown (submit the same bytes again), 10 audit violation.
- Which network: `--url` and `--ca`, or `--network FOLDER`; else the folder `nostro-network` where you are,
  which `nostro dev` makes.
- Which keys: `--keystore`; else those in the `wallet/` of that folder; else your own, in `~/.config/nostro`.
- Passphrases come from `--passphrase-file`, from the environment, or are asked for; never from an argument.

| variable | stands for |
|---|---|
| `NOSTRO_NETWORK` | `--network` |
| `NOSTRO_URL` | `--url`, several with spaces between |
| `NOSTRO_CA` | `--ca` |
| `NOSTRO_KEYSTORE` | `--keystore` |
| `NOSTRO_PASSPHRASE_FILE` | `--passphrase-file` |
| `NOSTRO_PASSPHRASE` | the passphrase itself |

Beside the keystore lie `accounts.json`, the address book (names for accounts), and `payments/`: a payment
whose outcome is not certain stays there, signed, to be submitted again; and so do the text and the salt of
each reference.
"""
SETTINGS: Mapping[str, Any] = {"terminal_width": 100, "help_option_names": ["-h", "--help"]}


def as_markdown() -> str:
    """The page docs/cli.md, which is made from the commands and never by hand."""
    context = click.Context(root, info_name=root.name, **SETTINGS)
    return "\n".join([HEAD, *(_section(each) for each in _walk(context))])


def _walk(context: click.Context) -> Iterator[click.Context]:
    """A command's context and those of all under it, in the order of the help."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            found = context.command.get_command(context, name)
            if found is not None:
                yield from _walk(click.Context(found, info_name=name, parent=context, **SETTINGS))


def _section(context: click.Context) -> str:
    text = re.sub(r"[ \t]+$", "", context.get_help(), flags=re.MULTILINE)
    return f"## {context.command_path}\n\n```text\n{text}\n```\n"
