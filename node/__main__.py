"""`python -m node CONFIG`: one node as a process, without the command line's other parts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from node.run import run_node


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m node", description="Run one node of a Nostro network.")
    parser.add_argument("config", type=Path, help="the node's configuration file (node.toml)")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when stdin ends, as with the parent process"
    )
    arguments = parser.parse_args()
    return run_node(arguments.config, until_stdin_closes=arguments.until_stdin_closes)


if __name__ == "__main__":
    sys.exit(main())
