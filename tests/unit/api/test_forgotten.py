"""What a node answers of blocks whose transactions it holds no more."""

from __future__ import annotations

import pytest

from api.ports import Forgotten
from tests.unit.api.client import Api
from tests.unit.api.instant_host import InstantHost
from tests.unit.api.payments import CUSTOMER_ADDRESS, OPEN_TX, issue, open_customer, tx_text

OF_OLD_BLOCKS = [
    f"/v1/payments/{tx_text(OPEN_TX)}",
    f"/v1/payments/{tx_text(OPEN_TX)}/receipt",
    f"/v1/accounts/{CUSTOMER_ADDRESS}/payments?cursor=2.0",
    "/v1/blocks",
    "/v1/blocks/2",
    "/v1/blocks/2/raw",
    "/v1/blocks/2/header",
    "/v1/blocks/2/certificate",
]


@pytest.fixture
def forgetful(api: Api, host: InstantHost) -> Api:
    """A ledger of three blocks, of which a node has forgotten two."""
    api.post("/v1/payments", open_customer())
    api.post("/v1/payments", issue(1))
    host.forgotten = Forgotten(2, ("node-beta",))
    return api


@pytest.mark.parametrize("path", OF_OLD_BLOCKS)
def test_forgotten_blocks_are_told_with_who_holds_them(forgetful: Api, path: str) -> None:
    """410 of its own type, new as any read, and where to ask instead."""
    answer = forgetful.get(path)
    assert answer.status == 410
    assert answer.problem == "urn:nostro:problem:block_pruned"
    assert "node-beta" in answer.json["detail"]
    assert answer.headers["ledger-height"] == "3"


@pytest.mark.parametrize("path", ["/v1/blocks/latest", "/v1/blocks?limit=1", f"/v1/payments/{tx_text(1)}"])
def test_what_is_held_is_still_answered(forgetful: Api, path: str) -> None:
    """Newer blocks are told as ever."""
    assert forgetful.get(path).status == 200
