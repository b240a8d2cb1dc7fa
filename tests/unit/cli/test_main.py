"""Tests of the root: lazy loading, help, how errors end a run."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli import output
from cli.about import SHELLS
from cli.errors import EXPLAINERS, CommandError, explain
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup
from cli.main import COMMANDS, Explaining, Root, root
from tests.unit.cli.conftest import Nostro, document


def lazy_groups(group: LazyGroup, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], LazyGroup]]:
    """A group and all groups under it."""
    found = [(path, group)]
    for name, entry in group.lazy.items():
        command = entry.load()
        if isinstance(command, LazyGroup):
            found += lazy_groups(command, (*path, name))
    return found


def lazy_commands() -> list[tuple[str, LazyCommand]]:
    """Every command of every group, by its whole name."""
    assert isinstance(root, LazyGroup)
    return [
        (" ".join((*path, name)), entry)
        for path, group in lazy_groups(root)
        for name, entry in group.lazy.items()
    ]


@pytest.mark.parametrize(("name", "entry"), lazy_commands(), ids=lambda value: str(value)[:40])
def test_summary_is_the_commands_own(name: str, entry: LazyCommand) -> None:
    """The line in the group's table is the first line of the command's own help."""
    command = entry.load()
    help_text = command.help or ""
    assert help_text.split("\n", 1)[0] == entry.summary
    assert command.name == name.rsplit(" ", 1)[-1]


@pytest.mark.parametrize(("name", "entry"), lazy_commands(), ids=lambda value: str(value)[:40])
def test_help_of_every_command(nostro: Nostro, name: str, entry: LazyCommand) -> None:
    """Every command explains itself."""
    result = nostro(*name.split(), "--help")
    assert result.exit_code == 0
    assert entry.summary.split()[0] in result.stdout


def test_every_command_that_prints_data_takes_json() -> None:
    """--json is everywhere but where the output is a program's text or a process that stays."""
    without = {
        name
        for name, entry in lazy_commands()
        if not isinstance(entry.load(), click.Group)
        and not any("--json" in parameter.opts for parameter in entry.load().params)
    }
    assert without == {"completion", "node run"}


def test_help_imports_no_command() -> None:
    """`nostro --help` imports neither a command nor anything heavy: that keeps it quick."""
    script = (
        "import sys\nfrom cli.main import root\n"
        "try:\n    root.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *sorted(m for m in sys.modules if m.split('.')[0] in "
        "('rich', 'aiohttp', 'cryptography', 'msgspec', 'ledger', 'wallet', 'node', 'api', 'asyncio')"
        " or m.startswith('cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    loaded = done.stdout.rsplit("loaded:", 1)[1].split()
    assert loaded == ["cli.errors", "cli.exits", "cli.lazy", "cli.main", "cli.output"]


def test_unknown_command_is_a_usage_error(nostro: Nostro) -> None:
    """A command that doesn't exist ends with the code for usage."""
    assert nostro("fly").exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        ("settle /nope", "'/nope' does not exist", "`nostro settle --help` says what it takes"),
        ("fly", "No such command 'fly'", "Write `nostro [OPTIONS] COMMAND [ARGS]...`"),
        ("account fly", "No such command 'fly'", "`nostro account --help` lists"),
        ("pay bob", "Missing argument 'AMOUNT'", "Write `nostro pay [OPTIONS] TO AMOUNT`"),
        ("version now", "unexpected extra argument", "Write `nostro version [OPTIONS]`"),
        ("outcomes --fast", "No such option", "`nostro outcomes --help` lists"),
        ("bench --nodes none", "'none' is not a valid integer", "`nostro bench --help` says"),
        ("--fast", "No such option", "`nostro --help` lists"),
    ],
)
def test_usage_errors(nostro: Nostro, arguments: str, message: str, remedy: str) -> None:
    """A misused command says what is wrong and what to write, with --json in the document too."""
    plain = nostro(*arguments.split())
    assert (plain.exit_code, plain.stdout) == (Exit.USAGE, "")
    assert message in plain.stderr
    assert remedy in plain.stderr
    told = nostro(*arguments.split(), "--json")
    error = document(told)["error"]
    assert (told.exit_code, error["exit_code"]) == (Exit.USAGE, Exit.USAGE)
    assert message in error["message"] or "--json" in error["message"]
    assert remedy in error["remedy"]


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r", "\r\n"])
def test_a_delimiter_that_can_not_be_one(nostro: Nostro, tmp_path: Path, delimiter: str) -> None:
    """What quotes a cell, ends a line or is not one character is refused before anything else."""
    (tmp_path / "orders.csv").write_text("a;b\n")
    refused = nostro("settle", "orders.csv", "--delimiter", delimiter)
    assert refused.exit_code == Exit.USAGE
    assert f"{delimiter!r} can't stand between columns: give one character, such as ';'" in refused.stderr


@pytest.mark.parametrize("delimiter", [",", "\t", "|", " ", "'", "\x1f"])
def test_a_delimiter_that_can_be_one(nostro: Nostro, tmp_path: Path, delimiter: str) -> None:
    """The command goes on to ask for the network."""
    (tmp_path / "orders.csv").write_text("a;b\n")
    assert "needs the folder of a network" in nostro("settle", "orders.csv", "--delimiter", delimiter).stderr


