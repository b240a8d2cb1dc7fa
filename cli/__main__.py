"""Lets `python -m cli` be the command `nostro`; it must not know anything else."""

from cli.main import main

if __name__ == "__main__":
    main()
