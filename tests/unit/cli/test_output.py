"""Tests of what commands show: tables, words, progress, colours."""

from __future__ import annotations

import asyncio
import sys

import click
import pytest

from cli import output
from cli.output import Output, styled
from cli.progress import Lines, clear_line, patiently, progress


class ManualClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        """The time now."""
        return self.ms


def test_result_is_the_document_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the human form isn't printed."""
    out = Output(as_json=True)
    out.result({"é": 1}, lambda: out.data("human"))
    assert capsys.readouterr().out == '{\n  "é": 1\n}\n'


def test_result_is_human_without(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the document isn't printed."""
    out = Output()
    out.result({"a": 1}, lambda: out.data("human"))
    assert capsys.readouterr().out == "human\n"


def test_table_in_a_pipe_keeps_lines_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Long cells aren't folded where nobody looks at the width, and markup in data is data."""
    Output().table(("NAME", "AMOUNT>"), [("x" * 300, 5), ("[red]y", 12345)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["x" * 300, "5"]
    assert lines[2].startswith("[red]y")
    assert lines[2].endswith("12345")


def test_fields_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """The values stand in one column."""
    Output().fields((("a", 1), ("long", 2)))
    assert capsys.readouterr().out == "a     1\nlong  2\n"


def test_words_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said to a person never mixes with data."""
    out = Output()
    out.say("hello")
    out.warn("careful")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "hello\nwarning: careful\n"


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False), ("", True)])
def test_colour_on_a_terminal(monkeypatch: pytest.MonkeyPatch, no_color: str | None, coloured: bool) -> None:
    """A terminal gets colour unless NO_COLOR is set to something."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert (styled("x", "red") != "x") is coloured


def test_no_output_outside_the_root() -> None:
    """A command that was started past the root is a fault of the program."""
    with click.Context(click.Command("x")), pytest.raises(RuntimeError, match="started through"):
        output.current()


def test_progress_lines_are_rare(capsys: pytest.CaptureFixture[str]) -> None:
    """A line appears when ten seconds have passed, not before, and once more at the end."""
    clock = ManualClock()
    lines = Lines("reading", clock, every_ms=10_000)
    clock.ms = 9_999
    lines.report(1, 3)
    assert capsys.readouterr().err == ""
    clock.ms = 10_000
    lines.report(2, 3)
    assert capsys.readouterr().err == "reading: 2 of 3\n"
    lines.report(3, 3)
    lines.report(3, 3)
    assert capsys.readouterr().err == "reading: 3 of 3\n"


def test_quick_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """What is over at once needs no progress."""
    with progress("reading") as report:
        report(1, 2)
        report(2, 2)
    assert capsys.readouterr().err == ""


def test_progress_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal a bar with the counts is drawn on stderr."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress("reading") as report:
        report(1, 2)
    said = capsys.readouterr()
    assert "reading" in said.err
    assert said.out == ""


def test_data_beside_a_bar_stays_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Someone who writes data to a file sees the bar, and the file has the data."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress("writing"):
        sys.stdout.write("data\n")
    said = capsys.readouterr()
    assert said.out == "data\n"
    assert "data" not in said.err


@pytest.mark.parametrize(("terminal", "told"), [(True, "patience\n"), (False, "")])
def test_who_waits_at_a_terminal_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, told: str
) -> None:
    """What isn't done at once is told of on a terminal only; what is done at once nowhere."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)

    async def scenario() -> int:
        ready = asyncio.Event()

        async def work() -> int:
            await ready.wait()
            return 7

        slow = asyncio.ensure_future(patiently(work(), "patience", after_s=0))
        asyncio.get_running_loop().call_later(0.01, ready.set)
        quick = await patiently(asyncio.sleep(0, 7), "never")
        return await slow + quick

    assert asyncio.run(scenario()) == 14
    assert capsys.readouterr().err == told


def test_a_line_is_cleared_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log gets no control characters."""
    for terminal, written in ((True, "\r\x1b[2K"), (False, "")):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=terminal: answer, raising=False)
        clear_line()
        assert capsys.readouterr().err == written
