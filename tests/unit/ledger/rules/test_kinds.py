"""The list of kinds: complete, in step with the bodies and the formats, and described as the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.bodies import BODIES
from ledger.bodies import Kind as KindNumber
from ledger.outcome import OUTCOMES, OutcomeClass
from ledger.rules import RULES
from ledger.rules.describe import body_fields, kinds_as_markdown
from ledger.rules.v1.execute import CONSUMING
from ledger.rules.v1.kinds import KINDS

ROOT = Path(__file__).parents[4]


def test_every_kind_is_listed_under_its_number_and_name() -> None:
    """KINDS, the numbers of the bodies and their names are one list."""
    assert {number: kind.body for number, kind in KINDS.items()} == dict(BODIES)
    assert {kind.name for kind in KINDS.values()} == {number.name.lower() for number in KindNumber}
    assert all(KindNumber(kind.number).name.lower() == kind.name for kind in KINDS.values())
    assert RULES[1].kinds is KINDS
    assert list(RULES) == [1]


def test_refusals_are_outcomes_of_the_chain_that_use_the_id_up() -> None:
    """What a kind refuses is of class state, or a version mismatch, each once."""
    for kind in KINDS.values():
        assert len(set(kind.refusals)) == len(kind.refusals)
        for outcome in kind.refusals:
            assert OUTCOMES[outcome].class_ in (OutcomeClass.STATE, OutcomeClass.CONFLICT)
            assert outcome.value in CONSUMING


def test_formats_page_names_every_kind_and_field() -> None:
    """The normative table has each kind with its number, and each of its fields in order."""
    lines = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").splitlines()
    rows = {
        line.split("|")[2].strip(): line for line in lines if line.startswith("| ") and line.count("|") == 6
    }
    for kind in KINDS.values():
        row = rows[f"`{kind.name}`"]
        assert row.startswith(f"| {int(kind.number)} |")
        layout = row.split("|")[5]
        places = [layout.index(name) for name, _ in body_fields(kind.body)]
        assert places == sorted(places)


def test_kinds_page_is_what_the_kinds_declare() -> None:
    """docs/kinds.md ends with the generated sections; `python scripts/write_kinds_page.py` makes them."""
    page = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
    assert page.endswith(kinds_as_markdown(KINDS.values()))


def test_fields_without_words_are_refused() -> None:
    """A field of a type that the page has no words for is an error when the page is made, not a gap."""

    class Body:
        strange: complex

    with pytest.raises(TypeError, match="no words"):
        body_fields(Body)
