"""Who may seal which height, and where the right to certify passes on, as far as this node has executed.

It must not know seals that were gathered, nor how blocks are executed.
"""

from dataclasses import dataclass

from ledger.certificate import Certifiers
from ledger.handovers import handover_heights
from ledger.records import RETIRED
from ledger.registry import Registry


@dataclass(frozen=True, slots=True)
class Certifying:
    """What the registry after the executed height says of certifiers."""

    registry: Registry
    executed: int

    def certifiers(self, height: int) -> Certifiers:
        """Whose seals count at a height up to the one above the executed one."""
        return self.registry.certifiers_at(height)

    def key_of(self, node: str, height: int) -> bytes | None:
        """The key under which `node` may seal `height`, or None.

        Further above the executed height any registered node may turn out to be a certifier: its seals are
        kept, and judged when that is known.
        """
        if height <= self.executed + 1:
            return self.certifiers(height).key_of(node)
        registered = self.registry.nodes.get(node)
        return None if registered is None or registered.status == RETIRED else registered.key

    def handover_after(self, height: int) -> int | None:
        """The first height above `height` after which others certify, if one is executed here.

        Nothing above it proves anything without the certificate of it (ledger/handovers.py). A recovery
        hands over at the certified height that it builds on.
        """
        heights = handover_heights(self.registry, self.executed + 1)
        return next((handover for handover in heights if handover > height), None)

    def is_passed_over(self, height: int) -> bool:
        """Whether a recovery passes over this height: a certificate of it would lead nowhere."""
        return self.registry.is_passed_over(height)
