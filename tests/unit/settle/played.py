"""What the tests of settling share: orders, a desk with keys made for a test, and a chain in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from cli.settle.orders import Order
from cli.settle.plan import Plan, make_plan
from cli.settle.signing import BankKeys, Desk
from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope
from ledger.json_form import Names, envelope_to_json, format_author
from ledger.keys import account_id
from ledger.outcome import OUTCOMES, Outcome
from wallet.answers import Answer, OutcomeView, Payment, Problem
from wallet.client import ANY, Freshness
from wallet.ids import format_tx_id
from wallet.replies import NotFound

START_MS = 1_700_000_000_000
NOW_MS = START_MS + 1_000_000
SCALE = 2
NETWORK = "nostrotest"
LIMITS = EnvelopeLimits(envelope_bytes=4096, signers=16)
ISSUANCE = account_id("cnb", "CZK", bytes(16))
BANKS = ("home", "yz", "home2")


def order(line: int, payer: str, payee: str, amount: int, bank: str = "yz") -> Order:
    """An order of a payer at `home`."""
    return Order(line, str(line), "home", payer, bank, payee, amount, "")


def plan(*orders: Order, batch: str = "may", asset: str = "CZK") -> Plan:
    """The plan of these orders."""
    return make_plan(orders, batch=batch, asset=asset, start_ms=START_MS)


@dataclass(frozen=True)
class PlayedKeys:
    """Keys made for a test, kept by bank."""

    banks: dict[str, BankKeys]
    issuer: ec.EllipticCurvePrivateKey

    def bank(self, name: str) -> BankKeys:
        """The keys of a bank."""
        return self.banks[name]

    def issuance(self) -> ec.EllipticCurvePrivateKey:
        """The issuer's key."""
        return self.issuer


def make_desk(asset: str = "CZK", now_ms: int = NOW_MS) -> Desk:
    """A desk of three banks."""
    banks = {bank: BankKeys(_key(), _key()) for bank in BANKS}
    return Desk(bytes(32), asset, ISSUANCE, PlayedKeys(banks, _key()), now_ms)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class PlayedChain:
    """Stands for the client of a network that executes what it gets, a block a batch, each id once an author.

    `refusals` says of ids how they end instead, and who decides so. `sent` has every envelope that ever came.
    """

    refusals: dict[bytes, tuple[Outcome, str]] = field(default_factory=dict)
    sent: list[Envelope] = field(default_factory=list)
    reads: int = 0
    height: int = 0
    _kept: dict[tuple[bytes, bytes], tuple[Envelope, Outcome, int]] = field(default_factory=dict)

    @property
    def executed(self) -> list[Envelope]:
        """What the chain executed, in order."""
        return [envelope for envelope, outcome, _ in self._kept.values() if outcome is Outcome.EXECUTED]

    async def submit_batch(self, envelopes: Sequence[bytes], wait: str, timeout_ms: int) -> list[Answer]:
        """As the wallet's client."""
        self.height += 1
        return [self._submit(decode_envelope(raw, LIMITS)) for raw in envelopes]

    def _submit(self, envelope: Envelope) -> Answer:
        self.sent.append(envelope)
        name = (envelope.payload.author, envelope.payload.tx_id)
        outcome, decided_by = self.refusals.get(envelope.payload.tx_id, (Outcome.EXECUTED, "chain"))
        if decided_by == "chain":
            earlier, outcome, height = self._kept.setdefault(name, (envelope, outcome, self.height))
            if earlier.raw == envelope.raw:
                return _answer(envelope, outcome, "chain", height)
            outcome = Outcome.ID_USED_WITH_OTHER_CONTENT
        return _answer(envelope, outcome, "node", None)

    async def payment(self, tx_id: str, author: str, fresh: Freshness = ANY) -> Payment:
        """As the wallet's client."""
        self.reads += 1
        names = Names(NETWORK, lambda _asset: SCALE)
        for envelope, outcome, height in self._kept.values():
            payload = envelope.payload
            if (format_tx_id(payload.tx_id), format_author(payload.author, names)) == (tx_id, author):
                return Payment(
                    tx_id=tx_id,
                    author=author,
                    status="executed",
                    decided_by="chain",
                    envelope_hash="",
                    envelope=envelope_to_json(envelope, names),
                    outcome=_view(outcome),
                    height=height,
                )
        raise NotFound(Problem(type="", title="Not found.", status=404, detail="", remedy=""))


def _answer(envelope: Envelope, outcome: Outcome, decided_by: str, height: int | None) -> Answer:
    by_chain = decided_by == "chain"
    return Answer(
        status="executed" if by_chain else "refused",
        tx_id=format_tx_id(envelope.payload.tx_id),
        attempts=1,
        decided_by="chain" if by_chain else "node",
        outcome=_view(outcome),
        height=height,
    )


def _view(outcome: Outcome) -> OutcomeView:
    info = OUTCOMES[outcome]
    return OutcomeView(
        number=info.number,
        name=info.name,
        class_=info.class_.value,
        on_chain=info.on_chain,
        final=info.final,
        retry_can_help=info.retry_can_help,
        sentence=info.sentence,
        remedy=info.remedy,
        iso20022=info.iso20022,
    )
