"""What the consensus core refuses, and what makes it stop, as exceptions that carry their reasons.

It must not know the modules that raise them, nor how a node shows errors to people.
"""


class ConsensusError(Exception):
    """Anything the consensus core refuses; the message says what, to which thing, and what to do next."""


class MalformedMessage(ConsensusError):
    """Bytes or values that are no message of this protocol; drop the message and keep the connection's
    log.
    """


class NotLeader(ConsensusError):
    """Only the leader can do this; `leader_id` is the leader this node knows of, or None."""

    def __init__(self, leader_id: str | None) -> None:
        where = (
            f"ask {leader_id}" if leader_id is not None else "no leader is known yet: retry after an election"
        )
        super().__init__(f"this node isn't the leader; {where}")
        self.leader_id = leader_id


class NoLeader(ConsensusError):
    """A read needs a leader, and none is known; retry after the election that is under way."""

    def __init__(self) -> None:
        super().__init__("no leader is known, so nobody can confirm this read; retry after an election")


class TermNotOpened(ConsensusError):
    """The leader's OPENING entry of `term` must be in the log before any other proposal."""

    def __init__(self, term: int) -> None:
        super().__init__(f"term {term} isn't opened: propose its OPENING entry first")
        self.term = term


class TermAlreadyOpened(ConsensusError):
    """A second OPENING entry for `term` was proposed."""

    def __init__(self, term: int) -> None:
        super().__init__(f"term {term} already has its OPENING entry; propose ordinary entries")
        self.term = term


class ProposalTooLarge(ConsensusError):
    """One proposal of `size_bytes` is over `limit_bytes`: it can never be accepted."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"a proposal of {size_bytes} bytes is over the limit of {limit_bytes}; propose less at once"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class UncommittedFull(ConsensusError):
    """The uncommitted proposals of this leader would exceed `limit_bytes`; retry when some have committed."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"uncommitted proposals would exceed {limit_bytes} bytes; retry when some have committed"
        )
        self.limit_bytes = limit_bytes


class TransferInProgress(ConsensusError):
    """The leader is handing over to `to` and takes no proposals meanwhile."""

    def __init__(self, to: str) -> None:
        super().__init__(
            f"leadership is being handed over to {to}; retry there, or here if it doesn't succeed"
        )
        self.to = to


class TransferRefused(ConsensusError):
    """Leadership can't be handed to `to`, because of `reason`."""

    def __init__(self, to: str, reason: str) -> None:
        super().__init__(f"leadership can't be handed over to {to}: {reason}")
        self.to = to


class TooManyReads(ConsensusError):
    """`limit` reads already wait for confirmation; retry when some were answered."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} reads already wait to be confirmed; retry when some were answered")
        self.limit = limit


class TermUncommitted(ConsensusError):
    """The membership changes only after an entry of the leader's own `term` is committed."""

    def __init__(self, term: int) -> None:
        super().__init__(
            f"no entry of term {term} is committed yet, so the membership can't change; retry when one is"
        )
        self.term = term


class MembershipUncommitted(ConsensusError):
    """The membership changes one step at a time, and that of `index` isn't committed yet."""

    def __init__(self, index: int) -> None:
        super().__init__(
            f"the change of membership at {index} isn't committed yet; retry the next one when it is"
        )
        self.index = index


class IllegalMembership(ConsensusError):
    """A membership can't follow the one in force, because of `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the membership can't change like this: {reason}")
        self.reason = reason


class InvariantBroken(ConsensusError):
    """Something that Raft excludes has happened: the caller must stop this node and not go on."""
