"""What a benchmark measures with, and how its figures are told."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.bench.measure import Latency, VerifyCost, anonymous_bytes, cpu_seconds, latency, rss_bytes
from cli.bench.report import limit_per_second, to_document, to_lines
from cli.bench.run import Figures, Settings, Throughput


def test_percentiles_are_samples_at_their_nearest_rank() -> None:
    """Of 1 to 100, the 50th, 95th, 99th and the greatest."""
    samples = [float(number) for number in range(100, 0, -1)]
    assert latency(samples) == Latency(100, 50.0, 95.0, 99.0, 100.0)
    assert latency([7.0]) == Latency(1, 7.0, 7.0, 7.0, 7.0)


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=300))
def test_percentiles_never_fall(samples: list[float]) -> None:
    """p50 ≤ p95 ≤ p99 ≤ greatest, whatever was measured."""
    found = latency(samples)
    assert found.p50_ms <= found.p95_ms <= found.p99_ms <= found.max_ms


def test_nothing_measured_is_an_error() -> None:
    """No percentile is made up."""
    with pytest.raises(ValueError, match="no latency"):
        latency([])


def test_a_process_is_measured_while_it_lives() -> None:
    """This process has used processor time and holds memory; one that ended is gone."""
    assert cpu_seconds(os.getpid()) > 0
    assert rss_bytes(os.getpid()) > anonymous_bytes(os.getpid()) > 1_000_000
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    for measure in (cpu_seconds, rss_bytes, anonymous_bytes):
        with pytest.raises(ProcessLookupError, match=str(child.pid)):
            measure(child.pid)


def test_one_verification_takes_microseconds() -> None:
    """A bare verification is timed, with real keys: between a microsecond and ten milliseconds."""
    assert 1 < VerifyCost(3).sample_us() < 10_000


def test_the_limit_is_cores_over_verifications() -> None:
    """Two cores, three nodes, 50 microseconds: 13,333 payments a second."""
    assert limit_per_second(2, 3, 50.0) == pytest.approx(13_333.3, abs=0.1)


def figures() -> Figures:
    """A run in which one node was slower than the others."""
    sample = Latency(10, 1.0, 2.0, 3.0, 4.0)
    return Figures(
        settings=Settings(3, 10, 100, 10, 1, 5, 2),
        verify_us=(40.0, 60.0),
        one_at_a_time=sample,
        throughput=Throughput({"a-1": 3000.0, "b-1": 2000.0}, 0.05, {"a-1": 0.5, "load": 0.1}),
        half_load_rate=1000.0,
        half_load=sample,
        rss={"a-1": 100 * 2**20},
        reopen_seconds={"a-1": 1.234},
    )


def test_the_document_counts_the_slowest_node() -> None:
    """Payments a second and the share of the limit are the slowest node's; the settings are told."""
    document = to_document(figures(), cores=2)
    assert document["payments_per_second"] == 2000.0
    assert document["verify_us"] == 50.0
    assert document["limit_per_second"] == pytest.approx(13_333.3, abs=0.1)
    assert document["share_of_limit"] == 0.15
    assert document["rss_mb"] == {"a-1": 100.0}
    assert document["settings"]["cores"] == 2
    assert document["latency"]["p99_ms"] == 3.0


def test_lines_for_a_person_have_the_same_figures() -> None:
    """A name and a value a line, with units."""
    lines = dict(to_lines(figures(), cores=2))
    assert lines["payments a second (slowest node)"] == "2,000"
    assert lines["share of that limit"] == "15%"
    assert lines["memory"] == "a-1 100.0 MiB"
