"""The simulated cluster's own means: what it checks would be seen, and what it saves costs no strictness."""

import pytest

from ledger.keys import BadSignature, public_bytes, sign, verify
from tests.simulation.cluster.bank import key_of
from tests.simulation.cluster.history import Balances
from tests.simulation.cluster.profile import CAMPAIGN, HARSH, PROFILES
from tests.simulation.cluster.reads import Answer
from tests.simulation.cluster.signatures import checked_once
from tests.simulation.cluster.world import MAX_STEPS, World
from tests.simulation.report import Violation

ACCOUNT = b"account"
BALANCES = Balances({ACCOUNT: [3, 7]}, {ACCOUNT: [100, 40]})


@pytest.mark.parametrize(("height", "balance"), [(1, 0), (2, 0), (3, 100), (6, 100), (7, 40), (99, 40)])
def test_balances_hold_from_the_height_of_their_change_on(height: int, balance: int) -> None:
    """Before its first change an account holds nothing."""
    assert BALANCES.at(ACCOUNT, height) == balance


@pytest.mark.parametrize(("height", "balance"), [(6, 40), (7, 100), (2, 100)])
def test_a_read_that_the_chain_does_not_give_is_a_violation(height: int, balance: int) -> None:
    """A balance of another height than the one it was read at is seen."""
    with pytest.raises(Violation, match="the chain gives"):
        BALANCES.check_answers([Answer("n0", ACCOUNT, height, balance)])


def test_signatures_checked_once_are_still_checked() -> None:
    """A good signature is good again; one by another key, or over another digest, is refused each time."""
    key, digest, other = key_of("one"), bytes(32), bytes([1]) * 32
    public, signature = public_bytes(key), sign(key, digest)
    with checked_once():
        for _ in range(2):
            verify(public, digest, signature)
            for wrong in ((public, other, signature), (public_bytes(key_of("two")), digest, signature)):
                with pytest.raises(BadSignature):
                    verify(*wrong)
    with pytest.raises(BadSignature):
        verify(public, other, signature)


def test_nodes_that_never_come_to_rest_are_a_violation() -> None:
    """An event that makes another at the same moment, for ever, doesn't hang the simulator."""
    world = World(1)

    def again() -> None:
        world.schedule(0, again)

    again()
    for _ in range(MAX_STEPS):
        world.step()
    with pytest.raises(Violation, match="still busy"):
        world.step()


def test_every_kind_of_fault_of_the_mixture_has_a_profile_of_its_own() -> None:
    """What all together do must be seen to be done by each alone."""
    alone = {nemesis.name for name in CAMPAIGN if name != HARSH.name for nemesis in PROFILES[name].nemeses}
    assert {nemesis.name for nemesis in HARSH.nemeses} <= alone
