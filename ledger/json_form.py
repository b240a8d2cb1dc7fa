"""Transactions as people read and write them: JSON-able dicts, driven by the declared fields of the bodies.

It must not know any kind by name: a new kind gets its JSON form from its fields. What is signed is always the
canonical bytes; both ways go through them, so no form can mean anything else.

Amounts are decimal strings in the asset's scale, accounts bech32m addresses, ids UUIDs, other bytes hex, an
optional field is absent or there. An amount whose asset the body does not name (`limit`) is shown in minor
units, as `limit_minor_units`.
"""

import re
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from msgspec import Meta

from ledger.amounts import AmountError, format_amount, parse_amount
from ledger.bodies import BODIES, Body, Kind
from ledger.codec import Malformed, Record
from ledger.envelope import (
    ENVELOPE_VERSION,
    Envelope,
    Payload,
    build_payload,
    check_author,
    decode_payload,
    encode_envelope,
)
from ledger.fields import ACCOUNT_ID_BYTES, MEMBER_ID_MAX
from ledger.keys import address, parse_address
from ledger.outcome import Outcome

KIND_NAMES: Mapping[int, str] = MappingProxyType({kind.value: kind.name.lower() for kind in Kind})
"""Names of the kinds by number, as JSON has them."""

_KINDS: Final = MappingProxyType({name: number for number, name in KIND_NAMES.items()})
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*\Z")
_DIGITS: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_MINOR_UNITS: Final = "_minor_units"
_PAYLOAD_KEYS: Final = frozenset(
    {"version", "network_id", "tx_id", "author", "kind", "body", "valid_from_ms", "valid_until_ms", "signers"}
)

