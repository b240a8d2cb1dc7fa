"""How the outcome of a transaction is shown, and the exit code that goes with it.

It must not know how the transaction came about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.exits import Exit
from cli.output import styled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wallet.answers import Answer, Simulated

EXECUTED = 0


def exit_of(answer: Answer) -> Exit:
    """The exit code of an answer: pending counts as done, for nothing more was asked or can be said."""
    if answer.status == "refused" or answer.outcome is not None:
        return Exit.DONE if _succeeded(answer) else Exit.REFUSED
    if answer.status == "unknown":
        return Exit.UNKNOWN if answer.reached else Exit.UNREACHABLE
    return Exit.DONE


def show_answer(answer: Answer, wait: str, saved: Path | None, more: Mapping[str, Any]) -> None:
    """Print an answer with whatever `more` is known (such as an account's address), and end with its code.

    `saved` is the file with the signed bytes, named where they may have to be submitted again.
    """
    import msgspec

    out = output.current()
    code = exit_of(answer)
    document = {**msgspec.to_builtins(answer), **more}
    document = {name: value for name, value in document.items() if value is not None}
    if saved is not None:
        document["saved"] = str(saved)
    out.result(document, lambda: out.fields(_facts(answer, more, saved)))
    _say(out, answer, code, wait, saved)
    click.get_current_context().exit(int(code))


def show_simulated(simulated: Simulated) -> None:
    """Print the outcome that a transaction would have, and end with its code."""
    import msgspec

    out = output.current()
    document = {**msgspec.to_builtins(simulated), "dry_run": True}
    document = {name: value for name, value in document.items() if value is not None}
    outcome = simulated.outcome
    facts = (("would be", outcome.name), ("as of block", simulated.height))
    out.result(document, lambda: out.fields(facts))
    words = "It would be executed." if outcome.number == EXECUTED else outcome.sentence
    out.say(f"{words} Nothing was submitted.")
    click.get_current_context().exit(int(Exit.DONE if outcome.number == EXECUTED else Exit.REFUSED))


def _succeeded(answer: Answer) -> bool:
    return answer.outcome is not None and answer.outcome.number == EXECUTED


def _facts(answer: Answer, more: Mapping[str, Any], saved: Path | None) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [("id", answer.tx_id), ("status", answer.status)]
    if answer.outcome is not None:
        facts.append(("outcome", answer.outcome.name))
    if answer.height is not None:
        facts.append(("block", f"{answer.height} (transaction {answer.index})"))
    facts += [(name.replace("_", " "), value) for name, value in more.items()]
    if saved is not None:
        facts.append(("saved", saved))
    return facts


def _say(out: output.Output, answer: Answer, code: Exit, wait: str, saved: Path | None) -> None:
    """The same in words, with what to do next."""
    if code is Exit.REFUSED:
        out.say(styled("refused: ", "red") + _refusal(answer))
    elif answer.outcome is not None:
        certified = " A quorum of banks has certified it." if answer.status == "certified" else ""
        out.say(answer.outcome.sentence + certified)
    elif answer.status == "pending":
        out.say(_pending(answer, wait))
    else:
        out.say(
            styled("unknown: " if answer.reached else "unreachable: ", "yellow") + _unknown(answer, saved)
        )


def _refusal(answer: Answer) -> str:
    """Why, what to do, and who said so: a node's word leaves nothing on the chain."""
    told, problem = answer.outcome, answer.problem
    sentence = told.sentence if told else problem.title if problem else "The transaction was refused."
    if problem is not None and problem.detail.rstrip(".") != sentence.rstrip("."):
        sentence = f"{sentence.rstrip('.')} ({problem.detail.rstrip('.')})."
    remedy = told.remedy if told else problem.remedy if problem else ""
    where = "A node said so; nothing is on the chain." if answer.decided_by == "node" else ""
    return " ".join(part for part in (sentence, remedy, where) if part)


def _pending(answer: Answer, wait: str) -> str:
    ask = f"nostro payment show {answer.tx_id}"
    if wait == "none":
        return f"A node has taken it. Its outcome: {ask}"
    return f"A node has taken it, and the time ran out before the chain decided. Ask again: {ask}"


def _unknown(answer: Answer, saved: Path | None) -> str:
    again = "Submit the same bytes again" + ("." if saved is None else f": nostro payment submit {saved}")
    said = "" if answer.problem is None else f" ({answer.problem.title.rstrip('.')})"
    if not answer.reached:
        return f"no node took it{said}. {again}"
    return f"it may have been executed, or not{said}. The same bytes never pay twice. {again}"
