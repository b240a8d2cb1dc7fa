"""The rules by version. A version in force is never edited; the next one builds on it.

Must not know blocks' bytes, storage or time: rules decide on values alone.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ledger.rules.base import RuleSet
from ledger.rules.v1 import RULES_V1

RULES: Mapping[int, RuleSet] = MappingProxyType({RULES_V1.version: RULES_V1})
"""Every version of the rules that this software can execute."""
