"""Write docs/outcomes.md from the table of outcomes. It must not know anything that the table does not say.

python scripts/write_outcomes_page.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ledger.outcome_page import as_markdown  # noqa: E402  (the path to it is only known now)

(ROOT / "docs" / "outcomes.md").write_text(as_markdown(), encoding="utf-8")
