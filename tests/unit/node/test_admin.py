"""The operators' port over real TLS: who may ask, and what is answered; and the metrics that it shows."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ledger.handovers import HandoverMissing
from node import tls
from node.admin import PRUNE_PATH, REPORT_PATH, SNAPSHOT_PATH, TRANSFER_PATH, AdminQuestions, AdminServer
from node.handover import HandoverRefused
from node.metrics import Metrics
from node.peers import LinkCounters
from node.report import NodeReport, PeerReport
from node.results import DriverStatus, MembershipStatus, PeerView

NETWORK = "testnet"
NOW = datetime.datetime.now(datetime.UTC)
CA = tls.create_ca(NETWORK, NOW)


def files(folder: Path, name: str, dns: str) -> tls.TlsFiles:
    issued = tls.issue(CA, name, [dns], NOW)
    made = tls.TlsFiles(folder / f"{name}.ca", folder / f"{name}.pem", folder / f"{name}.key")
    for path, data in zip(made, (CA.certificate, issued.certificate, issued.key), strict=True):
        path.write_bytes(data)
    return made


REPORT = NodeReport(
    node="alpha-1",
    member="alpha",
    network=NETWORK,
    version="1",
    started_ms=1,
    time_ms=2,
    role="leader",
    term=3,
    leader="alpha-1",
    stored_height=12,
    committed_height=11,
    executed_height=10,
    certified_height=8,
    not_ready=None,
    voters=("alpha-1", "bravo-1"),
    learners=(),
    certificate_days={"node": 800.0},
    peers=(PeerReport("bravo-1", True, 11),),
)


def hand_over(to: str | None) -> str:
    """A leader that hands over to bravo-1 only."""
    if to not in (None, "bravo-1"):
        raise HandoverRefused(f"no link stands to {to}")
    return "bravo-1"


async def snapshot() -> Path | None:
    """A node that has just made one."""
    return Path("/srv/node/data.snapshots/10")


async def unproved() -> Path | None:
    """A node that lacks the certificate of a hand-over."""
    raise HandoverMissing(7)


async def prune(keep: int) -> int:
    """A node of 2,048 blocks that keeps at least half of them."""
    if keep < 1_024:
        raise ValueError(f"at least 1024 blocks must be kept, not {keep}")
    return 2_048 - keep


def ask(
    folder: Path,
    path: str,
    *,
    member: str = "alpha",
    not_ready: str | None = None,
    method: str = "GET",
    made: Callable[[], Awaitable[Path | None]] = snapshot,
) -> tuple[int, str]:
    """Status and body of one request to the port of alpha's node by an operator of `member`."""

    async def scenario() -> tuple[int, str]:
        server = AdminServer(
            files(folder, "node", tls.node_name("alpha-1", NETWORK)),
            tls.operator_name("alpha", NETWORK),
            AdminQuestions(
                lambda: not_ready, lambda: b"nostro_height 1\n", lambda: REPORT, hand_over, made, prune
            ),
        )
        listener = socket.create_server(("127.0.0.1", 0))
        await server.start(listener)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}{path}"
        context = tls.peer_client_context(files(folder, "operator", tls.operator_name(member, NETWORK)))
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, url, ssl=context, server_hostname=tls.node_name("alpha-1", NETWORK)
            ) as response,
        ):
            got = response.status, await response.text()
        await server.close()
        return got

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "not_ready", "expected"),
    [
        ("/livez", "no leader", (200, "alive\n")),
        ("/readyz", None, (200, "ready\n")),
        ("/readyz", "no leader", (503, "not ready: no leader\n")),
        ("/metrics", None, (200, "nostro_height 1\n")),
    ],
)
def test_operators_are_answered(
    tmp_path: Path, path: str, not_ready: str | None, expected: tuple[int, str]
) -> None:
    """Alive is about the process, ready about payments, and the reason is told."""
    assert ask(tmp_path, path, not_ready=not_ready) == expected


def test_operators_of_another_member_are_refused(tmp_path: Path) -> None:
    """A good certificate of another bank opens nothing."""
    status, text = ask(tmp_path, "/metrics", member="bravo")
    assert status == 403
    assert "alpha.operators.testnet.nostro" in text


