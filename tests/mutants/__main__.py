"""Plant every mutant, or those named, and print what caught each: scripts/mutants [NAME ...] [--json].

It must not know how mutants are tried. Exit code 1 if one isn't caught by what must catch it, 2 if nothing
could be tried.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.mutants.mutant import CatcherKind, Mutant, MutantMalformed, planted
from tests.mutants.trial import (
    WORKERS,
    BaselineFailed,
    Trial,
    Verdict,
    as_json,
    searched_by_seeds,
    try_all,
)

NAME_WIDTH = 34
VERDICT_WIDTH = 9


def main(arguments: list[str]) -> int:
    """Run the command; its exit code."""
    options = _options(arguments)
    try:
        mutants = _chosen(options.names)
        if options.simulate:
            mutants = tuple(searched_by_seeds(mutant, options.simulate) for mutant in mutants)
        with tempfile.TemporaryDirectory(prefix="nostro-mutants-") as directory:
            tell = _silent if options.json else _print_row
            trials = try_all(mutants, Path(directory), options.workers, tell)
    except (LookupError, MutantMalformed, BaselineFailed) as error:
        print(error, file=sys.stderr)
        return 2
    missed = [trial for trial in trials if trial.verdict is not Verdict.CAUGHT]
    if options.json:
        print(as_json(trials))
    else:
        print(f"{len(trials) - len(missed)} of {len(trials)} mutants caught")
        for trial in missed:
            print(f"{trial.mutant.name}: {trial.mutant.prose}\n  {trial.verdict.value}: {trial.said}")
    return 1 if missed else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description="Plant bugs; tests must catch them.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the mutants to plant (default: all)")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.add_argument(
        "--simulate",
        type=_count,
        metavar="SEEDS",
        help="let the simulators look for them instead of their tests",
    )
    parser.add_argument("--workers", type=_count, default=WORKERS, help="how many at a time")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} isn't a count: it must be 1 or more")
    return int(text)


def _chosen(names: list[str]) -> tuple[Mutant, ...]:
    known = {mutant.name: mutant for mutant in planted()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise LookupError(f"there is no mutant {', '.join(unknown)}; tests/mutants/planted holds them")
    return tuple(known[name] for name in names or known)


def _silent(trial: Trial) -> None:
    """Machines get everything at the end."""


def _print_row(trial: Trial) -> None:
    catcher = trial.mutant.caught_by
    what = catcher.what.rpartition("::")[2] or catcher.what
    row = f"{trial.mutant.name:{NAME_WIDTH}} {trial.verdict.value:{VERDICT_WIDTH}} {trial.seconds:5.1f} s  "
    print(f"{row}{catcher.kind.value} {what}", flush=True)
    if catcher.kind is CatcherKind.SEED:
        print(f"    {trial.said}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
