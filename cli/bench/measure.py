"""What a benchmark measures with: percentiles, processor time and memory by process, one verification.

Knows Linux's /proc; it must not know networks or payments.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.keys import public_bytes, sign, tagged_hash, verify

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
VERIFY_ROUNDS = 2_000


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of a sample, in milliseconds (nearest rank)."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def latency(samples_ms: Sequence[float]) -> Latency:
    """The percentiles of one sample or more. Raises ValueError for none."""
    if not samples_ms:
        raise ValueError("no latency was measured")
    ordered = sorted(samples_ms)

    def rank(share: float) -> float:
        return round(ordered[ceil(share * len(ordered)) - 1], 3)

    return Latency(len(ordered), rank(0.5), rank(0.95), rank(0.99), round(ordered[-1], 3))


def cpu_seconds(pid: int) -> float:
    """Processor seconds, user and system, of a process. Raises ProcessLookupError where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} is gone") from error
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def rss_bytes(pid: int) -> int:
    """Memory that a process holds (resident set). Raises ProcessLookupError where it is gone."""
    return _status_bytes(pid, "VmRSS:")


def anonymous_bytes(pid: int) -> int:
    """What of the resident set is the process's own, without pages of files. Raises as `rss_bytes` does."""
    return _status_bytes(pid, "RssAnon:")


def _status_bytes(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} is gone") from error
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


class VerifyCost:
    """One signature by each of a number of keys, verified round after round to time a bare verification."""

    def __init__(self, keys: int) -> None:
        """Make the keys and sign once with each."""
        self._checks = [_signed(number) for number in range(keys)]
        for check in self._checks:
            verify(*check)

    def sample_us(self) -> float:
        """Microseconds of one verification, on one thread, over `VERIFY_ROUNDS` of them."""
        start = time.perf_counter()
        for number in range(VERIFY_ROUNDS):
            verify(*self._checks[number % len(self._checks)])
        return (time.perf_counter() - start) / VERIFY_ROUNDS * 1e6


def _signed(number: int) -> tuple[bytes, bytes, bytes]:
    key = ec.derive_private_key(number + 1, ec.SECP256R1())
    digest = tagged_hash("bench", number.to_bytes(8))
    return public_bytes(key), digest, sign(key, digest)
