"""Carrying requests to the nodes, one after another, until one serves or the deadline has come.

It must not know which requests there are. Deadlines are seconds of the event loop's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from wallet.answers import Answer, Problem
from wallet.endpoints import Endpoints
from wallet.errors import NotReachable, ProtocolError, WalletError
from wallet.replies import Refused, is_strange, judge, judge_batch, not_a_node, success
from wallet.submission import RETRY_STATUSES, Submission
from wallet.transport import Lost, NotSent, Reply, Request, Transport

Pause = Callable[[float], Awaitable[None]]
T = TypeVar("T")


MOST_NODE_TIMEOUT_MS = 60_000
"""The longest that a node lets a request wait."""
MOST_SUBMIT_ANSWER_BYTES = 8 * 1024 * 1024


def node_timeout_ms(budget_s: float) -> str:
    """How long a node is asked to wait at most, so that it answers before this side gives up on it."""
    return str(max(1, min(MOST_NODE_TIMEOUT_MS, int(budget_s * 800))))


class Delivery:
    """The retry loops over one set of nodes. `attempt_timeout_s` is how long one node may keep a request."""

    def __init__(
        self, endpoints: Endpoints, transport: Transport, pause: Pause, attempt_timeout_s: float
    ) -> None:
        self._endpoints = endpoints
        self._transport = transport
        self._pause = pause
        self._attempt_timeout_s = attempt_timeout_s

    async def read(
        self,
        request: Request,
        decode: Callable[[Reply], T],
        timeout_s: float,
        wait_for: frozenset[str] = frozenset(),
    ) -> T:
        """The decoded answer of the first node that has one; `wait_for` are types of problems that pass.

        Raises NotFound, Refused, NotReachable (nobody answered), ProtocolError (nobody spoke the protocol).
        """
        failure: WalletError = NotReachable("The time was over before a node was asked.", "Allow more time.")
        strangers: set[str] = set()
        async for url, budget_s in self._turns(timeout_s):
            try:
                reply = await self._transport.exchange(url, request, budget_s)
                value = success(reply, decode)
            except (NotSent, Lost) as error:
                failure = NotReachable(f"No node answered; last, {error}.", "Check the URLs and the network.")
            except Refused as error:
                if error.problem.status not in RETRY_STATUSES and error.problem.type not in wait_for:
                    self._endpoints.worked(url)
                    raise
                failure = error
                self._leave(reply, error.problem)
                continue
            except ProtocolError as error:
                strangers.add(url)
                if len(strangers) >= len(self._endpoints):
                    raise
                failure = error
            else:
                self._endpoints.worked(url)
                return value
            self._endpoints.failed(url, _now_s())
        raise failure

    async def submit(self, path: str, envelope: bytes, submission: Submission, timeout_s: float) -> Answer:
        """Submit until the outcome is known; at the deadline the answer is `unknown` or what came nearest.

        Raises ProtocolError where no node at all answered as one and nothing can have been taken.
        """
        strangers: set[str] = set()
        async for url, budget_s in self._turns(timeout_s):
            submission.attempts += 1
            reply = await self._post(url, path, envelope, submission.wait, budget_s, [submission])
            if reply is None:
                continue
            result, problem = judge(reply, submission)
            if result is not None:
                self._endpoints.worked(url)
                return result
            self._leave(reply, problem)
            self._check_strangers(strangers, reply, [submission])
        return submission.at_deadline()

    async def submit_batch(
        self,
        path: str,
        encode: Callable[[Sequence[int]], bytes],
        submissions: Sequence[Submission],
        timeout_s: float,
    ) -> list[Answer]:
        """As `submit`, for many: those not yet decided are submitted again, `encode` gives their bytes."""
        results: dict[int, Answer] = {}
        strangers: set[str] = set()
        async for url, budget_s in self._turns(timeout_s):
            open_places = [place for place in range(len(submissions)) if place not in results]
            open_ones = [submissions[place] for place in open_places]
            for submission in open_ones:
                submission.attempts += 1
            reply = await self._post(url, path, encode(open_places), open_ones[0].wait, budget_s, open_ones)
            if reply is None:
                continue
            judged, problem = judge_batch(reply, open_ones)
            results |= {place: answer for place, answer in zip(open_places, judged, strict=True) if answer}
            if len(results) == len(submissions):
                self._endpoints.worked(url)
                break
            self._leave(reply, problem)
            self._check_strangers(strangers, reply, open_ones)
        return [results.get(place) or its.at_deadline() for place, its in enumerate(submissions)]

    async def _post(
        self, url: str, path: str, body: bytes, wait: str, budget_s: float, submissions: Sequence[Submission]
    ) -> Reply | None:
        """One attempt; None when it brought no answer, which the submissions then know."""
        request = Request(
            method="POST",
            path=path,
            query={"wait": wait, "timeout_ms": node_timeout_ms(budget_s)},
            body=body,
            media_type="application/msgpack",
            most_bytes=MOST_SUBMIT_ANSWER_BYTES,
        )
        try:
            return await self._transport.exchange(url, request, budget_s)
        except NotSent:
            self._endpoints.failed(url, _now_s())
        except Lost:
            self._endpoints.failed(url, _now_s())
            for submission in submissions:
                submission.lost()
        return None

    async def _turns(self, timeout_s: float) -> AsyncIterator[tuple[str, float]]:
        """Whom to ask next, and for how long, until the deadline; pauses where nodes are to be left alone."""
        deadline_s = _now_s() + timeout_s
        while True:
            url, wait_s = self._endpoints.next(_now_s())
            if _now_s() + wait_s >= deadline_s:
                return
            if wait_s > 0:
                await self._pause(wait_s)
            budget_s = min(self._attempt_timeout_s, deadline_s - _now_s())
            if budget_s <= 0:
                return
            yield url, budget_s

    def _leave(self, reply: Reply, problem: Problem | None) -> None:
        """Turn to another node: the leader, where this one named it."""
        self._endpoints.failed(reply.url, _now_s(), reply.retry_after_s)
        if problem is not None and problem.leader_url is not None:
            self._endpoints.hint(problem.leader_url, reply.url)

    def _check_strangers(self, strangers: set[str], reply: Reply, submissions: Sequence[Submission]) -> None:
        if is_strange(reply):
            strangers.add(reply.url)
        if len(strangers) >= len(self._endpoints) and not any(its.may_be_taken for its in submissions):
            raise not_a_node(reply)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
