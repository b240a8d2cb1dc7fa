"""KINDS: the one explicit list of the kinds that version 1 of the rules knows. Must not know what they do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ledger.rules.base import Kind
from ledger.rules.v1 import (
    close_account,
    create_asset,
    open_account,
    recover,
    set_flags,
    set_limit,
    set_member,
    set_membership,
    set_node,
    set_parameters,
    set_policy,
    set_rules,
    transfer,
)

_ALL: Final[tuple[Kind[Any], ...]] = (
    open_account.KIND,
    transfer.KIND,
    set_policy.KIND,
    set_limit.KIND,
    set_flags.KIND,
    close_account.KIND,
    set_member.KIND,
    set_node.KIND,
    create_asset.KIND,
    set_parameters.KIND,
    set_membership.KIND,
    set_rules.KIND,
    recover.KIND,
)

KINDS: Mapping[int, Kind[Any]] = MappingProxyType({kind.number: kind for kind in _ALL})
"""Every kind by its number."""
