"""Which version of this program runs; it must not know what the program does."""

import tomllib
from importlib import metadata
from pathlib import Path


def installed_version() -> str:
    """The version of the installed package, or of the source tree that it runs from."""
    try:
        return metadata.version("nostro")
    except metadata.PackageNotFoundError:
        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
