"""The table of outcomes as a page for people. It must not know anything that the table does not say."""

from __future__ import annotations

from ledger.outcome import OUTCOMES, OutcomeInfo


def as_markdown() -> str:
    """The page docs/outcomes.md, which is made from the table and never by hand."""
    lines = [
        "# Outcomes",
        "",
        "Every ending that a transaction can have. This page is made from the table in `ledger/outcome.py`",
        "by `python scripts/write_outcomes_page.py`; numbers are for ever, and a new one is only ever added.",
        "",
        "- *On the chain*: it can stand in a block. The others are only ever one node's answer.",
        "- *Final*: under the parameters and rules in force the same bytes never have another outcome,",
        "  on the chain or, where they are malformed or a signature is bad, at any honest node. What a node",
        "  says of its own state (5xx) is never final: the bytes may be submitted elsewhere in their time.",
        "- *Retry*: sending the same bytes again later can help.",
        "- *ISO 20022*: the external status reason code that comes nearest.",
        "",
        "| number | name | class | on the chain | final | retry | ISO 20022 | what it means | what to do |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(info) for info in OUTCOMES.values()]
    return "\n".join(lines) + "\n"


def _row(info: OutcomeInfo) -> str:
    marks = ["yes" if mark else "no" for mark in (info.on_chain, info.final, info.retry_can_help)]
    cells = [str(info.number), f"`{info.name}`", info.class_.value, *marks, info.iso20022 or "-"]
    return "| " + " | ".join([*cells, info.sentence, info.remedy]) + " |"
