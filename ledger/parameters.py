"""The parameters that the members agree on: limits of blocks and envelopes, and the rule of certificates.

It must not know from which height they hold: that is ledger/schedule.py. Ranges: formats.md, section 5.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from msgspec.structs import asdict

from ledger.codec import Malformed, Record
from ledger.fields import Uint
from ledger.outcome import Outcome


class CertificateRule(IntEnum):
    """How many certifiers a certificate takes."""

    MAJORITY = 0
    BYZANTINE = 1


BYZANTINE_LEAST_CERTIFIERS: Final = 4
"""Below this number of certifiers the byzantine rule would tolerate no lie at all."""


class Parameters(Record, frozen=True):
    """Sizes in bytes, counts, and the number of a CertificateRule."""

    block_bytes: Uint = 1_048_576
    block_envelopes: Uint = 5_000
    envelope_bytes: Uint = 4_096
    signers: Uint = 16
    certificate_rule: Uint = CertificateRule.MAJORITY.value


DEFAULT_PARAMETERS: Final = Parameters()

PARAMETER_RANGES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "block_bytes": (65_536, 16_777_216),
        "block_envelopes": (1, 50_000),
        "envelope_bytes": (1_024, 65_536),
        "signers": (1, 64),
        "certificate_rule": (0, 1),
    }
)
"""The least and the most of each parameter, both allowed."""


def check_parameters(parameters: Parameters) -> None:
    """Check every range; raises Malformed naming the parameter."""
    for name, value in asdict(parameters).items():
        least, most = PARAMETER_RANGES[name]
        if not least <= value <= most:
            raise Malformed(
                f"parameter {name} is {value}: it must be between {least} and {most}",
                Outcome.PARAMETER_OUT_OF_RANGE,
            )


def quorum(certificate_rule: int, certifiers: int) -> int:
    """How many of `certifiers` must sign the same seal: ⌊n/2⌋+1, or ⌊2n/3⌋+1 under the byzantine rule.

    Raises Malformed for the byzantine rule with fewer than four certifiers.
    """
    if certificate_rule == CertificateRule.MAJORITY:
        return certifiers // 2 + 1
    if certifiers < BYZANTINE_LEAST_CERTIFIERS:
        raise Malformed(
            f"the byzantine rule takes {BYZANTINE_LEAST_CERTIFIERS} certifiers, there are {certifiers}"
        )
    return certifiers * 2 // 3 + 1
