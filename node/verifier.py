"""Signatures checked beside the loop, in chunks, and each envelope's only once: whoever checked it, it is
remembered.

It must not know what is done with an envelope, nor blocks or pools.
"""

from collections.abc import Callable, Mapping, Sequence

from ledger.envelope import Envelope, verify_envelope
from ledger.keys import BadSignature
from node.ports import Worker

MAX_VERIFIED = 60_000
"""Envelopes remembered as verified: above what the pool and the log's unexecuted end hold together."""
CHUNK_ENVELOPES = 128
"""Envelopes a job, so that a block to be checked waits for no more than a few milliseconds of them."""


class Verified:
    """The envelopes whose signatures this process has found good, by leaf hash; the oldest are forgotten
    first.

    Filled on the loop; the verify worker may look up in it.
    """

    def __init__(self, limit: int = MAX_VERIFIED) -> None:
        """Nothing verified; at most `limit` envelopes are kept."""
        self._envelopes: dict[bytes, Envelope] = {}
        self._limit = limit

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._envelopes)

    @property
    def envelopes(self) -> Mapping[bytes, Envelope]:
        """All that are remembered, by leaf hash."""
        return self._envelopes

    def get(self, leaf_hash: bytes) -> Envelope | None:
        """The verified envelope with these very bytes, if remembered."""
        return self._envelopes.get(leaf_hash)

    def add(self, envelope: Envelope) -> None:
        """Remember one whose signatures are good."""
        envelopes = self._envelopes
        envelopes[envelope.leaf_hash] = envelope
        if len(envelopes) > self._limit:
            del envelopes[next(iter(envelopes))]

    def forget(self, leaf_hash: bytes) -> None:
        """An envelope that has been executed isn't looked up any more."""
        self._envelopes.pop(leaf_hash, None)


Decided = Callable[[Envelope, str | None], None]
"""Told of an envelope that was to be verified: the reason why it is bad, or None."""


class Verifier:
    """The queue of single envelopes before the verify worker."""

    def __init__(
        self,
        worker: Worker,
        verified: Verified,
        failed: Callable[[BaseException], None],
        chunk_done: Callable[[], None],
    ) -> None:
        """`chunk_done` is called after the decisions of each chunk, `failed` if a job breaks."""
        self._worker = worker
        self._verified = verified
        self._failed = failed
        self._chunk_done = chunk_done
        self._queue: list[Envelope] = []
        self._waiting: dict[bytes, list[Decided]] = {}
        self._told_count = 0
        self._busy = False

    def __len__(self) -> int:
        """How many wait to be told, several of them perhaps of one envelope."""
        return self._told_count

    def has_leaf(self, leaf_hash: bytes) -> bool:
        """Whether the envelope of exactly these bytes waits or is being verified."""
        return leaf_hash in self._waiting

    def verify(self, envelope: Envelope, decided: Decided) -> None:
        """Call `decided` when the envelope's signatures are known to be good or bad: at once if they are
        remembered as good, and together with those who already wait for the same bytes.
        """
        leaf = envelope.leaf_hash
        if self._verified.get(leaf) is not None:
            decided(envelope, None)
            return
        self._told_count += 1
        waiting = self._waiting.get(leaf)
        if waiting is not None:
            waiting.append(decided)
            return
        self._waiting[leaf] = [decided]
        self._queue.append(envelope)
        if not self._busy:
            self._next_chunk()

    def _next_chunk(self) -> None:
        chunk = self._queue[:CHUNK_ENVELOPES]
        self._busy = bool(chunk)
        if chunk:
            self._worker.submit(
                lambda: verify_all(chunk), lambda reasons: self._decide(chunk, reasons), self._failed
            )

    def _decide(self, chunk: list[Envelope], reasons: Sequence[str | None]) -> None:
        del self._queue[: len(chunk)]
        self._next_chunk()
        for envelope, reason in zip(chunk, reasons, strict=True):
            if reason is None:
                self._verified.add(envelope)
            waiting = self._waiting.pop(envelope.leaf_hash)
            self._told_count -= len(waiting)
            for decided in waiting:
                decided(envelope, reason)
        self._chunk_done()


def verify_all(envelopes: Sequence[Envelope]) -> list[str | None]:
    """Why each envelope's signatures are bad; None for a good one. Runs on the verify worker."""
    return [reason_against(envelope) for envelope in envelopes]


def reason_against(envelope: Envelope) -> str | None:
    """Why the envelope's signatures are bad, or None."""
    try:
        verify_envelope(envelope)
    except BadSignature as error:
        return str(error)
    return None
