"""Write the kinds' sections of docs/kinds.md from what the kinds declare. It must not know any kind itself.

python scripts/write_kinds_page.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ledger.rules.describe import kinds_as_markdown  # noqa: E402  (the path to it is only known now)
from ledger.rules.v1.kinds import KINDS  # noqa: E402  (as above)

PAGE = ROOT / "docs" / "kinds.md"
START = "<!-- made by scripts/write_kinds_page.py -->\n"

before, _, _ = PAGE.read_text(encoding="utf-8").partition(START)
PAGE.write_text(f"{before}{START}\n{kinds_as_markdown(KINDS.values())}", encoding="utf-8")
