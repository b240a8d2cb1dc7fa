"""Every limit of the HTTP face, by name: sizes, times, counts.

Only numbers stand here, and what they bound; api.guard, api.protocol and the routes enforce them. Must not
know of routes or requests.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger.parameters import PARAMETER_RANGES

MAX_BATCH_ENVELOPES: Final = 1_000
"""Envelopes in one batch."""

MIN_TIMEOUT_MS: Final = 1
DEFAULT_TIMEOUT_MS: Final = 10_000
MAX_TIMEOUT_MS: Final = 60_000
"""How long a request may wait: for a height, for a quorum, for an outcome (milliseconds)."""

MIN_PAGE: Final = 1
DEFAULT_PAGE: Final = 20
MAX_PAGE: Final = 200
"""Items on one page of a list."""

MAX_HEIGHT: Final = 2**63 - 1
"""The greatest height that the formats can hold."""
MAX_PLACE_HEIGHT: Final = 2**48 - 1
MAX_PLACE_INDEX: Final = 2**16 - 1
"""The greatest place of a transaction: 6 and 2 bytes in the rows that hold it."""


BODY_SLACK_BYTES: Final = 4_096
"""What a body may have beyond the largest envelope that members can allow: so that one which is a little too
large is told by its outcome."""
MAX_ENVELOPE_BODY_BYTES: Final = PARAMETER_RANGES["envelope_bytes"][1] + BODY_SLACK_BYTES
JSON_GROWTH: Final = 4
"""How many times longer the human form of an envelope may be: hex alone doubles it, names and quotes do the
rest."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection and one request may cost; bytes and milliseconds. A node may be run with others."""

    envelope_bytes: int = MAX_ENVELOPE_BODY_BYTES
    """The body of a submission as MessagePack."""
    json_bytes: int = JSON_GROWTH * MAX_ENVELOPE_BODY_BYTES
    """The body of a submission as JSON."""
    batch_bytes: int = 8_388_608
    """The body of a batch, in either form."""
    discard_bytes: int = 16_777_216
    """What is still read, and dropped, of a body that is too large, so that its sender hears the answer."""
    head_bytes: int = 16_384
    """A request's line and headers together."""
    head_timeout_ms: int = 10_000
    """From a connection's first byte of a request (or from its start) until the headers are complete."""
    body_timeout_ms: int = 10_000
    """From the end of the headers until the body is complete."""
    write_timeout_ms: int = 60_000
    """For a client to take what was written to it, once it has stopped taking it."""
    idle_timeout_ms: int = 30_000
    """A connection kept alive between requests."""
    connections: int = 1_024
    """Connections and requests at once; beyond them the node answers 503."""
    backlog: int = 512
    """Connections that the system holds before the node takes them."""


DEFAULT_LIMITS: Final = Limits()
