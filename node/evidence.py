"""What shows that a leader sent something invalid, as it is kept in the store.

It must not know how it was noticed, nor who reads it.
"""

from ledger.codec import encode
from ledger.keys import tagged_hash
from node.intake import InvalidEntry
from node.store import Store

MAX_REASON = 500


def keep_invalid_entry(store: Store, sender: str, term: int, invalid: InvalidEntry) -> None:
    """Write who sent which block in which term, and what is wrong with it. Runs on the disk worker."""
    entry = invalid.entry
    raw = encode([sender, term, entry.term, int(entry.type), invalid.reason[:MAX_REASON], entry.data])
    store.write_evidence(entry.index, tagged_hash("evidence", raw), raw)
