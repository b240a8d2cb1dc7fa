"""Every ending that a transaction can have: one table, from which docs, API problems and messages are made.

It must not know how an outcome is reached. Numbers are for ever: they are added, never changed or reused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType


class OutcomeClass(StrEnum):
    """Who or what stands in the way."""

    SUCCESS = "success"
    MALFORMED = "malformed"
    AUTH = "auth"
    CONFLICT = "conflict"
    STATE = "state"
    NODE = "node"


class Outcome(IntEnum):
    """The outcome numbers, as they stand in outcome leaves and id records."""

    EXECUTED = 0

    NOT_CANONICAL = 100
    TOO_LARGE = 101
    UNKNOWN_KIND = 102
    BAD_FIELD = 103
    WRONG_NETWORK = 104
    TOO_MANY_SIGNERS = 105

    BAD_SIGNATURE = 200
    UNKNOWN_AUTHOR = 201
    POLICY_NOT_MET = 202
    NOT_PERMITTED = 203

    DUPLICATE_OF = 300
    ID_USED_WITH_OTHER_CONTENT = 301
    VERSION_MISMATCH = 302

    UNKNOWN_ACCOUNT = 400
    ACCOUNT_CLOSED = 401
    DEBIT_FROZEN = 402
    CREDIT_FROZEN = 403
    WRONG_ASSET = 404
    SAME_ACCOUNT = 405
    INSUFFICIENT_FUNDS = 406
    AMOUNT_OVERFLOW = 407
    BALANCE_NOT_ZERO = 408
    UNKNOWN_MEMBER = 409
    UNKNOWN_ASSET = 410
    ALREADY_EXISTS = 411
    LIMIT_BELOW_BALANCE = 412
    FLAGS_NOT_PERMITTED = 413
    ACTIVATION_TOO_EARLY = 414
    PARAMETER_OUT_OF_RANGE = 415
    KEY_NOT_REPLACEABLE = 416
    UNKNOWN_NODE = 417
    NODE_RETIRED = 418
    NODE_IN_MEMBERSHIP = 419
    NODE_NOT_IN_MEMBERSHIP = 420
    MEMBER_HAS_VOTING_NODE = 421
    TOO_FEW_VOTERS = 422
    MEMBERSHIP_CHANGE_PENDING = 423
    RULES_NOT_NEWER = 424
    NO_MEMBERSHIP_CHANGE_PENDING = 425

    EXPIRED = 500
    NOT_YET_VALID = 501
    OVERLOADED = 502
    NO_QUORUM = 503
    UNKNOWN = 504
    TOO_MANY_PENDING = 505
    STOPPING = 506


@dataclass(frozen=True, slots=True)
class OutcomeInfo:
    """What an outcome means to a person and to a program.

    `final`: the same bytes never have another outcome under the parameters and rules in force. `on_chain`: it
    can stand in a block; others are a node's own answer. `retry_can_help`: sending the same bytes again later
    may succeed. `iso20022` is an ExternalStatusReason1Code, `""` for success.
    """

    number: int
    name: str
    class_: OutcomeClass
    on_chain: bool
    final: bool
    retry_can_help: bool
    sentence: str
    remedy: str
    iso20022: str


_CLASS_BY_HUNDRED = {
    1: OutcomeClass.MALFORMED,
    2: OutcomeClass.AUTH,
    3: OutcomeClass.CONFLICT,
    4: OutcomeClass.STATE,
    5: OutcomeClass.NODE,
}

_TEXT: dict[Outcome, tuple[str, str, str]] = {
    Outcome.EXECUTED: ("The transaction was executed.", "Nothing is left to do.", ""),
    Outcome.NOT_CANONICAL: (
        "The bytes are not canonical MessagePack, or not an envelope at all.",
        "Encode the envelope with a Nostro wallet, or follow docs/formats.md, section 1.",
        "FF01",
    ),
    Outcome.TOO_LARGE: (
        "The envelope is larger than this network takes.",
        "Send less in one envelope; the parameter envelope_bytes says how much is taken.",
        "FF01",
    ),
    Outcome.UNKNOWN_KIND: (
        "The kind of transaction is not one that this network knows.",
        "Use one of the kinds in docs/formats.md, section 4, or update the wallet.",
        "AG03",
    ),
    Outcome.BAD_FIELD: (
        "A field has a value that its place does not allow.",
        "Correct the field that the message names and sign again.",
        "FF01",
    ),
    Outcome.WRONG_NETWORK: (
        "The transaction was signed for another network.",
        "Sign it for this network's id, or submit it to the network that it names.",
        "DS28",
    ),
    Outcome.TOO_MANY_SIGNERS: (
        "The envelope has more signers than this network takes.",
        "Sign with fewer keys; the parameter signers says how many are taken.",
        "FF01",
    ),
    Outcome.BAD_SIGNATURE: (
        "A signature does not verify against its key and the signed bytes.",
        "Sign the payload again, unaltered, with the keys that it names, and with low-S signatures.",
        "DS0B",
    ),
    Outcome.UNKNOWN_AUTHOR: (
        "The account or member that the transaction speaks for does not exist.",
        "Check the author; a new account exists once the transaction that opens it is executed.",
        "AC02",
    ),
    Outcome.POLICY_NOT_MET: (
        "The signers do not meet the policy that guards this action.",
        "Have more of the policy's keys sign, up to its threshold, and submit the new envelope.",
        "DS0H",
    ),
    Outcome.NOT_PERMITTED: (
        "The author may not do this, whoever signs for it.",
        "Have the account's member, the asset's issuer or the members together do it, as docs/kinds.md says.",
        "DS0G",
    ),
    Outcome.DUPLICATE_OF: (
        "The same transaction has been decided before; this copy changed nothing.",
        "Take the outcome of the first one, which the answer names.",
        "DUPL",
    ),
    Outcome.ID_USED_WITH_OTHER_CONTENT: (
        "The author has used this transaction id for something else.",
        "Look the id up to see what it did; sign what is still wanted under a new id.",
        "DU03",
    ),
    Outcome.VERSION_MISMATCH: (
        "What was to be changed has changed since the version that the transaction expects.",
        "Read the present version, check that the change is still right, and sign it for that version.",
        "NARR",
    ),
    Outcome.UNKNOWN_ACCOUNT: (
        "An account that the transaction names does not exist.",
        "Check the address with its holder.",
        "AC01",
    ),
    Outcome.ACCOUNT_CLOSED: (
        "An account that the transaction names is closed.",
        "Ask its holder for another account; a closed one is never opened again.",
        "AC04",
    ),
    Outcome.DEBIT_FROZEN: (
        "The account to be debited is blocked for debits.",
        "Ask the account's bank, or the asset's issuer, to lift the block.",
        "AC06",
    ),
    Outcome.CREDIT_FROZEN: (
        "The account to be credited is blocked for credits.",
        "Ask the holder for another account, or its bank or the asset's issuer to lift the block.",
        "AC06",
    ),
    Outcome.WRONG_ASSET: (
        "The asset is not the one that the account holds.",
        "Pay in the asset that both accounts hold.",
        "AM11",
    ),
    Outcome.SAME_ACCOUNT: (
        "The account to be credited is the one to be debited.",
        "Name another account to be credited.",
        "AG01",
    ),
    Outcome.INSUFFICIENT_FUNDS: (
        "The account has less available than the amount.",
        "Fund the account, or pay less, under a new transaction id.",
        "AM04",
    ),
    Outcome.AMOUNT_OVERFLOW: (
        "A total would pass the largest amount that the ledger counts.",
        "Use another account: this one has reached the end of its counters.",
        "AM13",
    ),
    Outcome.BALANCE_NOT_ZERO: (
        "The account still holds, owes or expects money.",
        "Bring its balance and everything pending to zero first.",
        "NARR",
    ),
    Outcome.UNKNOWN_MEMBER: (
        "A member that the transaction names does not exist.",
        "Check the member's id in the list of members.",
        "RC01",
    ),
    Outcome.UNKNOWN_ASSET: (
        "The asset that the transaction names does not exist.",
        "Check the code in the list of assets.",
        "AM11",
    ),
    Outcome.ALREADY_EXISTS: (
        "What was to be created exists already.",
        "Use it, or choose another id.",
        "NARR",
    ),
    Outcome.LIMIT_BELOW_BALANCE: (
        "The account already owes more than the new limit.",
        "Have the debt paid down first, or set a higher limit.",
        "NARR",
    ),
    Outcome.FLAGS_NOT_PERMITTED: (
        "The change touches flags that its author may not set.",
        "Change only the author's own flags and leave the others as they are.",
        "AG08",
    ),
    Outcome.ACTIVATION_TOO_EARLY: (
        "The change would take effect too soon after its decision.",
        "Choose a from_height at least 64 above the height at which it is decided.",
        "DT01",
    ),
    Outcome.PARAMETER_OUT_OF_RANGE: (
        "A parameter is outside the range that the ledger allows.",
        "Choose a value within the table in docs/formats.md, section 5.",
        "NARR",
    ),
    Outcome.KEY_NOT_REPLACEABLE: (
        "A node's key or member is never replaced in place.",
        "Register a new node with the new key, and retire the old one.",
        "NARR",
    ),
    Outcome.UNKNOWN_NODE: (
        "The node to be added is not registered.",
        "Register it first, with its member, key and address.",
        "RC01",
    ),
    Outcome.NODE_RETIRED: (
        "The node has left the cluster; a node's id is never used twice.",
        "Register a new node under another id and with another key, and add that.",
        "NARR",
    ),
    Outcome.NODE_IN_MEMBERSHIP: (
        "The node to be added is in the cluster already, as was asked for or as a voter.",
        "Nothing is left to do; look at the list of nodes.",
        "NARR",
    ),
    Outcome.NODE_NOT_IN_MEMBERSHIP: (
        "The node to be removed is not in the cluster.",
        "Check its id in the list of nodes.",
        "NARR",
    ),
    Outcome.MEMBER_HAS_VOTING_NODE: (
        "The member would have two voting nodes, and with them two votes.",
        "Add the new node and remove the member's old one in the same decision.",
        "NARR",
    ),
    Outcome.TOO_FEW_VOTERS: (
        "Too few voting nodes would be left: one at least, four under the byzantine certificate rule.",
        "Add a voting node first, or have the members choose the rule of the majority.",
        "NARR",
    ),
    Outcome.MEMBERSHIP_CHANGE_PENDING: (
        "An earlier decision about the cluster's membership is not carried out yet.",
        "Wait until it is, take it back before the voters change, or remove what it adds.",
        "NARR",
    ),
    Outcome.RULES_NOT_NEWER: (
        "The version of the rules is not above the newest one decided so far.",
        "Name a newer version; rules never go back, and one version is never decided twice.",
        "NARR",
    ),
    Outcome.NO_MEMBERSHIP_CHANGE_PENDING: (
        "There is no decision about the cluster's membership to take back: the last one is carried out.",
        "Decide the opposite, to undo what was done.",
        "NARR",
    ),
    Outcome.EXPIRED: (
        "The transaction's time to be executed is over, by this node's clock.",
        "Ask for its outcome by id; if it has none, sign it again with a later valid_until.",
        "TM01",
    ),
    Outcome.NOT_YET_VALID: (
        "The transaction's time to be executed has not come, by this node's clock.",
        "Submit the same bytes again from valid_from on.",
        "DT04",
    ),
    Outcome.OVERLOADED: (
        "The node has as much to do as it may keep.",
        "Submit the same bytes again a little later, or to another node.",
        "FF10",
    ),
    Outcome.NO_QUORUM: (
        "The node has no leader that a majority of nodes follows.",
        "Submit the same bytes again later, or to another node.",
        "ED06",
    ),
    Outcome.UNKNOWN: (
        "The node does not know the outcome: the transaction may still be executed.",
        "Ask by id, or submit the same bytes again; that can never pay twice.",
        "NARR",
    ),
    Outcome.TOO_MANY_PENDING: (
        "The member has its whole share of waiting transactions in use.",
        "Submit the same bytes again when some of them have been decided.",
        "DS0K",
    ),
    Outcome.STOPPING: (
        "The node is shutting down.",
        "Submit the same bytes to another node.",
        "FF10",
    ),
}

# What a node decides for itself and never puts on the chain: malformed bytes, bad signatures, its own state.
_NODE_ONLY_AUTH = frozenset({Outcome.BAD_SIGNATURE})
# Refusals for want of authority consume no id: the same bytes may succeed once keys or accounts have changed.
_RETRY = frozenset(
    {
        Outcome.UNKNOWN_AUTHOR,
        Outcome.POLICY_NOT_MET,
        Outcome.NOT_PERMITTED,
        Outcome.NOT_YET_VALID,
        Outcome.OVERLOADED,
        Outcome.NO_QUORUM,
        Outcome.UNKNOWN,
        Outcome.TOO_MANY_PENDING,
        Outcome.STOPPING,
    }
)


def _info(outcome: Outcome) -> OutcomeInfo:
    class_ = _CLASS_BY_HUNDRED.get(outcome // 100, OutcomeClass.SUCCESS)
    node_only = class_ in (OutcomeClass.MALFORMED, OutcomeClass.NODE) or outcome in _NODE_ONLY_AUTH
    sentence, remedy, iso20022 = _TEXT[outcome]
    return OutcomeInfo(
        number=int(outcome),
        name=outcome.name.lower(),
        class_=class_,
        on_chain=not node_only,
        final=outcome not in _RETRY and class_ is not OutcomeClass.NODE,
        retry_can_help=outcome in _RETRY,
        sentence=sentence,
        remedy=remedy,
        iso20022=iso20022,
    )


OUTCOMES: Mapping[Outcome, OutcomeInfo] = MappingProxyType({outcome: _info(outcome) for outcome in Outcome})
