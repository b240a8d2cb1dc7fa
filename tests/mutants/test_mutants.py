"""Planted bugs of consensus are caught by their tests, every known bug is planted, and the tool can fail.

Those of the ledger are planted by scripts/mutants only: here it would take too long.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants.__main__ import main
from tests.mutants.bugs import CONSENSUS, KNOWN
from tests.mutants.mutant import (
    Catcher,
    CatcherKind,
    Change,
    Mutant,
    MutantMalformed,
    MutantOutdated,
    parse,
    planted,
)
from tests.mutants.trial import (
    ROOT,
    WORKERS,
    BaselineFailed,
    Verdict,
    check_baseline,
    copy_checkout,
    searched_by_seeds,
    try_all,
)

MUTANTS = {mutant.name: mutant for mutant in planted()}
FIGURE_8 = MUTANTS["figure_8"]
TEXT = """# It breaks something.
bug: figure-8
file: consensus/log.py
caught by: scenario figure_8
failing with: found 2
--- before
    a = 1
--- after
    a = 2
"""


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_every_mutant_can_still_be_planted(mutant: Mutant) -> None:
    """Its place is in the source exactly once, and the result is another program."""
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    changed = mutant.applied_to(source)
    assert changed != source
    compile(changed, mutant.file, "exec")


def test_every_known_bug_is_planted() -> None:
    """The list and the mutants name the same bugs."""
    assert {mutant.bug for mutant in MUTANTS.values()} == set(KNOWN)


def one_a_bug_of_consensus() -> list[Mutant]:
    """The quickest way to meet each; scripts/mutants plants all mutants, those of the ledger too."""
    by_speed = sorted(MUTANTS.values(), key=lambda mutant: mutant.caught_by.kind is CatcherKind.SCENARIO)
    return list({planted_as(mutant): mutant for mutant in by_speed if mutant.bug in CONSENSUS}.values())


def planted_as(mutant: Mutant) -> tuple[str, str]:
    """Its bug; with its file where each of several must wait for the disk by itself."""
    return mutant.bug, mutant.file if mutant.bug == "promise-before-fsync" else ""


def test_every_bug_of_consensus_is_caught_by_what_must_catch_it(tmp_path: Path) -> None:
    """Each fails in a copy of its own, with the words that show the bug, and passes without it."""
    trials = try_all(one_a_bug_of_consensus(), tmp_path, WORKERS, lambda trial: None)
    missed = [trial for trial in trials if trial.verdict is not Verdict.CAUGHT]
    assert [f"{trial.mutant.name} {trial.verdict.value}: {trial.said}" for trial in missed] == []


def test_a_mutant_is_read_with_all_its_changes() -> None:
    """Several pairs of before and after are one mutant."""
    mutant = parse("name", TEXT + "--- before\n    b = 1\n    c = 1\n--- after\n")
    assert mutant.prose == "It breaks something."
    assert mutant.caught_by == Catcher(CatcherKind.SCENARIO, "figure_8")
    assert mutant.changes == (Change("    a = 1\n", "    a = 2\n"), Change("    b = 1\n    c = 1\n", ""))
    assert mutant.applied_to("x\n    a = 1\n    b = 1\n    c = 1\ny\n") == "x\n    a = 2\ny\n"


@pytest.mark.parametrize(
    "source",
    ["    a = 2\n", "    a = 1\n    a = 1\n", "        a = 1\n", "    a = 1  # moved on\n"],
    ids=["gone", "twice", "indented", "extended"],
)
def test_a_mutant_whose_source_has_moved_on_says_so(source: str) -> None:
    """Whole lines, exactly once: nothing is planted elsewhere by chance."""
    with pytest.raises(MutantOutdated, match=r"rewrite tests/mutants/planted/name\.txt"):
        parse("name", TEXT).applied_to(source)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# It breaks something.\n", ""),
        ("failing with: found 2\n", ""),
        ("scenario figure_8", "luck"),
        ("--- after\n", ""),
        ("--- before\n    a = 1\n--- after\n    a = 2\n", ""),
    ],
)
def test_what_is_no_mutant_is_refused(old: str, new: str) -> None:
    """Prose, four fields in their order, a known kind of catcher, and pairs of texts."""
    with pytest.raises(MutantMalformed, match="name: "):
        parse("name", TEXT.replace(old, new))


def test_other_fates_than_caught_are_told_apart(tmp_path: Path) -> None:
    """A harmless change survives, another failure isn't the bug's, and what isn't there can't change."""
    same = FIGURE_8.changes[0].before
    mutants = [
        replace(FIGURE_8, name="harmless", changes=(Change(same, f"{same.rstrip()}  # the same\n"),)),
        replace(FIGURE_8, name="otherwise", failing_with="other words"),
        replace(FIGURE_8, name="outdated", changes=(Change("    nothing like it\n", ""),)),
    ]
    verdicts = [trial.verdict for trial in try_all(mutants, tmp_path, WORKERS, lambda trial: None)]
    assert verdicts == [Verdict.SURVIVED, Verdict.MISTAKEN, Verdict.OUTDATED]


def test_a_catcher_that_fails_without_a_mutant_catches_nothing(tmp_path: Path) -> None:
    """First the tests must pass."""
    copy_checkout(tmp_path / "base")
    scenario = tmp_path / "base/tests/simulation/scenarios/figure_8.txt"
    scenario.write_text("nodes a\nstart a\nrole a leader\n", encoding="utf-8")
    with pytest.raises(BaselineFailed, match="found 'follower', expected 'leader'"):
        check_baseline(tmp_path / "base", [FIGURE_8.caught_by])


def test_the_command_prints_what_caught_a_mutant(capsys: pytest.CaptureFixture[str]) -> None:
    """One row a mutant, and 0 if all are caught."""
    assert main(["figure_8"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:2] == ["figure_8", "caught"]
    assert printed[0].endswith("scenario figure_8")
    assert printed[-1] == "1 of 1 mutants caught"


def test_the_command_knows_its_mutants(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name is an error of its own, not a survivor."""
    assert main(["figure_9"]) == 2
    assert "there is no mutant figure_9" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--workers", "--simulate"])
def test_the_command_takes_no_count_below_one(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, and plants nothing."""
    with pytest.raises(SystemExit, match="2"):
        main(["figure_8", option, "0"])
    assert "it must be 1 or more" in capsys.readouterr().err


def test_a_simulator_finds_a_bug_that_it_does_not_know(tmp_path: Path) -> None:
    """Votes that leave before the disk has them break a promise in the first seeds."""
    searched = searched_by_seeds(MUTANTS["vote_before_fsync"], 3)
    (trial,) = try_all([searched], tmp_path, WORKERS, lambda trial: None)
    assert trial.verdict is Verdict.CAUGHT
    assert "would send a promise before its disk is synced" in trial.said
