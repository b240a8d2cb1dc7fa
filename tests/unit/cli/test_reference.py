"""Tests of the reference page."""

from __future__ import annotations

from pathlib import Path

from cli.reference import as_markdown

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_page_is_the_commands_own() -> None:
    """docs/cli.md is made by scripts/write_cli_page.py, never by hand."""
    assert PAGE.read_text(encoding="utf-8") == as_markdown()


def test_page_has_every_command() -> None:
    """Commands within groups are there too."""
    page = as_markdown()
    for name in ("nostro dev", "nostro payment build", "nostro account set-limit", "nostro settle"):
        assert f"\n## {name}\n" in page
