"""Reads of accounts: the record, its history, and its proof. Must not know how accounts change."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.documented import documented
from api.problems import BLOCK_PRUNED, NOT_CERTIFIED, NOT_FOUND
from api.reading import HistoryQuery, ReadQuery, answer, ready
from api.render import account_shape, history_shape, proof_shape
from api.shapes import AccountShape, HistoryShape, ProofShape
from api.text import parse_account, parse_cursor
from ledger import keys

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])


@router.get("/{address}", **documented("getAccount", AccountShape, NOT_FOUND))
async def get_account(request: Request, address: str, query: Annotated[ReadQuery, Query()]) -> Response:
    """An account's record: balances, limit, flags and policy, as of a height."""
    host = await ready(request, query)
    names = host.names()
    view = await host.account(parse_account(address, names.network_name))
    return answer(request, account_shape(view, names))


@router.get("/{address}/payments", **documented("listPayments", HistoryShape, NOT_FOUND, BLOCK_PRUNED))
async def list_payments(request: Request, address: str, query: Annotated[HistoryQuery, Query()]) -> Response:
    """An account's history, newest first: every transaction that it signed or that changed it."""
    host = await ready(request, query)
    names = host.names()
    account = parse_account(address, names.network_name)
    cursor = None if query.cursor is None else parse_cursor(query.cursor)
    view = await host.account(account)
    page = await host.history(account, cursor, query.limit)
    return answer(request, history_shape(page, view.account, names))


@router.get("/{address}/proof", **documented("getAccountProof", ProofShape, NOT_FOUND, NOT_CERTIFIED))
async def get_account_proof(request: Request, address: str, query: Annotated[ReadQuery, Query()]) -> Response:
    """A proof of the account's record, or that there is no such account, against a certified state root."""
    host = await ready(request, query)
    network_name = host.names().network_name
    account = parse_account(address, network_name)
    view = await host.account_proof(account, query.timeout_ms)
    return answer(request, proof_shape(view, keys.address(network_name, account)))
