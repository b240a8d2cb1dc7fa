"""Play scenarios by name: python -m tests.simulation.scenarios NAME ...; all of them without a name.

It must not know what any of them shows. Exit code 1 and the failing line at the first that doesn't hold.
"""

import sys
from pathlib import Path

from tests.simulation.scenarios.runner import ScenarioFailed, play_file

SCENARIOS = Path(__file__).parent


def main(names: list[str]) -> str | None:
    """Play them; what failed, or None."""
    paths = [SCENARIOS / f"{name}.txt" for name in names] or sorted(SCENARIOS.glob("*.txt"))
    for path in paths:
        if not path.exists():
            return f"there is no scenario {path.stem}; they are the files *.txt of {SCENARIOS}"
        try:
            play_file(path)
        except ScenarioFailed as failure:
            return f"{path.stem}, {failure}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
