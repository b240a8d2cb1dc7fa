"""The kinds as a page for people, from what they declare. Must not know any kind by name."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any, Final

from ledger import fields
from ledger.certificate import Certifiers
from ledger.outcome import OUTCOMES
from ledger.parameters import Parameters
from ledger.policy import Policy
from ledger.rules.base import Kind

_WORDS: Final[tuple[tuple[Any, str], ...]] = (
    (fields.AccountId, "account id"),
    (fields.Amount, "amount, 1 or more"),
    (fields.MinorUnits, "amount in minor units"),
    (fields.OptionalBin32, "32 bytes, optional"),
    (fields.OptionalUuid, "UUID, optional"),
    (fields.Bin65, "public key"),
    (fields.Bin32, "32 bytes"),
    (fields.AssetCode, "asset code"),
    (fields.MemberId, "member id"),
    (fields.NodeId, "node id"),
    (fields.OptionalNodeId, "node id, optional"),
    (fields.DisplayName, "display name"),
    (fields.HostPort, "host:port"),
    (fields.Scale, "0 to 18"),
    (fields.Uint, "integer"),
    (bool, "true or false"),
    (Policy, "policy"),
    (Parameters, "parameters"),
    (Certifiers, "certificate rule, and node id, member id, public key of each, ascending"),
)


def kinds_as_markdown(kinds: Iterable[Kind[Any]]) -> str:
    """A section a kind: what it does, who authorises it, its body, and its refusals in their order."""
    return "\n".join(_section(kind) for kind in kinds)


def _section(kind: Kind[Any]) -> str:
    refusals = ", ".join(f"`{OUTCOMES[outcome].name}`" for outcome in kind.refusals)
    body = "\n".join(f"| `{name}` | {words} |" for name, words in body_fields(kind.body))
    purpose = (kind.body.__doc__ or "").strip().splitlines()[0]
    return (
        f"### {int(kind.number)} `{kind.name}`\n\n{purpose}\n\n"
        f"- Author: {kind.author}.\n- Authority: {kind.authority}.\n- Refused, in this order: {refusals}.\n\n"
        f"| field of the body | what |\n|---|---|\n{body}\n"
    )


def body_fields(body: type[Any]) -> list[tuple[str, str]]:
    """The fields of a body in their order, each with its words for people."""
    return [(name, _words(type_)) for name, type_ in typing.get_type_hints(body, include_extras=True).items()]


def _words(type_: Any) -> str:
    for known, words in _WORDS:
        if type_ == known:
            return words
    if typing.get_origin(type_) is typing.Annotated:
        meta = typing.get_args(type_)[1]
        return f"integer, {meta.ge} to {meta.le}"
    raise TypeError(f"The pages have no words for {type_!r} yet: add them to ledger/rules/describe.py.")