def test_the_report_is_one_document(tmp_path: Path) -> None:
    """What a command reads is what the node said."""
    code, text = ask(tmp_path, REPORT_PATH)
    assert (code, msgspec.json.decode(text, type=NodeReport)) == (200, REPORT)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (202, {"to": "bravo-1"})),
        ("?to=bravo-1", (202, {"to": "bravo-1"})),
        ("?to=charlie-1", (409, {"reason": "no link stands to charlie-1"})),
    ],
)
def test_an_operator_hands_leadership_over(
    tmp_path: Path, query: str, expected: tuple[int, dict[str, str]]
) -> None:
    """To whom it was named or to whoever is furthest; what can't be is refused with the reason."""
    code, text = ask(tmp_path, TRANSFER_PATH + query, method="POST")
    assert (code, msgspec.json.decode(text)) == expected


def test_only_operators_hand_leadership_over(tmp_path: Path) -> None:
    """Another bank's operators don't even learn whether it could be done."""
    assert ask(tmp_path, TRANSFER_PATH, method="POST", member="bravo")[0] == 403


def status(**changes: int | str | bool) -> DriverStatus:
    values = {
        "node_id": "alpha-1",
        "role": "leader",
        "term": 3,
        "leader_id": "alpha-1",
        "has_quorum": True,
        "last_height": 12,
        "committed_height": 11,
        "executed_height": 10,
        "certified_height": 8,
        "told_height": 11,
        "executed_time_ms": 5_000,
        "pending": 4,
        "pending_bytes": 900,
        "membership": MembershipStatus(1, ("alpha-1", "bravo-1", "charlie-1")),
        "peers": (PeerView("bravo-1", True, 11, 8), PeerView("charlie-1", False, 0, 0)),
        "counters": {"refused_expired": 2},
    }
    return DriverStatus(**{**values, **changes})  # type: ignore[arg-type]  # one dict for fields of several types


def test_the_metrics_say_where_the_node_stands() -> None:
    """Every number comes from the node at the moment of the question, in Prometheus' own format."""
    metrics = Metrics(lambda: {"node": 59.5})
    counters = LinkCounters(refused=5)
    metrics.watch(status, counters)
    metrics.observe_job("disk")(0.002)
    families = text_string_to_metric_families(metrics.render().decode())
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
    assert samples["nostro_height", "certified"] == 8
    assert samples["nostro_certificate_lag_blocks",] == 2
    assert (samples["nostro_role", "leader"], samples["nostro_role", "follower"]) == (1, 0)
    assert (samples["nostro_peer_connected", "bravo-1"], samples["nostro_peer_connected", "charlie-1"]) == (
        1,
        0,
    )
    assert samples["nostro_membership_nodes", "voter"] == 3
    assert samples["nostro_membership_nodes", "learner"] == 0
    assert (samples["nostro_membership_version",], samples["nostro_retired",]) == (1, 0)
    assert samples["nostro_refused_expired_total",] == 2
    assert samples["nostro_peer_refused_total",] == 5
    assert samples["nostro_worker_job_seconds_count", "disk"] == 1
    assert samples["nostro_certificate_days_left", "node"] == 59.5


def test_operators_can_have_a_snapshot_made(tmp_path: Path) -> None:
    """The answer names the folder on the node's machine."""
    status, text = ask(tmp_path, SNAPSHOT_PATH, method="POST")
    assert (status, msgspec.json.decode(text)) == (200, {"folder": "/srv/node/data.snapshots/10"})


def test_operators_are_told_why_no_snapshot_can_be_made(tmp_path: Path) -> None:
    """A refusal in words, naming the height whose certificate is missing."""
    status, text = ask(tmp_path, SNAPSHOT_PATH, method="POST", made=unproved)
    assert status == 409
    assert "no snapshot can be proved: the certificate of height 7" in text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("?keep=1024", 200, '"height":1024'),
        ("?keep=1023", 400, "at least 1024"),
        ("?keep=many", 400, "`keep` must say"),
        ("", 400, "`keep` must say"),
    ],
)
def test_operators_can_have_blocks_forgotten(tmp_path: Path, query: str, status: int, said: str) -> None:
    """They say how many are to stay; too few, or no number, is refused in words."""
    got, text = ask(tmp_path, PRUNE_PATH + query, method="POST")
    assert got == status
    assert said in text
