"""What a person is told of a run, and the exit code that scripts go by."""

from __future__ import annotations

import click
import pytest

from cli.exits import Exit
from cli.output import Output
from cli.settle.command import SHOWN_LINES, exit_code, show_human
from cli.settle.ending import Ending
from cli.settle.orders import BadLine
from cli.settle.report import Report, Unpaid, Unprepared
from ledger.outcome import OUTCOMES, Outcome
from tests.unit.settle.played import SCALE, order, plan


def report(
    *,
    refused: tuple[Unpaid, ...] = (),
    withheld: tuple[Unpaid, ...] = (),
    still_open: tuple[Unpaid, ...] = (),
    unprepared: tuple[Unprepared, ...] = (),
    bad_lines: tuple[BadLine, ...] = (),
) -> Report:
    """A run of which everything else settled."""
    return Report(9, 5, 0, 100, refused, withheld, still_open, unprepared, bad_lines, (), 4, 1.0)


def unpaid(line: int, outcome: Outcome, decided_by: str, *, sent: bool = True) -> Unpaid:
    """An order that ended otherwise than paid."""
    return Unpaid(order(line, "1", "9", 100), ending(outcome, decided_by), sent)


def ending(outcome: Outcome, decided_by: str) -> Ending:
    """An ending in the table's words."""
    return Ending(outcome, OUTCOMES[outcome].sentence, decided_by)


REFUSED = unpaid(2, Outcome.CREDIT_FROZEN, "chain")
WITHHELD = unpaid(3, Outcome.INSUFFICIENT_FUNDS, "chain", sent=False)
OPEN = unpaid(4, Outcome.NO_QUORUM, "node")
BAD = BadLine(5, "the amount is zero")


def test_the_exit_code_says_what_is_to_be_done() -> None:
    """Open before refused before left out: what another run can mend comes first."""
    assert exit_code(report()) is Exit.DONE
    assert exit_code(report(bad_lines=(BAD,))) is Exit.ERROR
    assert exit_code(report(bad_lines=(BAD,), refused=(REFUSED,))) is Exit.REFUSED
    assert exit_code(report(bad_lines=(BAD,), withheld=(WITHHELD,))) is Exit.REFUSED
    assert exit_code(report(refused=(REFUSED,), withheld=(WITHHELD,), still_open=(OPEN,))) is Exit.UNKNOWN


def told(shown: Report, capsys: pytest.CaptureFixture[str]) -> str:
    """What a person is told on stderr."""
    with click.Context(click.Command("settle"), obj=Output()):
        show_human(shown, "may", "CZK", SCALE)
    return capsys.readouterr().err


def test_a_person_is_told_what_every_order_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    """An order that wasn't sent is explained by its funding or account, with what to do next."""
    customer = plan(order(2, "1", "9", 100)).customers[1]
    frozen = Unprepared(customer, None, ending(Outcome.NOT_PERMITTED, "node"))
    unfunded = Unprepared(customer, 3, WITHHELD.ending)
    text = told(
        report(
            refused=(REFUSED,),
            withheld=(WITHHELD,),
            still_open=(OPEN,),
            unprepared=(frozen, unfunded),
            bad_lines=(BAD,),
        ),
        capsys,
    )
    assert "line 2: refused: The account to be credited is blocked for credits." in text
    assert "line 3: the issuer's funding is not executed: The account has less available" in text
    assert "account 9 of yz is not open: The author may not do this" in text
    assert "line 4: open: The node has no leader" in text
    assert "line 5: left out: the amount is zero" in text
    assert "5 of 9 orders settled, 1.00 CZK; 1 refused, 1 not sent, 1 open, 1 lines left out" in text
    assert "settle these lines in a file of their own" in text
    assert "run the same command again" in text


def test_a_long_list_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The limit itself is shown whole, one more is not."""
    bad_lines = tuple(BadLine(line, "empty") for line in range(2, SHOWN_LINES + 3))
    assert "more of these" not in told(report(bad_lines=bad_lines[:-1]), capsys)
    text = told(report(bad_lines=bad_lines), capsys)
    assert text.count("left out: empty") == SHOWN_LINES
    assert "... and 1 more of these; --json lists them all." in text
