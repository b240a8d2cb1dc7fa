"""The types of single fields: lengths, ranges, alphabets, checked wherever bytes are decoded (formats.md, 1).

It must not know which record a field stands in. The `form` of a field says how people see it; json_form.py
reads it.
"""

from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import MAX_INTEGER

ACCOUNT_ID_BYTES: Final = 21
MEMBER_ID_MAX: Final = 16
MAX_SCALE: Final = 18

Uint = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Bin16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bin32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bin64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
Bin65 = Annotated[bytes, Meta(min_length=65, max_length=65)]
AccountId = Annotated[
    bytes, Meta(min_length=ACCOUNT_ID_BYTES, max_length=ACCOUNT_ID_BYTES, extra={"form": "account"})
]
Uuid = Annotated[bytes, Meta(min_length=16, max_length=16, extra={"form": "uuid"})]
AuthorRef = Annotated[bytes, Meta(min_length=5, max_length=5)]
"""A kind (0 account, 1 member) and a number: who an author is, in the rows of a store."""
OptionalBin32 = Annotated[tuple[Bin32, ...], Meta(max_length=1)]
OptionalUuid = Annotated[tuple[Uuid, ...], Meta(max_length=1)]

Amount = Annotated[int, Meta(ge=1, le=MAX_INTEGER, extra={"form": "amount"})]
"""A positive amount in minor units of the asset that the same body names."""
MinorUnits = Annotated[int, Meta(ge=0, le=MAX_INTEGER, extra={"form": "minor_units"})]
"""An amount, zero included, in minor units of an asset that the body does not name."""
RulesVersion = Annotated[int, Meta(ge=1, le=65_535)]
Scale = Annotated[int, Meta(ge=0, le=MAX_SCALE)]

# `\Z` and not `$`: `$` would let a line feed stand at the end.
MemberId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,16}\Z")]
NodeId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}\Z")]
AssetCode = Annotated[str, Meta(pattern=r"^[A-Z0-9]{3,12}\Z")]
OptionalNodeId = Annotated[tuple[NodeId, ...], Meta(max_length=1)]
NetworkName = Annotated[str, Meta(pattern=r"^[a-z]{3,16}\Z")]
DisplayName = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,70}\Z")]

_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HostPort = Annotated[str, Meta(max_length=255, pattern=rf"^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):{_PORT}\Z")]
"""`host:port`: a DNS name, an IPv4 address, or an IPv6 address in square brackets."""
