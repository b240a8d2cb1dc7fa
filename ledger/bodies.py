"""The bodies of the kinds of transaction: their fields and what can be checked without any state.

It must not know accounts, members or balances: who may do what, and what it does, is in ledger/rules.
Layouts: formats.md, section 4.
"""

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, TypeAlias

from msgspec import Meta

from ledger.certificate import Certifiers
from ledger.codec import Malformed, Record
from ledger.fields import (
    AccountId,
    Amount,
    AssetCode,
    Bin32,
    Bin65,
    DisplayName,
    HostPort,
    MemberId,
    MinorUnits,
    NodeId,
    OptionalBin32,
    OptionalNodeId,
    OptionalUuid,
    RulesVersion,
    Scale,
    Uint,
)
from ledger.keys import check_public_key
from ledger.parameters import CertificateRule, Parameters, quorum
from ledger.policy import Policy, check_policy


class Kind(IntEnum):
    """The numbers of the kinds; never reused."""

    OPEN_ACCOUNT = 1
    TRANSFER = 2
    SET_POLICY = 3
    SET_LIMIT = 4
    SET_FLAGS = 5
    CLOSE_ACCOUNT = 6
    SET_MEMBER = 16
    SET_NODE = 17
    CREATE_ASSET = 18
    SET_PARAMETERS = 19
    SET_MEMBERSHIP = 20
    SET_RULES = 21
    RECOVER = 22


class Flag(IntFlag):
    """The bits of an account's flags; each authority changes only its own (formats.md, section 4)."""

    NO_DEBIT = 1
    NO_CREDIT = 2
    CLOSED = 4
    ISSUER_NO_DEBIT = 8
    ISSUER_NO_CREDIT = 16


ALL_FLAGS = 31


def _check_account(account: bytes) -> None:
    if account[0] != 0:
        raise Malformed(f"account {account.hex()}: an account id starts with 00")


class OpenAccount(Record, frozen=True):
    """A member opens an account for an asset; its id follows from member, asset and transaction id."""

    asset: AssetCode
    policy: Policy
    reference: OptionalBin32 = ()

    def __post_init__(self) -> None:
        """Check the policy's keys."""
        check_policy(self.policy)


class Transfer(Record, frozen=True):
    """The author account is debited and `credit` is credited with `amount` minor units of `asset`."""

    credit: AccountId
    asset: AssetCode
    amount: Amount
    uetr: OptionalUuid = ()
    reference: OptionalBin32 = ()

    def __post_init__(self) -> None:
        """Check the form of the account id."""
        if self.credit[0] != 0:
            _check_account(self.credit)


class SetPolicy(Record, frozen=True):
    """The account's keys are replaced: rotation by its own policy, recovery by its member's admin policy."""

    account: AccountId
    expected_version: Uint
    policy: Policy

    def __post_init__(self) -> None:
        """Check the form of the account id, and the policy's keys."""
        _check_account(self.account)
        check_policy(self.policy)


class SetLimit(Record, frozen=True):
    """The asset's issuer lets the account's balance go down to minus `limit` minor units."""

    account: AccountId
    expected_version: Uint
    limit: MinorUnits

    def __post_init__(self) -> None:
        """Check the form of the account id."""
        _check_account(self.account)


class SetFlags(Record, frozen=True):
    """The account's flags become `flags`, all bits together."""

    account: AccountId
    expected_version: Uint
    flags: Annotated[int, Meta(ge=0, le=ALL_FLAGS)]

    def __post_init__(self) -> None:
        """Check the form of the account id."""
        _check_account(self.account)


class CloseAccount(Record, frozen=True):
    """The account, which holds and owes nothing, is closed for ever."""

    account: AccountId
    expected_version: Uint

    def __post_init__(self) -> None:
        """Check the form of the account id."""
        _check_account(self.account)


class SetMember(Record, frozen=True):
    """A member joins (expected_version 0), or its name and policies change."""

    id: MemberId
    name: DisplayName
    admin_policy: Policy
    teller_policy: Policy
    expected_version: Uint

    def __post_init__(self) -> None:
        """Check the policies' keys."""
        check_policy(self.admin_policy)
        check_policy(self.teller_policy)


class SetNode(Record, frozen=True):
    """A member's node is registered (expected_version 0), or moves to another address."""

    id: NodeId
    member: MemberId
    key: Bin65
    address: HostPort
    expected_version: Uint

    def __post_init__(self) -> None:
        """Check the node's key."""
        check_public_key(self.key)


