"""The registry: members, nodes, assets and schedules, which are few, held whole and replaced as one value.

A Registry is immutable, so another thread may read the one the state last published. Must not know accounts
(their ids stand in the same tree, but are too many to hold), nor the rules that change what stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TypeVar

from msgspec import structs

from ledger import records, schedule
from ledger.certificate import Certifier, Certifiers
from ledger.codec import Malformed, Record, decode
from ledger.electorate import Elector, Electorate
from ledger.membership import Change, Decision, MembershipRecord, is_finished
from ledger.parameters import BYZANTINE_LEAST_CERTIFIERS, CertificateRule, Parameters
from ledger.records import (
    LEARNER,
    RETIRED,
    VOTING,
    AssetRecord,
    MemberRecord,
    NodeRecord,
    RecoveryRecord,
    RegistryRow,
    Schedule,
    encode_record,
)

T = TypeVar("T")

_ACCOUNT_KEY_START = b"\x92\xc4" + bytes([len(b"account/") + 21]) + b"account/"
"""How the rows of account ids begin; there may be a million, so they are told apart without decoding."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything of the registry but the account ids."""

    members: Mapping[str, MemberRecord]
    nodes: Mapping[str, NodeRecord]
    assets: Mapping[str, AssetRecord]
    parameters: Schedule[Parameters]
    rules: Schedule[int]
    membership_decisions: Schedule[Decision]
    membership: MembershipRecord
    certifiers: tuple[tuple[int, Certifiers], ...]
    electorates: tuple[tuple[int, Electorate], ...]
    recoveries: Mapping[int, RecoveryRecord]

    @property
    def scales(self) -> dict[str, int]:
        """The decimals of each asset."""
        return {code: asset.scale for code, asset in self.assets.items()}

    def with_member(self, member: MemberRecord) -> Registry:
        """The registry with this member added or changed."""
        return replace(self, members=MappingProxyType({**self.members, member.id: member}))

    def with_node(self, node: NodeRecord) -> Registry:
        """The registry with this node added or changed."""
        return replace(self, nodes=_in_order({**self.nodes, node.id: node}))

    def with_asset(self, asset: AssetRecord) -> Registry:
        """The registry with this asset added."""
        return replace(self, assets=_in_order({**self.assets, asset.code: asset}))

    def with_parameters(self, parameters: Schedule[Parameters]) -> Registry:
        """The registry with this schedule of parameters."""
        return replace(self, parameters=parameters)

    def with_membership_decisions(self, decisions: Schedule[Decision]) -> Registry:
        """The registry with this schedule of decisions about the membership."""
        return replace(self, membership_decisions=decisions)

    def with_rules(self, rules: Schedule[int]) -> Registry:
        """The registry with this schedule of the rules' versions."""
        return replace(self, rules=rules)

    def with_change(self, change: Change, height: int) -> Registry:
        """The registry once the block at `height` has put this membership in force."""
        before, after = self.membership.membership, change.membership
        nodes = dict(self.nodes)
        for node in {*before.nodes, *after.nodes}:
            status = VOTING if after.votes(node) else LEARNER if node in after else RETIRED
            nodes[node] = structs.replace(nodes[node], status=status)
        record = MembershipRecord(
            self.membership.version + 1, change.voters, change.outgoing, change.learners, height
        )
        return replace(self, nodes=_in_order(nodes), membership=record)

    def with_certifiers_after(self, height: int) -> Registry:
        """The registry once `height` is executed: other certifiers from the next height on are noted."""
        following = self.certifiers_after(height)
        if following == self.certifiers[-1][1]:
            return self
        return replace(self, certifiers=(*self.certifiers, (height + 1, following)))

    def with_electorate_after(self, height: int) -> Registry:
        """The registry once `height` is executed: where members or admin policies changed, it is noted."""
        following = electorate_of(self.members)
        if following == self.electorates[-1][1]:
            return self
        return replace(self, electorates=(*self.electorates, (height, following)))

    def with_recovery(self, height: int, recovery: RecoveryRecord) -> Registry:
        """The registry whose voters, put in place by the recovery at `height`, certify that block too."""
        before = tuple(entry for entry in self.certifiers if entry[0] < height)
        return replace(
            self,
            certifiers=(*before, (height, self.certifiers_after(height - 1))),
            recoveries=MappingProxyType({**self.recoveries, height: recovery}),
        )

    def certifiers_after(self, height: int) -> Certifiers:
        """Who certifies the height after `height`, which is the executed one."""
        return self.certifiers_of(self.membership.membership.certifiers, height + 1)

    def certifiers_of(self, ids: Iterable[str], height: int) -> Certifiers:
        """These nodes as the certifiers of a height."""
        nodes = [self.nodes[node] for node in ids]
        rule = self.parameters_at(height).certificate_rule
        return Certifiers(rule, tuple(Certifier(node.id, node.member, node.key) for node in nodes))

    def certifiers_recovered(self, ids: Iterable[str], height: int) -> Certifiers:
        """These nodes as who certifies from a recovery at `height` on.

        Under the rule in force there, or under that of the majority where they are too few for it.
        """
        certifiers = self.certifiers_of(ids, height)
        if len(certifiers.nodes) >= BYZANTINE_LEAST_CERTIFIERS:
            return certifiers
        return structs.replace(certifiers, certificate_rule=CertificateRule.MAJORITY.value)

    def is_passed_over(self, height: int) -> bool:
        """Whether a recovery above `height` builds on a certified one below: no certificate of it counts."""
        return any(
            recovery.certified_height < height < recovered for recovered, recovery in self.recoveries.items()
        )

    def membership_decision_at(self, height: int) -> tuple[int, Decision]:
        """The decision about the membership in force at a height, with its version before it."""
        entries = self.membership_decisions.entries
        return schedule.version_at(entries, height), schedule.at(entries, height)

    def membership_pending(self, height: int) -> bool:
        """Whether, as `height` is executed, a decision about the membership is not carried out yet."""
        from_height, newest = self.membership_decisions.entries[-1]
        return from_height > height or not is_finished(self.membership.membership, newest)

    def parameters_at(self, height: int) -> Parameters:
        """The parameters in force at a height."""
        return schedule.at(self.parameters.entries, height)

    def parameters_from(self, height: int) -> tuple[Parameters, ...]:
        """The parameters in force at a height, and those decided for later."""
        later = [value for from_height, value in self.parameters.entries if from_height > height]
        return (self.parameters_at(height), *later)

    def rules_at(self, height: int) -> int:
        """The version of the rules in force at a height."""
        return schedule.at(self.rules.entries, height)

    def rules_from(self, height: int) -> tuple[tuple[int, int], ...]:
        """The versions of the rules in force at a height and decided for later, as (from_height, version)."""
        later = [entry for entry in self.rules.entries if entry[0] > height]
        return ((height, self.rules_at(height)), *later)

    def certifiers_at(self, height: int) -> Certifiers:
        """Whose seals certify a height, which is at most one above the executed one."""
        return schedule.at(self.certifiers, height)

    def electorate_at(self, height: int) -> Electorate:
        """Who decides after a height, which is at most the executed one; its seal names them."""
        return schedule.at(self.electorates, height)

    def activation_waits(self, height: int) -> bool:
        """Whether something decided takes effect above this height."""
        return (
            schedule.activation_waits(self.parameters.entries, height)
            or schedule.activation_waits(self.rules.entries, height)
            or schedule.activation_waits(self.membership_decisions.entries, height)
        )

    def values(self) -> Iterator[tuple[bytes, Record]]:
        """Every registry key with its record, in a fixed order."""
        for member in self.members.values():
            yield records.member_key(member.id), member
        for node in self.nodes.values():
            yield records.node_key(node.id), node
        for asset in self.assets.values():
            yield records.asset_key(asset.code), asset
        yield records.PARAMETERS_SCHEDULE, self.parameters
        yield records.RULES_SCHEDULE, self.rules
        yield records.MEMBERSHIP_SCHEDULE, self.membership_decisions
        yield records.MEMBERSHIP, self.membership
        for from_height, certifiers in self.certifiers:
            yield records.certifiers_key(from_height), certifiers
        for from_height, electorate in self.electorates:
            yield records.electorate_key(from_height), electorate
        for height, recovery in self.recoveries.items():
            yield records.recovery_key(height), recovery


