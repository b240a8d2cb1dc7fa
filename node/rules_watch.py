"""Which versions of the rules this program has, and what a node does about one that it lacks.

It says so as soon as the members have decided on one, takes part up to the height before it, and stops
there. It must not know what rules do, nor how a node stops.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ledger.block import Header
from ledger.registry import Registry
from ledger.rules.base import RuleSet
from node.ports import Log


class UnknownRules(Exception):
    """Blocks from here on follow rules that this program doesn't have: a newer one must take its place."""

    def __init__(self, missing: "Missing", known: Mapping[int, RuleSet]) -> None:
        super().__init__(
            f"blocks from height {missing.from_height} on follow version {missing.version} of the rules, "
            f"this program knows {sorted(known)}: install a newer one and start the node again"
        )


class Missing(NamedTuple):
    """A version of the rules that is decided on and not known here, and the height that it holds from."""

    from_height: int
    version: int


def first_missing(registry: Registry, height: int, known: Mapping[int, RuleSet]) -> Missing | None:
    """The first version in force at `height` or decided for later that isn't known."""
    for from_height, version in registry.rules_from(height):
        if version not in known:
            return Missing(from_height, version)
    return None


def rules_of(header: Header, known: Mapping[int, RuleSet]) -> RuleSet:
    """The rules that a block follows; raises UnknownRules."""
    found = known.get(header.rules)
    if found is None:
        raise UnknownRules(Missing(header.height, header.rules), known)
    return found


class RulesWatch:
    """Looks at the schedule of the rules whenever a block is executed."""

    def __init__(self, known: Mapping[int, RuleSet], log: Log) -> None:
        """Nothing is missing until `executed` says so."""
        self._known = known
        self._log = log
        self.missing: Missing | None = None

    def executed(self, height: int, registry: Registry) -> None:
        """This height is executed (or the node begins there); raises UnknownRules where it can't go on."""
        found = first_missing(registry, height + 1, self._known)
        if found is not None and self.missing is None:
            self._log.error(
                "rules_unknown",
                version=found.version,
                from_height=found.from_height,
                todo="install a program that has this version, or this node stops before that height",
            )
        self.missing = found
        if found is not None and found.from_height <= height + 1:
            raise UnknownRules(found, self._known)
