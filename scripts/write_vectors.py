"""Write tests/vectors/*.json again from the code. A difference means that a format has changed: see docs/adr.

python scripts/write_vectors.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.unit.ledger.vectors import all_vectors  # noqa: E402  (the path to it is only known now)

for name, vectors in all_vectors().items():
    path = ROOT / "tests" / "vectors" / f"{name}.json"
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
