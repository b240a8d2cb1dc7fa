"""`python -m node CONFIG`: one node as a process, without the command line's other parts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from node.log_file import open_log_file
from node.run import run_node


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m node", description="Run one node of a Nostro network.")
    parser.add_argument("config", type=Path, help="the node's configuration file (node.toml)")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when stdin ends, as with the parent process"
    )
    parser.add_argument(
        "--log-file", type=Path, help="write the log, stdout and stderr to this file and the one before it"
    )
    parser.add_argument("--exit-file", type=Path, help="write the exit code to this file at the end")
    arguments = parser.parse_args()
    log_stream = open_log_file(arguments.log_file) if arguments.log_file is not None else None
    code = run_node(arguments.config, until_stdin_closes=arguments.until_stdin_closes, log_stream=log_stream)
    if arguments.exit_file is not None:
        arguments.exit_file.write_text(f"{code}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