Form = dict[str, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Names:
    """What a form needs to know of a network: its name, and each asset's scale (None: no such asset)."""

    network_name: str
    scale_of: Callable[[str], int | None]


def envelope_to_json(envelope: Envelope, names: Names) -> Form:
    """The envelope's JSON form, its signatures included."""
    form = payload_to_json(envelope.payload, envelope.body, names)
    form["signatures"] = [signature.hex() for signature in envelope.signatures]
    return form


def envelope_from_json(form: Mapping[str, object], names: Names) -> bytes:
    """The envelope's bytes from its JSON form; raises Malformed naming the key."""
    unsigned = {key: value for key, value in form.items() if key != "signatures"}
    signatures = _list_of(form.get("signatures"), "signatures", parse_hex)
    return encode_envelope(payload_from_json(unsigned, names), signatures)


def payload_to_json(payload: Payload, body: Body, names: Names) -> Form:
    """The JSON form of what is signed."""
    return {
        "version": payload.version,
        "network_id": payload.network_id.hex(),
        "tx_id": format_uuid(payload.tx_id),
        "author": format_author(payload.author, names),
        "kind": KIND_NAMES[payload.kind],
        "body": body_to_json(body, names),
        "valid_from_ms": payload.valid_from_ms,
        "valid_until_ms": payload.valid_until_ms,
        "signers": [signer.hex() for signer in payload.signers],
    }


def payload_bytes_to_json(raw: bytes, names: Names) -> Form:
    """The JSON form of payload bytes that may not be signed yet; raises Malformed."""
    payload, body = decode_payload(raw)
    return payload_to_json(payload, body, names)


def payload_from_json(form: Mapping[str, object], names: Names) -> bytes:
    """The bytes to sign from their JSON form; raises Malformed naming the key."""
    _check_keys(form, _PAYLOAD_KEYS, _PAYLOAD_KEYS, "the payment")
    if form["version"] != ENVELOPE_VERSION or isinstance(form["version"], bool):
        raise Malformed(f"version: this is written in version {ENVELOPE_VERSION}, not {form['version']!r}")
    kind = parse_kind(form["kind"])
    signers = _list_of(form["signers"], "signers", parse_hex)
    if signers != sorted(signers):
        raise Malformed("signers: must be ascending, as the signatures stand in their order")
    return build_payload(
        network_id=parse_hex(form["network_id"], "network_id"),
        tx_id=parse_uuid(form["tx_id"], "tx_id"),
        author=parse_author(form["author"], names),
        kind=kind,
        body=body_from_json(kind, form["body"], names),
        valid_from_ms=_integer(form["valid_from_ms"], "valid_from_ms"),
        valid_until_ms=_integer(form["valid_until_ms"], "valid_until_ms"),
        signers=signers,
    )


def body_to_json(body: Body, names: Names) -> Form:
    """The JSON form of a body."""
    return _record_to_json(body, _Context(names, getattr(body, "asset", None)))


def body_from_json(kind: int, form: object, names: Names) -> Body:
    """The body of that kind from its JSON form; raises Malformed naming the key."""
    asset = form.get("asset") if isinstance(form, Mapping) else None
    context = _Context(names, asset if isinstance(asset, str) else None)
    return cast(Body, _record_from_json(BODIES[kind], form, context, "body"))


def parse_kind(name: object) -> int:
    """The number of a kind from its name; raises Malformed."""
    number = _KINDS.get(name) if isinstance(name, str) else None
    if number is None:
        raise Malformed(f"kind {name!r} is not known: use one of {', '.join(_KINDS)}", Outcome.UNKNOWN_KIND)
    return number


def format_author(author: bytes, names: Names) -> str:
    """An author as people see it: an account's address, or a member's id."""
    if len(author) == ACCOUNT_ID_BYTES:
        return address(names.network_name, author)
    return author.decode("ascii")


def parse_author(text: object, names: Names) -> bytes:
    """The author's bytes from an address or a member's id; raises Malformed."""
    if not isinstance(text, str):
        raise Malformed(f"author: must be an address or a member's id, not {text!r}")
    if len(text) > MEMBER_ID_MAX:
        return parse_address(text, names.network_name)
    author = text.encode("utf-8", "replace")
    check_author(author)
    return author


def format_uuid(value: bytes) -> str:
    """16 bytes in the text form of RFC 9562."""
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_uuid(text: object, where: str = "id") -> bytes:
    """The 16 bytes of a UUID's text, in either case; raises Malformed."""
    if not isinstance(text, str) or not _UUID.match(text.lower()):
        raise Malformed(f"{where}: {text!r} is not a UUID, as in 0189f7a2-6c1e-7d3b-8f00-5a1b2c3d4e5f")
    return bytes.fromhex(text.replace("-", ""))


def parse_hex(text: object, where: str = "bytes") -> bytes:
    """The bytes of lower-case hex digits; raises Malformed."""
    if not isinstance(text, str) or not _HEX.match(text):
        raise Malformed(f"{where}: {text!r} is not hex in lower case, two digits a byte")
    return bytes.fromhex(text)


@dataclass(frozen=True, slots=True)
class _Context:
    names: Names
    asset: str | None

    def scale(self, where: str) -> int:
        """The scale of the body's asset; raises Malformed."""
        scale = None if self.asset is None else self.names.scale_of(self.asset)
        if scale is None:
            raise Malformed(f"{where}: the asset {self.asset!r} is not known on this network; check its code")
        return scale


@dataclass(frozen=True, slots=True)
class _Field:
    """How a field is shown: its key in JSON, its plain type, its form, and whether it is optional."""

    name: str
    key: str
    type: Any
    form: str
    optional: bool
    many: bool


@cache
def _fields(type_: type[Record]) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(type_, include_extras=True)
    return tuple(_describe(name, hints[name]) for name in type_.__struct_fields__)


def _describe(name: str, hint: Any) -> _Field:
    plain, metas = _unwrapped(hint)
    many = typing.get_origin(plain) is tuple
    optional = many and any(meta.max_length == 1 for meta in metas)
    if many:
        plain, metas = _unwrapped(typing.get_args(plain)[0])
    forms = [meta.extra["form"] for meta in metas if meta.extra]
    form = forms[0] if forms else plain.__name__
    key = name + _MINOR_UNITS if form == "minor_units" else name
    return _Field(name, key, plain, form, optional, many and not optional)


def _unwrapped(hint: Any) -> tuple[Any, list[Meta]]:
    if typing.get_origin(hint) is not typing.Annotated:
        return hint, []
    plain, *metas = typing.get_args(hint)
    return plain, metas


def _record_to_json(record: Record, context: _Context) -> Form:
    form: Form = {}
    for field in _fields(type(record)):
        value = getattr(record, field.name)
        if field.many:
            form[field.key] = [_to_json(field, item, context) for item in value]
        elif not field.optional:
            form[field.key] = _to_json(field, value, context)
        elif value:
            form[field.key] = _to_json(field, value[0], context)
    return form


def _record_from_json(type_: type[Record], form: object, context: _Context, where: str) -> Record:
    if not isinstance(form, Mapping):
        raise Malformed(f"{where}: must be an object, not {form!r}")
    fields = _fields(type_)
    required = {field.key for field in fields if not field.optional}
    _check_keys(form, {field.key for field in fields}, required, where)
    return type_(**{field.name: _field_from_json(field, form, context, where) for field in fields})


def _field_from_json(field: _Field, form: Mapping[str, object], context: _Context, where: str) -> object:
    place = f"{where}.{field.key}"
    if field.many:
        return tuple(_list_of(form[field.key], place, lambda item, at: _from_json(field, item, context, at)))
    if not field.optional:
        return _from_json(field, form[field.key], context, place)
    return (_from_json(field, form[field.key], context, place),) if field.key in form else ()


def _to_json(field: _Field, value: Any, context: _Context) -> object:
    match field.form:
        case "account":
            return address(context.names.network_name, value)
        case "uuid":
            return format_uuid(value)
        case "amount":
            return format_amount(value, context.scale(field.key))
        case "minor_units":
            return str(value)
        case "bytes":
            return value.hex()
        case "int" | "str" | "bool":
            return value
        case _:
            return _record_to_json(value, context)


def _from_json(field: _Field, value: object, context: _Context, where: str) -> object:
    match field.form:
        case "account":
            return parse_address(_text(value, where), context.names.network_name)
        case "uuid":
            return parse_uuid(value, where)
        case "amount":
            return _amount(value, context, where)
        case "minor_units":
            return _minor_units(value, where)
        case "bytes":
            return parse_hex(value, where)
        case "int":
            return _integer(value, where)
        case "str":
            return _text(value, where)
        case "bool":
            return _bool(value, where)
        case _:
            return _record_from_json(field.type, value, context, where)


def _amount(value: object, context: _Context, where: str) -> int:
    text = _text(value, where)
    try:
        return parse_amount(text, context.scale(where))
    except AmountError as error:
        raise Malformed(f"{where}: {error}") from error


def _minor_units(value: object, where: str) -> int:
    if not isinstance(value, str) or not _DIGITS.match(value):
        raise Malformed(f"{where}: {value!r} is not a whole number of minor units, written as a string")
    return int(value)


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{where}: must be a whole number, not {value!r}")
    return value


def _bool(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"{where}: must be true or false, not {value!r}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{where}: must be a string, not {value!r}")
    return value


def _list_of(value: object, where: str, parse: Callable[[object, str], T]) -> list[T]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Malformed(f"{where}: must be a list, not {value!r}")
    return [parse(item, f"{where}[{index}]") for index, item in enumerate(value)]


def _check_keys(form: Mapping[str, object], allowed: Set[str], required: Set[str], where: str) -> None:
    unknown = sorted(str(key) for key in form.keys() - allowed)
    missing = sorted(required - form.keys())
    if unknown:
        raise Malformed(f"{where}: {', '.join(unknown)} is not known here; leave it out")
    if missing:
        raise Malformed(f"{where}: {', '.join(missing)} is missing")
