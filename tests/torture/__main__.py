"""The command: torture a network for so many minutes, report, and keep what is needed to look into a failure.

python -m tests.torture --minutes 60 --seed 1
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import uvloop

from cli.exits import Exit
from tests.torture.campaign import Plan, Round, run
from tests.torture.nemeses import NEMESES
from tests.torture.report import as_json, as_table

LEAST_NODES, MOST_NODES = 3, 7


def main() -> int:
    """Run what the command line asks for; 10 on a violation."""
    options = _options()
    wanted = [nemesis for nemesis in NEMESES if options.only is None or nemesis.name in options.only]
    plan = Plan(options.seed, options.nodes, options.minutes * 60, wanted)
    folder = options.dir or Path(tempfile.mkdtemp(prefix="nostro-torture-"))
    replay = f"scripts/torture {_arguments(options)}"
    folder.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"{replay}\n")
    outcome = uvloop.run(run(plan, folder, _tell))
    report = as_json(outcome, replay)
    sys.stdout.write((json.dumps(report, indent=2) if options.json else as_table(outcome)) + "\n")
    (folder / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    if outcome.history.violations:
        sys.stderr.write(f"Stores, logs and history are in {folder}. Again: {replay}\n")
        return int(Exit.VIOLATION)
    if options.dir is None:
        shutil.rmtree(folder)
    return int(Exit.DONE)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/torture", description="Torture a network of real nodes under load, and check it."
    )
    parser.add_argument("--minutes", type=float, default=5, help="how long nemeses strike [5]")
    parser.add_argument("--seed", type=int, default=1, help="decides which strikes come when [1]")
    parser.add_argument(
        "--nodes", type=int, default=5, choices=range(LEAST_NODES, MOST_NODES + 1), help="how many nodes [5]"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[nemesis.name for nemesis in NEMESES],
        metavar="NEMESIS",
        help="this nemesis only; may be given several times: " + ", ".join(n.name for n in NEMESES),
    )
    parser.add_argument(
        "--dir", type=Path, help="keep everything in this new folder [kept after a violation]"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args()


def _arguments(options: argparse.Namespace) -> str:
    only = [f"--only {name}" for name in options.only or ()]
    return " ".join([f"--minutes {options.minutes:g} --seed {options.seed} --nodes {options.nodes}", *only])


def _tell(round_: Round) -> None:
    live = "never live again" if round_.live_after_s is None else f"live after {round_.live_after_s:.1f} s"
    fared = f"{round_.payments} payments, silent for {round_.silence_s:.1f} s, {live}"
    sys.stderr.write(f"{round_.nemesis}: {round_.what}; {fared}\n")


if __name__ == "__main__":
    raise SystemExit(main())
