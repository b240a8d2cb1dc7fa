"""Payments of a load, signed by a process of its own, a bounded number of them ahead of their sending.

So a load of millions is never held in memory, and signing takes no time from the process that measures. It
must not know when they are sent, nor what is answered.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from cli.bench.load import Load
from cli.settle.network_keys import NetworkKeys
from cli.settle.signing import Desk
from node.provision import ProvisionedNetwork

JOB_PAYMENTS = 500
"""Signed at a time, in about 50 ms; or one request's, if that has more."""
JOBS_AHEAD = 8
"""Jobs that are asked for or done, and not fetched yet: some 4,000 payments, less than 2 MB."""

Group = list[bytes]
"""The envelopes of one request."""

_load: Load
"""In the signing process: whose payments it signs."""


@contextmanager
def signing_process(
    load: Load, network: ProvisionedNetwork, issuer: str, passphrase: str
) -> Iterator[Executor]:
    """A process that signs this load's payments, for `signed_ahead`. It opens the keystores anew: opened keys
    can't be sent to it.
    """
    desk, keys = load.desk, NetworkKeys(network, issuer, passphrase)
    locked = Desk(desk.network_id, desk.asset, desk.issuance, keys, desk.now_ms)
    its = Load(locked, load.customers, load.start_ms)
    # Not forked: this process has threads and connections by now.
    pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (its,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class SignedAhead:
    """The groups of `size` payments each, from payment number `first` on, in order; iterate once."""

    def __init__(self, pool: Executor, first: int, groups: int, size: int) -> None:
        """Begins to sign at once, on the running event loop."""
        self._pool = pool
        self._next = first
        self._left = groups
        self._size = size
        self._jobs: deque[asyncio.Future[list[Group]]] = deque()
        for _ in range(JOBS_AHEAD):
            self._ask()

    async def filled(self) -> None:
        """Return once as much is signed as is kept ahead."""
        await asyncio.wait(self._jobs)

    async def __aiter__(self) -> AsyncIterator[Group]:
        while self._jobs:
            groups = await self._jobs.popleft()
            self._ask()
            for group in groups:
                yield group

    def _ask(self) -> None:
        """One job more, if anything is left."""
        groups = min(self._left, max(1, JOB_PAYMENTS // self._size))
        if groups:
            loop = asyncio.get_running_loop()
            self._jobs.append(loop.run_in_executor(self._pool, _sign, self._next, groups, self._size))
            self._next += groups * self._size
            self._left -= groups


def _begin(load: Load) -> None:
    global _load
    _load = load


def _sign(first: int, groups: int, size: int) -> list[Group]:
    envelopes = _load.envelopes(first, groups * size)
    return [envelopes[at : at + size] for at in range(0, len(envelopes), size)]
