"""Each signature of a simulated network checked once, though every node of it checks each.

It must not know what is signed. Verifying is a pure function of key, digest and signature, and the simulated
nodes share one process: what OpenSSL has found good once in a seed is not computed again. It is most of what
a seed would otherwise spend its time on. Bad signatures are never remembered.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import ec

from ledger import keys


class _RememberingKey:
    """A public key that knows which signatures under it were found good."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key
        self._good: set[tuple[bytes, bytes]] = set()

    def verify(self, signature: bytes, digest: bytes, algorithm: ec.EllipticCurveSignatureAlgorithm) -> None:
        """As the key's own; raises InvalidSignature."""
        if (signature, digest) not in self._good:
            self._key.verify(signature, digest, algorithm)
            self._good.add((signature, digest))


@contextmanager
def checked_once() -> Iterator[None]:
    """While this lasts, `ledger.keys.verify` asks OpenSSL once for each signature."""
    decode = keys._public_key
    known: dict[bytes, _RememberingKey] = {}

    def remembering(raw: bytes) -> _RememberingKey:
        if raw not in known:
            known[raw] = _RememberingKey(decode(raw))
        return known[raw]

    keys._public_key = remembering  # type: ignore[assignment]  # has the one method that verify calls
    try:
        yield
    finally:
        keys._public_key = decode
