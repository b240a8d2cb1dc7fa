"""Which membership is in force along a log, and which step may follow it (thesis 4.1, 4.2.1, 4.3).

It must not know roles, peers, or why a membership changes. A node acts on the newest membership in its log,
committed or not, so a cut takes back what it cut off.
"""

import msgspec

from consensus.errors import IllegalMembership, InvariantBroken
from consensus.messages import Index, Membership


class MembershipAt(msgspec.Struct, frozen=True):
    """The membership in force from `index` on, which is the index of the entry that says so."""

    index: Index
    membership: Membership


class Memberships:
    """The memberships of one log that still matter: those of its unapplied end, and the one before it."""

    def __init__(self, found: tuple[MembershipAt, ...]) -> None:
        """Begin with what is stored, ascending, at least one; InvariantBroken otherwise."""
        indexes = [each.index for each in found]
        if not indexes or indexes != sorted(set(indexes)):
            raise InvariantBroken(f"the stored memberships are at {indexes}: not one, or not ascending")
        self._known = list(found)

    @property
    def newest(self) -> MembershipAt:
        """What the end of the log says."""
        return self._known[-1]

    @property
    def oldest(self) -> MembershipAt:
        """The first that is remembered."""
        return self._known[0]

    def at(self, index: int) -> Membership:
        """The membership in force at `index`; InvariantBroken before the oldest one remembered."""
        for known in reversed(self._known):
            if known.index <= index:
                return known.membership
        raise InvariantBroken(f"the membership at {index} is no longer known, only from {self.oldest.index}")

    def add(self, changes: list[MembershipAt]) -> None:
        """Entries that change the membership were appended."""
        self._known += changes

    def cut(self, index: int) -> None:
        """The entries from `index` on were cut off, and what they said with them."""
        self._known = [known for known in self._known if known.index < index]

    def restart(self, index: int, membership: Membership) -> None:
        """The log begins again after a snapshot: nothing that was in it holds any more."""
        self._known = [MembershipAt(index, membership)]


def check_step(current: Membership, proposed: Membership) -> None:
    """Raise IllegalMembership unless `proposed` may directly follow `current`.

    Learners come and go; voters only through a joint membership, which is left before anything else
    changes. A new voter was a learner before, and a voter that is let go becomes one, so that it still
    receives the entry that lets it go.
    """
    _check_form(proposed)
    if proposed == current:
        raise IllegalMembership("it is the membership in force already")
    if current.outgoing:
        _check_leaving(current, proposed)
    elif proposed.outgoing:
        _check_entering(current, proposed)
    elif set(proposed.voters) != set(current.voters):
        raise IllegalMembership("voters change only through a joint membership")


def _check_form(membership: Membership) -> None:
    for nodes in (membership.voters, membership.outgoing, membership.learners):
        if len(set(nodes)) != len(nodes):
            raise IllegalMembership(f"a node stands in it twice: {', '.join(nodes)}")
    if not membership.voters:
        raise IllegalMembership("no voter would be left")
    if both := [node for node in membership.learners if membership.is_voter(node)]:
        raise IllegalMembership(f"{', '.join(both)} would be voter and learner at once")


def _check_entering(current: Membership, proposed: Membership) -> None:
    if set(proposed.outgoing) != set(current.voters):
        raise IllegalMembership("the outgoing voters of a joint membership are those in force before it")
    if unprepared := set(proposed.voters) - set(current.voters) - set(current.learners):
        raise IllegalMembership(f"{', '.join(sorted(unprepared))} must be a learner first")
    _check_all_stay(current, proposed)


def _check_leaving(current: Membership, proposed: Membership) -> None:
    if proposed.outgoing or set(proposed.voters) != set(current.voters):
        raise IllegalMembership(
            "a joint membership is left first: with the same voters, and no outgoing ones"
        )
    _check_all_stay(current, proposed)


def _check_all_stay(current: Membership, proposed: Membership) -> None:
    if set(current.all_nodes()) != set(proposed.all_nodes()):
        raise IllegalMembership("nobody comes or goes with this step, but by becoming a learner before it")


def encode_membership(membership: Membership) -> bytes:
    """A plain form as an entry's data, for callers whose entries have none of their own."""
    return msgspec.msgpack.encode(membership)


def decode_membership(data: bytes) -> Membership:
    """The membership in `data`, as `encode_membership` writes it; InvariantBroken for anything else."""
    try:
        return msgspec.msgpack.decode(data, type=Membership)
    except msgspec.MsgspecError as error:
        raise InvariantBroken(f"a membership entry of {len(data)} bytes is none: {error}") from error
