"""What a campaign's seeds came to, kept in a file so that it can go on where it was interrupted.

A first line names the simulator and the code that ran, then comes a line of JSON for each seed that passed:
seeds of other code are no evidence for this one. It must not know how seeds are run.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from tests.simulation.report import Report

ROOT = Path(__file__).resolve().parents[2]
CODE = ("consensus", "ledger", "node", "tests/simulation")
"""What decides a seed's course, below the root of the repository."""

S = TypeVar("S", bound=msgspec.Struct)


class UnusableResults(Exception):
    """A results file that can't be gone on with; the text says why and what to do."""


class Head(msgspec.Struct, frozen=True):
    """Whose seeds a file holds."""

    simulator: str
    code: str


class Passed(msgspec.Struct, frozen=True):
    """A seed that passed, and the processor time it took in seconds."""

    profile: str
    seed: int
    steps: int
    virtual_ms: float
    cpu_s: float
    fingerprint: str
    counts: dict[str, int]


def passed(report: Report, cpu_s: float) -> Passed:
    """What is kept of a report."""
    counts = dict(report.counts)
    return Passed(
        report.profile, report.seed, report.steps, report.virtual_ms, cpu_s, report.fingerprint, counts
    )


def code_version(root: Path = ROOT) -> str:
    """A digest of all the Python text that decides what a seed does."""
    digest = hashlib.sha256()
    for part in CODE:
        for path in sorted((root / part).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\x00")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class ResultsFile:
    """An append-only file of seeds that passed."""

    def __init__(self, path: Path, head: Head) -> None:
        """Go on with the file at `path`, or begin it; half a line at its end was an interrupted write.

        Raises UnusableResults if it holds something else, or seeds of other code, and OSError.
        """
        raw = path.read_bytes() if path.exists() else b""
        whole = raw[: raw.rfind(b"\n") + 1]
        lines = whole.splitlines()
        if lines:
            _check_head(path, lines[0], head)
        self.passed = [_decode(path, number, line, Passed) for number, line in enumerate(lines[1:], 2)]
        self._file: BinaryIO = path.open("r+b" if raw else "wb")
        self._file.truncate(len(whole))
        self._file.seek(len(whole))
        if not lines:
            self._write(head)

    def add(self, result: Passed) -> None:
        """Keep one more."""
        self._write(result)
        self.passed.append(result)

    def close(self) -> None:
        """No more is added."""
        self._file.close()

    def _write(self, line: msgspec.Struct) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()


def _check_head(path: Path, line: bytes, expected: Head) -> None:
    head = _decode(path, 1, line, Head)
    if head != expected:
        raise UnusableResults(
            f"{path} holds seeds of {head.simulator} under the code {head.code}, this is "
            f"{expected.simulator} under {expected.code}: name another file to begin anew"
        )


def _decode(path: Path, number: int, line: bytes, kind: type[S]) -> S:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError as error:
        raise UnusableResults(
            f"{path}, line {number}: no result of a campaign ({error}); name another file to begin anew"
        ) from error