def electorate_of(members: Mapping[str, MemberRecord]) -> Electorate:
    """These members as an electorate."""
    return Electorate(tuple(Elector(id, members[id].admin_policy) for id in sorted(members)))


def _in_order(values: dict[str, T]) -> Mapping[str, T]:
    # The same order as after a restart, so that lists are the same on every node.
    return MappingProxyType(dict(sorted(values.items())))


def changed_values(before: Registry, after: Registry) -> dict[bytes, bytes]:
    """The canonical values by key that differ between two registries."""
    if before is after:
        return {}
    known = dict(before.values())
    return {key: encode_record(value) for key, value in after.values() if known.get(key) != value}


def registry_leaves(values: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The leaves of the registry tree: the hash of each value by the hash of its key."""
    return {records.key_hash(key): sha256(value).digest() for key, value in values.items()}


def registry_rows(values: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The rows that hold these values."""
    return {
        records.registry_row_key(records.key_hash(key)): encode_record(RegistryRow(key, value))
        for key, value in values.items()
    }


class RegistryIncomplete(Exception):
    """Rows of the registry are missing or unreadable; the text says which."""


def load_registry(rows: Iterator[tuple[bytes, bytes]]) -> Registry:
    """Build the registry from the rows under prefix `k`; raises RegistryIncomplete."""
    values: dict[bytes, bytes] = {}
    for row_key, row in rows:
        if row.startswith(_ACCOUNT_KEY_START):
            continue
        try:
            entry = decode(row, RegistryRow)
        except Malformed as error:
            raise RegistryIncomplete(f"registry row {row_key.hex()} cannot be read: {error}") from error
        values[entry.key] = entry.value
    try:
        return _from_values(values)
    except (Malformed, KeyError) as error:
        raise RegistryIncomplete(f"the registry is missing or has a wrong {error}") from error


def _from_values(values: Mapping[bytes, bytes]) -> Registry:
    members = [decode(value, MemberRecord) for key, value in values.items() if key.startswith(b"member/")]
    nodes = [decode(value, NodeRecord) for key, value in values.items() if key.startswith(b"node/")]
    assets = [decode(value, AssetRecord) for key, value in values.items() if key.startswith(b"asset/")]
    return Registry(
        MappingProxyType({member.id: member for member in sorted(members, key=lambda m: m.number)}),
        MappingProxyType({node.id: node for node in sorted(nodes, key=lambda n: n.id)}),
        MappingProxyType({asset.code: asset for asset in sorted(assets, key=lambda a: a.code)}),
        decode(values[records.PARAMETERS_SCHEDULE], Schedule[Parameters]),
        decode(values[records.RULES_SCHEDULE], Schedule[int]),
        decode(values[records.MEMBERSHIP_SCHEDULE], Schedule[Decision]),
        decode(values[records.MEMBERSHIP], MembershipRecord),
        _by_height(values, records.CERTIFIERS_PREFIX, Certifiers),
        _by_height(values, records.ELECTORATE_PREFIX, Electorate),
        MappingProxyType(dict(_found(values, records.RECOVERY_PREFIX, RecoveryRecord))),
    )


def _by_height(values: Mapping[bytes, bytes], prefix: bytes, type_: type[T]) -> tuple[tuple[int, T], ...]:
    """The values whose keys are this prefix and a height, ascending; raises KeyError where there is none."""
    found = _found(values, prefix, type_)
    if not found:
        raise KeyError(prefix)
    return found


def _found(values: Mapping[bytes, bytes], prefix: bytes, type_: type[T]) -> tuple[tuple[int, T], ...]:
    """The values whose keys are this prefix and a height, ascending; none may be there."""
    found = [
        (int.from_bytes(key[len(prefix) :], "big"), decode(value, type_))
        for key, value in values.items()
        if key.startswith(prefix)
    ]
    return tuple(sorted(found, key=lambda entry: entry[0]))
