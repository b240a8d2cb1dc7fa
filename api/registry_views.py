"""What a host says of the registry, for every host alike. It must not know where the registry comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.ports import MembershipView

if TYPE_CHECKING:
    from ledger.registry import Registry


def membership_view(registry: Registry, height: int) -> MembershipView:
    """What a registry says of the cluster's membership once `height` is executed."""
    from_height, newest = registry.membership_decisions.entries[-1]
    return MembershipView(
        membership=registry.membership,
        certificate_rule=registry.parameters_at(height + 1).certificate_rule,
        decision_version=registry.membership_decisions.version,
        from_height=from_height,
        decision=newest,
        pending=registry.membership_pending(height + 1),
    )
