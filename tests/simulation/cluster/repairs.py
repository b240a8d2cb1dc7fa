"""What running nodes give to one whose store is damaged, without a network between them.

It must not know what is damaged.
"""

from collections.abc import Mapping

from node.driver import Driver
from node.repair_server import RepairServer
from node.snapshot_fetch import Ask, PeerAnswer, PeerFailed
from node.store import Store

Running = Mapping[str, tuple[Driver, Store]]


def ask_running(running: Running) -> Ask:
    """Asks these nodes, as the peers' port would; any other one doesn't answer."""

    async def ask(peer: str, path: str) -> PeerAnswer:
        if peer not in running:
            raise PeerFailed(f"{peer} is down")
        server = server_of(*running[peer])
        what, height = path.rsplit("/", 2)[1:]
        body = {"block": server.block, "proof": server.proof}[what](int(height))
        return PeerAnswer(404, b"") if body is None else PeerAnswer(200, body)

    return ask


def server_of(driver: Driver, store: Store) -> RepairServer:
    """What a node's peers' port serves for repairs; what it meets itself is raised."""

    def raise_it(error: BaseException) -> None:
        raise error

    return RepairServer(store, lambda: driver.executed_height, lambda: driver.executed.registry, raise_it)
