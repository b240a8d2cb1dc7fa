"""What makes a node stop itself, and the one word for each.

It must not know where any of it is raised, nor what stopping takes.
"""

from consensus.errors import InvariantBroken
from ledger.rules.base import InvariantViolated
from ledger.view import StateCorrupted
from node.disk import CorruptStore
from node.records import CorruptRecord
from node.rules_watch import UnknownRules
from node.sealer import Contradiction
from node.watch import LostState

CORRUPT = "corrupt"
"""The word after which the next start looks through the whole store."""
MUST_STOP = (
    InvariantBroken,
    InvariantViolated,
    Contradiction,
    CorruptRecord,
    StateCorrupted,
    LostState,
    UnknownRules,
    OSError,
)
"""What the loop itself may find; the workers hand over whatever they raised."""


def stop_word(error: BaseException) -> str:
    """The word for why a node stops, as StopReason has it."""
    match error:
        case Contradiction():
            return error.word
        case InvariantBroken() | InvariantViolated():
            return "invariant"
        case CorruptRecord() | StateCorrupted() | CorruptStore():
            return CORRUPT
        case LostState():
            return "lost_state"
        case UnknownRules():
            return "rules"
        case OSError():
            return "disk"
        case _:
            return "worker"
