"""Reads of transactions: by id, and their receipts. Must not know how transactions are submitted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.documented import documented
from api.problems import AMBIGUOUS_ID, BLOCK_PRUNED, NOT_CERTIFIED, NOT_FOUND
from api.reading import JSON, MSGPACK, PaymentQuery, answer, negotiate, ready, send
from api.render import payment_shape
from api.shapes import PaymentShape, ReceiptShape
from api.text import parse_author, parse_tx_id
from ledger.json_form import Names

router = APIRouter(prefix="/v1/payments", tags=["payments"])


def _author(query: PaymentQuery, names: Names) -> bytes | None:
    return None if query.author is None else parse_author(query.author, names)


@router.get("/{tx_id}", **documented("getPayment", PaymentShape, NOT_FOUND, AMBIGUOUS_ID, BLOCK_PRUNED))
async def get_payment(request: Request, tx_id: str, query: Annotated[PaymentQuery, Query()]) -> Response:
    """A transaction by its id, for ever: its outcome, its place on the chain, and what was signed."""
    key = parse_tx_id(tx_id)
    host = await ready(request, query)
    names = host.names()
    view = await host.payment(key, _author(query, names))
    return answer(request, payment_shape(view, names))


@router.get(
    "/{tx_id}/receipt",
    **documented(
        "getReceipt",
        ReceiptShape,
        *(NOT_FOUND, AMBIGUOUS_ID, NOT_CERTIFIED, BLOCK_PRUNED),
        also_msgpack=True,
    ),
)
async def get_receipt(request: Request, tx_id: str, query: Annotated[PaymentQuery, Query()]) -> Response:
    """The receipt of a certified transaction: proof of its outcome that anybody verifies offline."""
    key = parse_tx_id(tx_id)
    media = negotiate(request, (MSGPACK, JSON))
    host = await ready(request, query)
    receipt = await host.receipt(key, _author(query, host.names()))
    if media == JSON:
        return answer(request, ReceiptShape(receipt))
    return send(request, receipt, MSGPACK)
