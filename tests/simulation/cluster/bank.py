"""Keys, genesis and signed transactions of the simulated network, the same in every run.

It must not know nodes or time. Signatures are deterministic, so that a seed replays byte for byte.
"""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from ledger.bodies import (
    Body,
    Kind,
    OpenAccount,
    SetMembership,
    SetNode,
    SetParameters,
    SetRules,
    Transfer,
)
from ledger.codec import present
from ledger.envelope import build_payload, encode_envelope, signing_hash
from ledger.genesis import (
    DEFAULT_PARAMETERS,
    Genesis,
    GenesisAsset,
    GenesisMember,
    GenesisNode,
    decode_genesis,
    encode_genesis,
    issuance_tx_id,
    network_id,
)
from ledger.keys import account_id, public_bytes, sign
from ledger.parameters import CertificateRule
from ledger.policy import Policy, single_key

ASSET = "EUR"
ISSUER = "central"
GENESIS_TIME_MS = 1_780_000_000_000
FUNDS = 1_000


@cache
def key_of(name: str) -> ec.EllipticCurvePrivateKey:
    """The private key that goes by this name."""
    return ec.derive_private_key(int.from_bytes(name.encode(), "big") + 1, ec.SECP256R1())


@cache
def genesis_of(size: int, further: int = 0, rule: CertificateRule = CertificateRule.MAJORITY) -> bytes:
    """Genesis of a network of `size` banks with a node each, `further` banks and a central bank without.

    `rule` says how many of the nodes make a certificate.
    """
    banks = [f"bank{number}" for number in range(size + further)]
    members = tuple(
        GenesisMember(name, name, _policy(f"{name} admin"), _policy(f"{name} teller"))
        for name in (*banks, ISSUER)
    )
    nodes = tuple(
        GenesisNode(f"n{number}", bank, public_bytes(key_of(f"n{number}")), f"n{number}:7000")
        for number, bank in enumerate(banks[:size])
    )
    parameters = replace(DEFAULT_PARAMETERS, certificate_rule=rule.value)
    asset = GenesisAsset(ASSET, 2, ISSUER, _policy("issuance"), 1_000_000_000)
    return encode_genesis(Genesis(1, "simulated", GENESIS_TIME_MS, 1, parameters, members, (asset,), nodes))


class Bank:
    """Makes signed envelopes for one network."""

    def __init__(self, genesis_raw: bytes) -> None:
        """Of this genesis."""
        self._network_id = network_id(genesis_raw)
        self._members = [member.id for member in decode_genesis(genesis_raw).members]
        self.issuance = account_id(ISSUER, ASSET, issuance_tx_id(0))

    def open_account(self, member: str, holder: str, tx_id: bytes, valid_ms: tuple[int, int]) -> bytes:
        """`member` opens an account under the key of `holder`."""
        body = OpenAccount(ASSET, single_key(public_bytes(key_of(holder))))
        return self._sign(Kind.OPEN_ACCOUNT, body, member.encode(), [f"{member} teller"], tx_id, valid_ms)

    def account(self, member: str, tx_id: bytes) -> bytes:
        """The id of the account so opened."""
        return account_id(member, ASSET, tx_id)

    def issue(self, to: bytes, amount: int, tx_id: bytes, valid_ms: tuple[int, int]) -> bytes:
        """The central bank pays into an account."""
        return self._sign(
            Kind.TRANSFER, Transfer(to, ASSET, amount), self.issuance, ["issuance"], tx_id, valid_ms
        )

    def pay(
        self, source: tuple[bytes, str], to: bytes, amount: int, tx_id: bytes, valid_ms: tuple[int, int]
    ) -> bytes:
        """A transfer from the account and key in `source`."""
        return self._sign(Kind.TRANSFER, Transfer(to, ASSET, amount), source[0], [source[1]], tx_id, valid_ms)

    def set_envelope_bytes(
        self, member: str, envelope_bytes: int, from_height: int, tx_id: bytes, valid_ms: tuple[int, int]
    ) -> bytes:
        """All members agree on another limit for envelopes, proposed by `member`."""
        parameters = replace(DEFAULT_PARAMETERS, envelope_bytes=envelope_bytes)
        body = SetParameters(parameters, from_height, 1)
        return self.decide(Kind.SET_PARAMETERS, body, member, tx_id, valid_ms)

    def set_node(self, member: str, node: str, tx_id: bytes, valid_ms: tuple[int, int]) -> bytes:
        """All members agree on another node of `member`, under the key of its own name."""
        body = SetNode(node, member, public_bytes(key_of(node)), f"{node}:7000", 0)
        return self.decide(Kind.SET_NODE, body, member, tx_id, valid_ms)

    def set_membership(
        self,
        change: tuple[str | None, str | None],
        version: int,
        tx_id: bytes,
        valid_ms: tuple[int, int],
        *,
        voting: bool = True,
    ) -> bytes:
        """All members agree that a node comes, one goes, or both (None for nobody)."""
        add, remove = change
        body = SetMembership(present(add), voting and add is not None, present(remove), version)
        return self.decide(Kind.SET_MEMBERSHIP, body, ISSUER, tx_id, valid_ms)

    def set_rules(self, rules: int, from_height: int, tx_id: bytes, valid_ms: tuple[int, int]) -> bytes:
        """All members agree on the first newer version of the rules."""
        return self.decide(Kind.SET_RULES, SetRules(rules, from_height, 1), ISSUER, tx_id, valid_ms)

    def decide(self, kind: Kind, body: Body, member: str, tx_id: bytes, valid_ms: tuple[int, int]) -> bytes:
        """What all members decide, in the name of one."""
        signers = [f"{name} admin" for name in self._members]
        return self._sign(kind, body, member.encode(), signers, tx_id, valid_ms)

    def _sign(
        self,
        kind: Kind,
        body: Body,
        author: bytes,
        signers: list[str],
        tx_id: bytes,
        valid_ms: tuple[int, int],
    ) -> bytes:
        keys = sorted((key_of(name) for name in signers), key=public_bytes)
        payload = build_payload(
            network_id=self._network_id,
            tx_id=tx_id,
            author=author,
            kind=kind,
            body=body,
            valid_from_ms=valid_ms[0],
            valid_until_ms=valid_ms[1],
            signers=[public_bytes(key) for key in keys],
        )
        digest = signing_hash(payload)
        return encode_envelope(payload, [sign(key, digest) for key in keys])


def _policy(name: str) -> Policy:
    return single_key(public_bytes(key_of(name)))
