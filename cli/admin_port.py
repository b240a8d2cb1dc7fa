"""The admin port of a node by its configuration, where its network's folder isn't at hand.

It must not know what is asked there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.genesis import decode_genesis
from node import tls
from node.operators import AdminPort

if TYPE_CHECKING:
    from pathlib import Path

    from node.config import NodeConfig


def configured_port(config: NodeConfig, operator: Path) -> AdminPort:
    """The admin port that a configuration names, opened by the operator's certificate in that folder."""
    name = tls.node_name(config.node, decode_genesis(config.genesis.read_bytes()).name)
    files = tls.TlsFiles(config.ca, operator / "operator.pem", operator / "operator.key")
    return AdminPort(f"https://{config.admin.host}:{config.admin.port}", name, files)