def test_json_before_what_is_wrong(nostro: Nostro) -> None:
    """Wherever --json stands, the document is the only thing on stdout."""
    assert document(nostro("settle", "--json", "/nope"))["error"]["exit_code"] == Exit.USAGE
    assert document(nostro("orders", "5", "--json"))["error"]["exit_code"] == Exit.USAGE


def test_a_question_without_an_answer_as_json() -> None:
    """Where nobody can answer, that is told like any other error."""
    result = CliRunner().invoke(failing(click.Abort()), ["fail", "--json"])
    assert (result.exit_code, document(result)["error"]["exit_code"]) == (Exit.ERROR, Exit.ERROR)


def test_a_group_alone_shows_its_help(nostro: Nostro) -> None:
    """Without a command there is nothing to correct: the commands are listed."""
    result = nostro("account")
    assert result.exit_code == Exit.USAGE
    assert "Commands:" in result.stderr


def test_lazy_command_must_be_a_command() -> None:
    """A place that holds something else is a fault of the program, said at once."""
    with pytest.raises(TypeError, match="not a click command"):
        LazyCommand("cli.main:COMMANDS", "").load()


@pytest.mark.parametrize("name", list(EXPLAINERS))
def test_explained_exceptions_exist(name: str) -> None:
    """Every exception named in the table is there: a renamed one would lose its words."""
    module, _, attribute = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), attribute), BaseException)


class OneCommandRoot(Root):
    """A root with one command, ready-made."""

    def __init__(self, only: click.Command) -> None:
        super().__init__("nostro", lazy={})
        self._only = only

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, whatever it is called."""
        return self._only


def failing(error: BaseException) -> click.Command:
    """A root whose one command raises `error`."""

    @click.command()
    @output.json_option
    def fail() -> None:
        raise error

    return OneCommandRoot(fail)


def test_explained_error_ends_in_words_and_code() -> None:
    """What happened and what to do next go to stderr, and stdout stays empty."""
    error = CommandError("The cat is on the mat.", "Move the cat.", Exit.NOT_FOUND)
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == Exit.NOT_FOUND
    assert result.stdout == ""
    assert result.stderr == "error: The cat is on the mat.\n  Move the cat.\n"


def test_explained_error_as_json() -> None:
    """With --json the same stands in one document on stdout."""
    error = CommandError("The cat is on the mat.", "Move the cat.")
    result = CliRunner().invoke(failing(error), ["fail", "--json"])
    assert document(result) == {
        "error": {"message": "The cat is on the mat.", "remedy": "Move the cat.", "exit_code": 1}
    }


def test_programmers_error_keeps_its_traceback() -> None:
    """An exception that nobody foresaw isn't dressed up as a user's mistake."""
    result = CliRunner().invoke(failing(ZeroDivisionError("1/0")), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_file_error_names_the_file(tmp_path: Path) -> None:
    """An OSError about a file says which, and what is wrong with it."""
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught:
        missing.open()
    explained = explain(caught.value)
    assert explained is not None
    assert explained.message == f"{missing}: no such file or directory."


def test_os_error_without_a_file() -> None:
    """An OSError about no file is told as the system's word."""
    explained = explain(OSError(28, "No space left on device"))
    assert explained is not None
    assert "no space left on device" in explained.message


def test_reader_that_goes_away() -> None:
    """Output into a closed pipe, as `| head` leaves it, ends the run without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "cli", "outcomes"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == Exit.ERROR


def test_explaining_lets_success_pass() -> None:
    """Nothing happens where nothing is raised."""
    with Explaining(click.Context(root)):
        reached = True
    assert reached


def test_version(nostro: Nostro) -> None:
    """`version` prints one line, or a document with the same."""
    said = document(nostro("version", "--json"))
    assert nostro("version").stdout == f"nostro {said['version']} (Python {said['python']})\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(nostro: Nostro, shell: str) -> None:
    """Each shell's script asks the program itself."""
    assert "_NOSTRO_COMPLETE" in nostro("completion", shell).stdout


def test_completion_completes() -> None:
    """The shell's question is answered with the commands that begin so."""
    env = {**os.environ, "_NOSTRO_COMPLETE": "bash_complete", "COMP_WORDS": "nostro pay", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "cli"], capture_output=True, text=True, env=env, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.splitlines() == ["plain,pay", "plain,payment"]


def test_outcomes_lists_the_whole_table(nostro: Nostro) -> None:
    """Every outcome is there, once, by number."""
    from ledger.outcome import OUTCOMES

    listed = document(nostro("outcomes", "--json"))["outcomes"]
    assert [outcome["number"] for outcome in listed] == sorted(int(number) for number in OUTCOMES)
    assert len(nostro("outcomes").stdout.splitlines()) == len(OUTCOMES) + 1


def test_every_command_is_listed_in_help(nostro: Nostro) -> None:
    """The root's help names each command with its line."""
    text = nostro("--help").stdout
    assert all(f"  {name} " in text for name in COMMANDS)
