"""Blocks, certificates and introductions given to nodes that lack them, over the peers' port.

It must not know who may ask (the peers' port does), nor why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from ledger.certificate import decode_certificate
from ledger.codec import encode
from ledger.handovers import HandoverMissing, handovers_below
from ledger.registry import Registry
from node.halting import MUST_STOP
from node.introductions import VOTERS_PATH, introduce
from node.repair import BLOCK_PATH, PROOF_PATH, CertifiedTip
from node.store import Store

MAX_DIGITS = 18
"""Heights have no more; whatever else is asked for isn't there."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RepairServer:
    """What one running node holds that others may have lost."""

    def __init__(
        self,
        store: Store,
        executed: Callable[[], int],
        registry: Callable[[], Registry],
        damaged: Callable[[BaseException], None],
    ) -> None:
        """`executed` and `registry` give the executed height, and the registry after it; `damaged` hears of
        damage that is met here.
        """
        self._store = store
        self._executed = executed
        self._registry = registry
        self._damaged = damaged
        self._introduction: tuple[tuple[object, ...], bytes] | None = None

    def routes(self) -> dict[str, Handler]:
        """What is to be answered at which path."""
        return {
            BLOCK_PATH: self._answer_block,
            PROOF_PATH: self._answer_proof,
            VOTERS_PATH: self._answer_voters,
        }

    def block(self, height: int) -> bytes | None:
        """An executed block, if its body is held; raises CorruptRecord."""
        entry = self._store.entry(height) if height <= self._executed() else None
        return None if entry is None else entry.data

    def proof(self, height: int) -> bytes | None:
        """The certificate of that height or the next one held, else the highest; None where there is none.

        Raises CorruptRecord.
        """
        store = self._store
        found = store.certificate_from(height) or store.certificate_from(store.last_certified())
        if found is None:
            return None
        try:
            handovers = handovers_below(self._registry(), found[0], store.certificate)
        except HandoverMissing:
            return None
        return encode(CertifiedTip(handovers, decode_certificate(found[1])))

    def voters(self) -> bytes | None:
        """Who certifies now, with what proves it; None where it can't be. Raises CorruptRecord.

        It is kept until anything in it changes: after many hand-overs it is long, and anybody may ask often.
        """
        registry = self._registry()
        source = registry.certifiers, registry.recoveries, registry.nodes
        kept = self._introduction
        if kept is not None and all(new is old for new, old in zip(source, kept[0], strict=True)):
            return kept[1]
        raw = introduce(registry, self._executed(), self._store.certificate)
        self._introduction = None if raw is None else (source, raw)
        return raw

    async def _answer_block(self, request: web.Request) -> web.StreamResponse:
        return self._answered_at(request, self.block)

    async def _answer_proof(self, request: web.Request) -> web.StreamResponse:
        return self._answered_at(request, self.proof)

    async def _answer_voters(self, request: web.Request) -> web.StreamResponse:
        return self._answered(self.voters)

    def _answered_at(self, request: web.Request, find: Callable[[int], bytes | None]) -> web.StreamResponse:
        text = request.match_info["height"]
        is_height = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
        return self._answered(lambda: find(int(text)) if is_height else None)

    def _answered(self, find: Callable[[], bytes | None]) -> web.StreamResponse:
        try:
            body = find()
        except MUST_STOP as error:
            self._damaged(error)
            return web.Response(status=503, text="This node's own store is damaged.\n")
        if body is None:
            return web.Response(status=404, text="That is not held here.\n")
        return web.Response(body=body)
