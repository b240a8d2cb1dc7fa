"""The command: torture a network for so many minutes, report, and keep what is needed to look into a failure.

python -m tests.torture --minutes 60 --seed 1
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from cli.exits import Exit
from tests.torture.campaign import HOLD_S, Plan, Round, run
from tests.torture.load import PAYERS
from tests.torture.nemeses import NEMESES, Nemesis
from tests.torture.report import as_json, as_table

LEAST_NODES, MOST_NODES = 3, 7


def main(arguments: Sequence[str] | None = None, nemeses: Sequence[Nemesis] = NEMESES) -> int:
    """Run what the command line asks for, with some of these nemeses; 10 on a violation."""
    options = _options(arguments, nemeses)
    wanted = [nemesis for nemesis in nemeses if options.only is None or nemesis.name in options.only]
    plan = Plan(
        options.seed,
        options.nodes,
        options.minutes * 60,
        wanted,
        options.rounds,
        hold_s=tuple(options.hold),
        payers=options.payers,
    )
    folder = options.dir or Path(tempfile.mkdtemp(prefix="nostro-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    replay = f"scripts/torture {_arguments(options)}"
    sys.stderr.write(f"{replay}\n")
    outcome = uvloop.run(run(plan, folder, _tell))
    report = json.dumps(as_json(outcome, replay), indent=2)
    (folder / "report.json").write_text(report, encoding="utf-8")
    sys.stdout.write((report if options.json else as_table(outcome)) + "\n")
    if outcome.history.violations:
        sys.stderr.write(f"Stores, logs and history are in {folder}. Again: {replay}\n")
        return int(Exit.VIOLATION)
    if options.dir is None:
        shutil.rmtree(folder)
    return int(Exit.DONE)


def _options(arguments: Sequence[str] | None, nemeses: Sequence[Nemesis]) -> argparse.Namespace:
    names = [nemesis.name for nemesis in nemeses]
    parser = argparse.ArgumentParser(
        prog="scripts/torture", description="Torture a network of real nodes under load, and check it."
    )
    parser.add_argument("--minutes", type=float, default=5, help="how long nemeses strike [5]")
    parser.add_argument("--rounds", type=int, help="at most so many strikes")
    parser.add_argument("--seed", type=int, default=1, help="decides which strikes come when [1]")
    parser.add_argument(
        "--nodes", type=int, default=5, choices=range(LEAST_NODES, MOST_NODES + 1), help="how many nodes [5]"
    )
    parser.add_argument("--payers", type=int, default=PAYERS, help=f"how many pay at once [{PAYERS}]")
    parser.add_argument(
        "--hold",
        type=float,
        nargs=2,
        default=HOLD_S,
        metavar=("LEAST", "MOST"),
        help=f"a strike lasts so many seconds [{HOLD_S[0]:g} {HOLD_S[1]:g}]",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NEMESIS",
        help=f"this nemesis; may be given several times [all]: {', '.join(names)}",
    )
    parser.add_argument(
        "--dir", type=Path, help="keep everything in this empty folder [kept after a violation only]"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args(arguments)


def _arguments(options: argparse.Namespace) -> str:
    """What decides the schedule and the load, as it is typed."""
    rounds = [] if options.rounds is None else [f"--rounds {options.rounds}"]
    only = [f"--only {name}" for name in options.only or ()]
    plan = f"--minutes {options.minutes:g} --seed {options.seed} --nodes {options.nodes}"
    payers = [] if options.payers == PAYERS else [f"--payers {options.payers}"]
    hold = [] if tuple(options.hold) == HOLD_S else [f"--hold {options.hold[0]:g} {options.hold[1]:g}"]
    return " ".join([plan, *rounds, *payers, *hold, *only])


def _tell(round_: Round) -> None:
    live = "never live again" if round_.live_after_s is None else f"live after {round_.live_after_s:.1f} s"
    fared = f"{round_.payments} payments, silent for {round_.silence_s:.1f} s, {live}"
    sys.stderr.write(f"{round_.nemesis}: {round_.what}; {fared}\n")


if __name__ == "__main__":
    raise SystemExit(main())
