"""The node's numbers for Prometheus, in a registry of its own.

Where the node stands is read from the driver when somebody asks; only durations and sizes are
counted as they happen, on labels bound once. It changes nothing in the node.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.peers import LinkCounters
from node.results import DriverStatus

DURATION_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ROLES = ("follower", "pre_candidate", "candidate", "leader")


class Metrics:
    """All metrics of one node."""

    def __init__(self, certificate_days: Callable[[], Mapping[str, float]]) -> None:
        """`certificate_days` gives the days left of each certificate, by its name."""
        self.registry = CollectorRegistry()
        jobs = Histogram(
            "nostro_worker_job_seconds",
            "How long one job of a worker took: a chunk of signatures, a synced write, a block executed.",
            ["worker"],
            registry=self.registry,
            buckets=DURATION_BUCKETS_S,
        )
        self._jobs = {name: jobs.labels(name).observe for name in ("verify", "disk", "execute")}
        self._certificate_days = certificate_days

    def observe_job(self, worker: str) -> Callable[[float], None]:
        """What a worker calls with the seconds that each of its jobs took; safe from its own thread."""
        return self._jobs[worker]

    def watch(self, status: Callable[[], DriverStatus], links: LinkCounters) -> None:
        """From now on answer with what `status` says and `links` has counted."""
        self.registry.register(_NodeCollector(status, links, self._certificate_days))

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


class _NodeCollector(Collector):
    """Asks the node at each scrape, so that nothing is kept up to date that nobody reads."""

    def __init__(
        self,
        status: Callable[[], DriverStatus],
        links: LinkCounters,
        certificate_days: Callable[[], Mapping[str, float]],
    ) -> None:
        self._status = status
        self._links = links
        self._certificate_days = certificate_days

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        yield _heights(status)
        yield _gauge("nostro_term", "Raft's current term.", status.term)
        yield _role(status)
        yield _gauge(
            "nostro_has_quorum", "1 while a majority is known to be behind a leader.", status.has_quorum
        )
        lag = status.executed_height - status.certified_height
        yield _gauge("nostro_certificate_lag_blocks", "Executed blocks without a certificate here.", lag)
        yield _gauge(
            "nostro_block_time_seconds", "Time of the newest executed block.", status.executed_time_ms / 1_000
        )
        yield _gauge("nostro_mempool_transactions", "Transactions that wait for a block.", status.pending)
        yield _gauge("nostro_mempool_bytes", "Bytes of the transactions that wait.", status.pending_bytes)
        yield from _membership(status)
        yield _peers(status)
        missing = status.missing_rules
        yield _gauge(
            "nostro_missing_rules_from_height",
            "The height from which this program lacks the rules decided on; 0 where it lacks none.",
            missing[0] if missing is not None else 0,
        )
        for name, value in sorted(status.counters.items()):
            yield CounterMetricFamily(
                f"nostro_{name}", f"Count of {name.replace('_', ' ')} since the start.", value
            )
        yield from _link_metrics(self._links)
        yield _certificate_days(self._certificate_days())
        yield _gauge("nostro_peak_memory_bytes", "Peak resident memory.", _peak_memory_bytes())


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, float(value))


def _heights(status: DriverStatus) -> Metric:
    family = GaugeMetricFamily("nostro_height", "Block heights, by how far they have come.", labels=["stage"])
    for stage, height in (
        ("stored", status.last_height),
        ("committed", status.committed_height),
        ("executed", status.executed_height),
        ("certified", status.certified_height),
    ):
        family.add_metric([stage], height)
    return family


def _role(status: DriverStatus) -> Metric:
    family = GaugeMetricFamily("nostro_role", "1 for the role that the node has in Raft.", labels=["role"])
    for role in ROLES:
        family.add_metric([role], 1.0 if status.role == role else 0.0)
    return family


def _membership(status: DriverStatus) -> Iterable[Metric]:
    membership = status.membership
    yield _gauge("nostro_membership_version", "How often the membership has changed.", membership.version)
    yield _gauge(
        "nostro_membership_pending", "1 while a decision is not carried out yet.", membership.is_pending
    )
    yield _gauge("nostro_retired", "1 once the members let this node go.", membership.is_let_go)
    family = GaugeMetricFamily("nostro_membership_nodes", "Nodes, by what they are.", labels=["part"])
    for part, nodes in (
        ("voter", membership.voters),
        ("outgoing", membership.outgoing),
        ("learner", membership.learners),
    ):
        family.add_metric([part], len(nodes))
    yield family


def _peers(status: DriverStatus) -> Metric:
    family = GaugeMetricFamily("nostro_peer_connected", "1 while a link to the peer stands.", labels=["peer"])
    for peer in status.peers:
        family.add_metric([peer.node_id], float(peer.connected))
    return family


def _link_metrics(links: LinkCounters) -> Iterable[Metric]:
    yield CounterMetricFamily("nostro_peer_refused", "Connections that were refused.", links.refused)
    yield CounterMetricFamily(
        "nostro_peer_dropped_messages", "Messages dropped from full queues.", links.dropped_messages
    )
    yield CounterMetricFamily("nostro_peer_sent_bytes", "Bytes sent to peers.", links.sent_bytes)
    yield CounterMetricFamily(
        "nostro_peer_received_bytes", "Bytes received from peers.", links.received_bytes
    )


def _certificate_days(days_left: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(
        "nostro_certificate_days_left", "Days until a TLS certificate expires.", labels=["certificate"]
    )
    for name, days in days_left.items():
        family.add_metric([name], days)
    return family


def _peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
