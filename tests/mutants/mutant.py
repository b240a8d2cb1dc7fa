"""A planted bug as a small text: why it is one, where it goes, and what must catch it.

It must not know how a test is run. A file is

    # The bug, in a sentence or two.
    bug: NAME                        one of tests/mutants/bugs.py
    file: PATH                       what is changed, from the checkout's root
    caught by: KIND WHAT             scenario NAME, test PATH::NAME, or seed core|cluster NUMBER
    failing with: TEXT               stands in what that prints when it fails
    --- before
    whole lines of the file, which must be there exactly once
    --- after
    what stands there instead

with as many pairs of before and after as it takes.
"""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PLANTED = Path(__file__).parent / "planted"
FIELDS = ("bug", "file", "caught by", "failing with")


class MutantOutdated(Exception):
    """The text to change isn't in the source exactly once: whoever changed that source rewrites the
    mutant.
    """


class MutantMalformed(Exception):
    """A file in planted/ doesn't have the form of a mutant; the text says what is missing."""


class CatcherKind(Enum):
    """What can catch a mutant."""

    SCENARIO = "scenario"
    TEST = "test"
    SEED = "seed"


@dataclass(frozen=True, slots=True)
class Catcher:
    """What must fail: a scenario by name, a test by its pytest id, or a simulator and its seed."""

    kind: CatcherKind
    what: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.what}"


@dataclass(frozen=True, slots=True)
class Change:
    """Whole lines, and those that take their place."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug; see the module."""

    name: str
    prose: str
    bug: str
    file: str
    caught_by: Catcher
    failing_with: str
    changes: tuple[Change, ...]

    def applied_to(self, source: str) -> str:
        """The source with the bug in it; raises MutantOutdated unless every place is there exactly once."""
        for change in self.changes:
            around = re.split("^" + re.escape(change.before), source, flags=re.MULTILINE)
            if len(around) != 2:
                raise MutantOutdated(
                    f"{self.name}: {self.file} has these lines {len(around) - 1} times, not once: the source "
                    f"has moved on; rewrite tests/mutants/planted/{self.name}.txt:\n{change.before}"
                )
            source = change.after.join(around)
        return source


def planted() -> tuple[Mutant, ...]:
    """Every mutant, by name."""
    return tuple(parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(PLANTED.glob("*.txt")))


def parse(name: str, text: str) -> Mutant:
    """The mutant that a file describes; raises MutantMalformed."""
    head, *rest = re.split(r"^--- (before|after)\n", text, flags=re.MULTILINE)
    prose = " ".join(re.findall(r"^# ?(.*)$", head, flags=re.MULTILINE))
    fields = dict(re.findall(r"^([a-z ]+): (.+)$", head, flags=re.MULTILINE))
    if not prose or tuple(fields) != FIELDS:
        raise MutantMalformed(f"{name}: it begins with prose after #, then {', '.join(FIELDS)}")
    return Mutant(
        name=name,
        prose=prose,
        bug=fields["bug"],
        file=fields["file"],
        caught_by=_catcher(name, fields["caught by"]),
        failing_with=fields["failing with"],
        changes=_changes(name, rest),
    )


def _catcher(name: str, text: str) -> Catcher:
    kind, _, what = text.partition(" ")
    try:
        return Catcher(CatcherKind(kind), what)
    except ValueError as error:
        raise MutantMalformed(
            f"{name}: it is caught by a scenario, a test or a seed, not a {kind}"
        ) from error


def _changes(name: str, rest: list[str]) -> tuple[Change, ...]:
    if not rest or rest[::2] != ["before", "after"] * (len(rest) // 4):
        raise MutantMalformed(f"{name}: after its fields come pairs of --- before and --- after")
    texts = rest[1::2]
    return tuple(Change(before, after) for before, after in zip(texts[::2], texts[1::2], strict=True))
