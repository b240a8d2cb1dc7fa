"""`nostro node doctor`: what keeps one node from working, or soon will, and what to do about it.

It must not know how anything is checked.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import textwrap
from pathlib import Path

import click
import msgspec

from cli import output
from cli.exits import Exit
from cli.output import styled_data
from node.doctor import examine
from node.findings import FAILED, OK, WARNING, Finding

COLOURS = {OK: "green", WARNING: "yellow", FAILED: "red"}
RESULT_WIDTH = max(map(len, COLOURS))


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@output.json_option
def doctor(config: Path) -> None:
    """Examine one node, running or stopped: keys, certificates, ports, disk, store, peers, clock.

    CONFIG is its node.toml. Nothing is changed. Ends with 0 where all is well or only warned of, with 1 where
    something failed.
    """
    findings = asyncio.run(examine(config))
    out = output.current()
    document = {"findings": msgspec.to_builtins(findings), "healthy": not _any(findings, FAILED)}
    out.result(document, lambda: _show(out, findings))
    if _any(findings, FAILED):
        click.get_current_context().exit(int(Exit.ERROR))


def _show(out: output.Output, findings: list[Finding]) -> None:
    """A line a check, and below it what to do where something is; folded at a terminal's edge."""
    width = max(len(finding.check) for finding in findings)
    indent = " " * (RESULT_WIDTH + width + 4)
    for finding in findings:
        head = f"{finding.result.ljust(RESULT_WIDTH)}  {finding.check.ljust(width)}  "
        lines = _folded(head + finding.what, indent)
        if finding.remedy:
            lines += _folded(indent + finding.remedy, indent)
        coloured = styled_data(finding.result, COLOURS[finding.result])
        for line in "\n".join(lines).replace(finding.result, coloured, 1).splitlines():
            out.data(line)


def _folded(text: str, indent: str) -> list[str]:
    """Text in lines of the terminal's width; a pipe gets one line."""
    if not sys.stdout.isatty():
        return [text]
    columns = shutil.get_terminal_size().columns
    return textwrap.wrap(
        text, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _any(findings: list[Finding], result: str) -> bool:
    return any(finding.result == result for finding in findings)
