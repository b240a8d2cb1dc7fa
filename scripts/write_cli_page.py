"""Write docs/cli.md from the commands' help. It must not know anything that the commands do not say.

Run it as `python scripts/write_cli_page.py` after a change of a command.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from cli.reference import as_markdown  # noqa: E402  # the path comes first

(ROOT / "docs" / "cli.md").write_text(as_markdown(), encoding="utf-8")
