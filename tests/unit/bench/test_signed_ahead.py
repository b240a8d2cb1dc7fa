"""Payments signed ahead of the load: all of them, in order, and never many more than were fetched."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cli.bench.load import Load
from cli.settle.plan import Customer
from cli.settle.signing import BankKeys, Desk
from ledger.envelope import EnvelopeLimits, decode_envelope
from ledger.keys import account_id
from tests.campaigns import signed_ahead
from tests.campaigns.signed_ahead import JOB_PAYMENTS, JOBS_AHEAD, SignedAhead

START_MS = 1_000_000
T = TypeVar("T")


class Here(Executor):
    """Does the work at once, in this process, and counts the jobs."""

    def __init__(self) -> None:
        self.jobs = 0

    def submit(self, work: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        """See Executor."""
        self.jobs += 1
        done: Future[T] = Future()
        done.set_result(work(*args, **kwargs))
        return done


class OneBank:
    """The keys of every bank."""

    def __init__(self) -> None:
        self._keys = BankKeys(
            ec.derive_private_key(1, ec.SECP256R1()), ec.derive_private_key(2, ec.SECP256R1())
        )

    def bank(self, name: str) -> BankKeys:
        """See Keys."""
        return self._keys

    def issuance(self) -> ec.EllipticCurvePrivateKey:
        """See Keys."""
        return self._keys.teller


@pytest.fixture(autouse=True)
def load() -> Load:
    """Three customers in a ring, in the place where the signing process has its load."""
    customers = tuple(
        Customer("alpha", f"bench {number}", bytes(16), account_id("alpha", "EUR", bytes([number] * 16)))
        for number in range(3)
    )
    found = Load(Desk(bytes(32), "EUR", bytes(21), OneBank(), START_MS), customers, START_MS)
    signed_ahead._begin(found)
    return found


def fetched(first: int, groups: int, size: int, most: int | None = None) -> tuple[list[list[bytes]], int]:
    """So many groups of them all, and how many jobs were asked for by then."""

    async def run() -> tuple[list[list[bytes]], int]:
        pool, found = Here(), list[list[bytes]]()
        ahead = SignedAhead(pool, first, groups, size)
        await ahead.filled()
        async for group in ahead:
            found.append(group)
            if len(found) == most:
                break
        return found, pool.jobs

    return asyncio.run(run())


def test_every_payment_is_signed_once_and_in_order() -> None:
    """The ids begin with the numbers, whatever part of a job the last one is."""
    groups, jobs = fetched(first=7, groups=45, size=25)
    assert jobs == 3
    assert {len(group) for group in groups} == {25}
    payloads = [decode_envelope(raw, EnvelopeLimits(4_096, 4)) for group in groups for raw in group]
    assert [int.from_bytes(found.payload.tx_id[:6], "big") - START_MS for found in payloads] == list(
        range(7, 7 + 45 * 25)
    )


def test_so_many_jobs_are_ahead_and_no_more() -> None:
    """Before the first is fetched, and each that is fetched asks for one."""
    size = JOB_PAYMENTS // 2
    assert fetched(0, 100, size, most=1)[1] == JOBS_AHEAD + 1
    assert fetched(0, 100, size, most=3)[1] == JOBS_AHEAD + 2


def test_a_request_larger_than_a_job_is_signed_alone() -> None:
    """Each is a job then."""
    groups, jobs = fetched(0, 2, JOB_PAYMENTS + 1)
    assert [len(group) for group in groups] == [JOB_PAYMENTS + 1] * 2
    assert jobs == 2
