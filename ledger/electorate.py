"""The electorate: the members and their admin policies, which decide together; seals name it by its hash.

So who knows a certified seal can judge a decision of the members without the state it was taken on. It must
not know what is decided. Layout: formats.md, section 7.
"""

from collections.abc import Collection

from ledger.codec import Record, encode
from ledger.fields import MemberId
from ledger.keys import tagged_hash
from ledger.policy import Policy, is_met


class Elector(Record, frozen=True):
    """A member, and what its signers must meet for it to be in favour."""

    member: MemberId
    admin_policy: Policy


class Electorate(Record, frozen=True):
    """All members, ascending by id."""

    members: tuple[Elector, ...]

    def has_majority(self, signers: Collection[bytes]) -> bool:
        """Whether these keys meet the admin policies of more than half of the members."""
        in_favour = sum(is_met(elector.admin_policy, signers) for elector in self.members)
        return in_favour * 2 > len(self.members)


def electorate_hash(electorate: Electorate) -> bytes:
    """The hash that the seal of a height gives of the electorate after it."""
    return tagged_hash("electorate", encode(electorate))