class CreateAsset(Record, frozen=True):
    """An asset comes into being, with its issuance account under `issuance_policy`."""

    code: AssetCode
    scale: Scale
    issuer: MemberId
    issuance_policy: Policy

    def __post_init__(self) -> None:
        """Check the policy's keys."""
        check_policy(self.issuance_policy)


class SetParameters(Record, frozen=True):
    """The parameters change from `from_height` on. Their ranges are checked when it is executed."""

    parameters: Parameters
    from_height: Uint
    expected_version: Uint


class SetMembership(Record, frozen=True):
    """A registered node comes into the cluster, to vote or only to learn, or one leaves it, or both.

    With neither, the decision before it is taken back, if that isn't carried out yet.
    """

    add: OptionalNodeId
    voting: bool
    remove: OptionalNodeId
    expected_version: Uint

    def __post_init__(self) -> None:
        """Check that nothing is asked for that contradicts itself."""
        if self.add and self.add == self.remove:
            raise Malformed(f"set_membership: node {self.add[0]} can't be both added and removed")
        if self.voting and not self.add:
            raise Malformed("set_membership: voting is of the node that is added, and none is")


class SetRules(Record, frozen=True):
    """Blocks follow another version of the rules from `from_height` on."""

    rules: RulesVersion
    from_height: Uint
    expected_version: Uint


class Recover(Record, frozen=True):
    """A cluster that has lost its quorum goes on from one block with these certifiers, in a new epoch.

    Who holds the certificate of `certified_height`, the newest that is left, and this decision, signed by the
    members that its seal names, knows who certifies from then on. So the certifiers stand here themselves:
    nobody signs for a key that isn't shown. A `rehearsal` proves nothing to anybody.
    """

    epoch: Uint
    height: Uint
    header_hash: Bin32
    term: Uint
    certifiers: Certifiers
    certified_height: Uint
    rehearsal: bool

    @property
    def voters(self) -> tuple[str, ...]:
        """The ids of the nodes that vote from then on, ascending: those who certify."""
        return tuple(certifier.node for certifier in self.certifiers.nodes)

    def __post_init__(self) -> None:
        """Check the certifiers, and that what is gone on from lies at or above what is certified."""
        if not 1 <= self.certified_height <= self.height:
            raise Malformed("recover: the certified height is 1 to the height that is gone on from")
        _check_certifiers(self.certifiers)


def _check_certifiers(certifiers: Certifiers) -> None:
    """What genesis keeps to as well: one node or more, each with a member and a key of its own."""
    nodes = certifiers.nodes
    if not nodes or any(a.node >= b.node for a, b in pairwise(nodes)):
        raise Malformed("recover: the certifiers must be strictly ascending, one or more, each named once")
    if len({each.member for each in nodes}) != len(nodes) or len({each.key for each in nodes}) != len(nodes):
        raise Malformed("recover: two certifiers have one member, or one key")
    if certifiers.certificate_rule not in tuple(CertificateRule):
        raise Malformed(f"recover: there is no certificate rule {certifiers.certificate_rule}")
    quorum(certifiers.certificate_rule, len(nodes))
    for each in nodes:
        check_public_key(each.key)


Body: TypeAlias = (
    OpenAccount
    | Transfer
    | SetPolicy
    | SetLimit
    | SetFlags
    | CloseAccount
    | SetMember
    | SetNode
    | CreateAsset
    | SetParameters
    | SetMembership
    | SetRules
    | Recover
)

BODIES: Mapping[int, type[Body]] = MappingProxyType(
    {
        Kind.OPEN_ACCOUNT: OpenAccount,
        Kind.TRANSFER: Transfer,
        Kind.SET_POLICY: SetPolicy,
        Kind.SET_LIMIT: SetLimit,
        Kind.SET_FLAGS: SetFlags,
        Kind.CLOSE_ACCOUNT: CloseAccount,
        Kind.SET_MEMBER: SetMember,
        Kind.SET_NODE: SetNode,
        Kind.CREATE_ASSET: CreateAsset,
        Kind.SET_PARAMETERS: SetParameters,
        Kind.SET_MEMBERSHIP: SetMembership,
        Kind.SET_RULES: SetRules,
        Kind.RECOVER: Recover,
    }
)
