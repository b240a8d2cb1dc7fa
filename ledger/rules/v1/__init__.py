"""Version 1 of the rules: the one explicit list of its kinds, and how a block of them is executed.

Must not know storage, the network or time but a block's own.
"""

from ledger.rules.base import RuleSet
from ledger.rules.v1.execute import execute, preview
from ledger.rules.v1.kinds import KINDS

RULES_V1 = RuleSet(
    version=1,
    kinds=KINDS,
    execute=execute,
    preview=preview,
)
