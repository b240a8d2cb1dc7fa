"""Receipts: proved by the ledger and by the stand-alone script, and by neither when anything is changed."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import receipt as receipt_module
from ledger.codec import encode
from ledger.receipt import MAX_SEALS, ReceiptInvalid, verify_receipt
from scripts import verify_receipt as script
from tests.unit.ledger import sample

SCRIPT = Path(__file__).parents[3] / "scripts" / "verify_receipt.py"
(
    FORMAT,
    GENESIS,
    HEADER,
    ENVELOPE,
    INDEX,
    TX_PATH,
    OUTCOME_LEAF,
    OUTCOME_PATH,
    SEALS,
    HANDOVERS,
    CERTIFICATE,
) = range(11)
RECEIPT = sample.receipt()
ALONE = sample.receipt(index=0, size=1, later=0)
RECOVERED = sample.receipt(handovers=[sample.recovery()], signers=("node-gamma",), epoch=1)
HANDED_OVER = sample.receipt(handovers=sample.HANDED_OVER, signers=("node-delta",))


def _changed(place: int, change: Callable[[Any], object], of: sample.SampleReceipt = RECEIPT) -> bytes:
    fields = msgpack.unpackb(of.raw)
    fields[place] = change(fields[place])
    return bytes(msgpack.packb(fields))


def _refused_by_both(raw: bytes, words: str, folder: Path) -> None:
    with pytest.raises(ReceiptInvalid, match=words):
        verify_receipt(raw, sample.network())
    file = folder / "receipt"
    file.write_bytes(raw)
    answer = _script(file, sample.network().hex())
    assert answer.returncode == 1
    assert answer.stderr.startswith("not proved: ")


def _script(path: Path, network_id: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(SCRIPT), str(path), network_id]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_good_receipt() -> None:
    """It proves the payment, its place, its outcome, and who certified it."""
    proved = verify_receipt(RECEIPT.raw, sample.network())
    assert proved.envelope.raw == RECEIPT.block.body[1]
    assert (proved.height, proved.index, proved.outcome, proved.duplicate_of) == (1, 1, 0, None)
    assert (proved.certified_height, proved.signed_by) == (3, ("node-alpha", "node-beta"))
    assert (proved.network_name, proved.time_ms) == (sample.NETWORK_NAME, sample.GENESIS_TIME_MS + 1_000)


@pytest.mark.parametrize(("index", "size", "later"), [(0, 1, 0), (2, 3, 0), (4, 5, 1), (6, 7, 3)])
def test_every_place_has_its_receipt(index: int, size: int, later: int) -> None:
    """Alone in a block, last in one, certified at once or later; the last one is a duplicate."""
    raw = sample.receipt(index=index, size=size, later=later).raw
    proved = verify_receipt(raw, sample.network())
    assert (proved.index, proved.certified_height) == (index, 1 + later)
    assert (proved.outcome, proved.duplicate_of) == (300, (1, 0))


def test_another_network_is_refused() -> None:
    """The network's id is all that the verifier trusts."""
    with pytest.raises(ReceiptInvalid, match="another network"):
        verify_receipt(RECEIPT.raw, bytes(32))


@pytest.mark.parametrize(
    ("place", "change", "words"),
    [
        (FORMAT, lambda _: 2, r"Receipt\.format"),
        (GENESIS, lambda _: sample.genesis_raw(4), "another network"),
        (HEADER, lambda _: sample.block([sample.envelope(9)]).header_raw, "another block"),
        (ENVELOPE, lambda _: sample.envelope(9), "path does not lead"),
        (ENVELOPE, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "does not verify"),
        (INDEX, lambda _: 0, "path"),
        (INDEX, lambda _: 3, "can't stand"),
        (TX_PATH, lambda path: path[:-1], "path"),
        (OUTCOME_LEAF, lambda _: encode((406, ())), "path"),
        (OUTCOME_LEAF, lambda _: encode((0,)), "path"),
        (OUTCOME_PATH, lambda path: path[::-1], "path"),
        (SEALS, lambda seals: seals[1:], "height 2"),
        (SEALS, lambda seals: [], "height 3"),
        (SEALS, lambda seals: seals[::-1], "height"),
        (SEALS, lambda seals: [seals[0], sample.seal(2)], "another parent"),
        (CERTIFICATE, lambda one: [one[0], one[1][:1]], "1 nodes signed, 2 are needed"),
        (CERTIFICATE, lambda one: [one[0], [one[1][0], ["node-beta", one[1][0][1]]]], "node-beta"),
        (CERTIFICATE, lambda one: [sample.seal(3), one[1]], "does not verify"),
    ],
)
def test_every_step_is_checked(
    place: int, change: Callable[[Any], object], words: str, tmp_path: Path
) -> None:
    """One thing changed, and neither the ledger nor the script takes it."""
    _refused_by_both(_changed(place, change), words, tmp_path)


def test_a_receipt_across_handovers(tmp_path: Path) -> None:
    """Certified by a node that genesis doesn't know: both follow the hand-overs to it."""
    assert verify_receipt(HANDED_OVER.raw, sample.network()).signed_by == ("node-delta",)
    file = tmp_path / "receipt"
    file.write_bytes(HANDED_OVER.raw)
    answer = _script(file, sample.network().hex())
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["signed_by"] == ["node-delta"]


@pytest.mark.parametrize(
    ("place", "change", "words"),
    [
        (HANDOVERS, lambda _: [], "1 nodes signed, 2 are needed"),
        (HANDOVERS, lambda both: both[:1], "1 nodes signed, 3 are needed"),
        (HANDOVERS, lambda both: both[1:], "node-delta is not a certifier"),
        (HANDOVERS, lambda both: both[::-1], "node-delta is not a certifier"),
        (HANDOVERS, lambda both: [both[0], both[0], both[1]], "2 nodes signed, 3 are needed"),
        (HANDOVERS, lambda both: [both[0], [both[1][0], both[0][1], []]], "height 2 is to other certifiers"),
        (HANDOVERS, lambda both: [both[0], [both[1][0], [0, []], []]], "height 2 is to other certifiers"),
        (HANDOVERS, lambda both: [both[0], both[1][:1]], "Receipt.handovers"),
        (HANDOVERS, lambda _: 7, "Receipt.handovers"),
        (CERTIFICATE, lambda one: [one[0], [["node-alpha", one[1][0][1]]]], "node-alpha is not a certifier"),
    ],
)
def test_every_handover_is_checked(
    place: int, change: Callable[[Any], object], words: str, tmp_path: Path
) -> None:
    """A hand-over left out, repeated, out of order or to others, and the receipt proves nothing."""
    _refused_by_both(_changed(place, change, HANDED_OVER), words, tmp_path)


def test_a_hand_over_to_those_who_certify_already_is_refused(tmp_path: Path) -> None:
    """Every certificate would be one: a proof could be made as long as its maker likes."""
    voters = ("node-alpha", "node-beta", "node-gamma")
    padded = sample.receipt(handovers=[sample.handover(1, voters, voters)])
    _refused_by_both(padded.raw, "height 1 is to those who certify already", tmp_path)


def test_a_receipt_across_a_recovery(tmp_path: Path) -> None:
    """Paid before, certified after by the voter that the members named: both follow their decision to it."""
    assert verify_receipt(RECOVERED.raw, sample.network()).signed_by == ("node-gamma",)
    file = tmp_path / "receipt"
    file.write_bytes(RECOVERED.raw)
    answer = _script(file, sample.network().hex())
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["signed_by"] == ["node-gamma"]


def _recovery(**changes: Any) -> bytes:
    """The receipt across a recovery whose decision differs from a good one."""
    handovers = [sample.recovery(**changes)]
    return sample.receipt(handovers=handovers, signers=("node-gamma",), epoch=1).raw


def _other_electorate(handovers: Any) -> object:
    certificate, certifiers, ((_, envelope),) = handovers[0]
    electorate = msgpack.unpackb(encode(sample.electorate("alpha")))
    return [[certificate, certifiers, [[electorate, envelope]]]]


def _unsigned(handovers: Any) -> object:
    certificate, certifiers, ((electorate, envelope),) = handovers[0]
    return [[certificate, certifiers, [[electorate, envelope[:-1] + bytes([envelope[-1] ^ 1])]]]]


def _unproved(handovers: Any) -> object:
    return [[*handovers[0][:2], []]]


def _twice(handovers: Any) -> object:
    certificate, certifiers, (proof,) = handovers[0]
    return [[certificate, certifiers, [proof, proof]]]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (_recovery(signers=(10,)), "not signed by more than half of the members"),
        (_recovery(signers=(10, 11)), "not signed by more than half of the members"),
        (_recovery(builds_on=2), "builds on height 2"),
        (_recovery(epoch=0), "builds on height 1"),
        (_recovery(epoch=2), "is of epoch 1, not 2"),
        (_recovery(height=3), "does not follow on the hand-over at height 3"),
        (_recovery(certifiers=sample.certifiers_of(["node-alpha"])), "to other certifiers"),
        (_recovery(rehearsal=True), "its decision is a rehearsal's"),
        (_recovery(header_hash=bytes(range(32))), "goes on from another block 2"),
        (_recovery(height=1, header_hash=bytes(range(32))), "goes on from another block 1"),
        (_changed(HANDOVERS, _other_electorate, RECOVERED), "other members than the seal names"),
        (_changed(HANDOVERS, _unsigned, RECOVERED), "its decision"),
        (_changed(HANDOVERS, _unproved, RECOVERED), "to other certifiers"),
        (_changed(HANDOVERS, _twice, RECOVERED), "recovery"),
        (_changed(HANDOVERS, lambda _: [], RECOVERED), "1 nodes signed, 2 are needed"),
    ],
)
def test_every_step_of_a_recovery_is_checked(raw: bytes, words: str, tmp_path: Path) -> None:
    """Too few members, another height or epoch, other voters, other members, or no decision at all."""
    _refused_by_both(raw, words, tmp_path)


@pytest.mark.parametrize("later", [0, 1])
def test_those_after_a_handover_certify_nothing_before_it(later: int, tmp_path: Path) -> None:
    """A certificate at or below the last hand-over is not theirs to make."""
    raw = sample.receipt(later=later, handovers=sample.HANDED_OVER, signers=("node-delta",)).raw
    _refused_by_both(raw, "the hand-over at height 2", tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    """Wherever a byte is changed, the receipt proves nothing, also one across a recovery."""
    raw = bytearray(data.draw(st.sampled_from((RECEIPT, HANDED_OVER, RECOVERED))).raw)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ReceiptInvalid):
        verify_receipt(bytes(raw), sample.network())


def test_stand_alone_script_proves_the_same(tmp_path: Path) -> None:
    """The script, run without this repository on its path, comes to the same facts."""
    file = tmp_path / "receipt"
    file.write_bytes(RECEIPT.raw)
    answer = _script(file, sample.network().hex())
    assert answer.returncode == 0, answer.stderr
    facts = json.loads(answer.stdout)
    assert (facts["certified_height"], facts["outcome"], facts["executed"]) == (3, 0, True)
    assert facts["author"] == sample.ISSUANCE_ACCOUNT.hex()
    assert facts["transfer"] == {
        "credit": sample.CUSTOMER_ACCOUNT.hex(),
        "asset": "EUR",
        "amount_minor_units": 1_250,
        "uetr": None,
        "reference": None,
    }


def test_stand_alone_script_tells_a_duplicate_from_a_payment(tmp_path: Path) -> None:
    """Who holds the receipt of a repetition can't pass it off as one that paid."""
    file = tmp_path / "receipt"
    file.write_bytes(sample.receipt(index=2).raw)
    facts = json.loads(_script(file, sample.network().hex()).stdout)
    assert (facts["executed"], facts["outcome"], facts["duplicate_of"]) == (False, 300, [1, 0])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, len(RECOVERED.raw) - 1), st.integers(1, 255))
def test_no_changed_byte_passes_the_stand_alone_script(position: int, change: int) -> None:
    """Wherever a byte is changed, the script too says that nothing is proved, and doesn't fall over."""
    raw = bytearray(RECOVERED.raw)
    raw[position] ^= change
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "receipt"
        file.write_bytes(raw)
        answer = _script(file, sample.network().hex())
    assert (answer.returncode, answer.stderr[:11]) == (1, "not proved:")


def _verdicts(raw: bytes) -> tuple[bool, bool]:
    """Whether the ledger takes the receipt, and whether the script does."""
    try:
        verify_receipt(raw, sample.network())
    except ReceiptInvalid:
        ledger = False
    else:
        ledger = True
    try:
        script.verify_receipt(raw, sample.network())
    except (script.NotProved, TypeError, ValueError):
        return ledger, False
    return ledger, True


def _spoil(value: Any, data: st.DataObject) -> object:
    """The value with one thing in it, at whatever depth, replaced by one that is often of another type."""
    if isinstance(value, list) and value and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], _spoil(value[place], data), *value[place + 1 :]]
    if isinstance(value, list) and value:
        return data.draw(st.sampled_from([value[1:], value[:-1], [*value, value[-1]], value[::-1], b"", ""]))
    others = ["", b"", [], 0, 1, 2, True, False, 2**63 - 1, 2**63, "a-1", bytes(32), bytes(65), [[]], [0]]
    return data.draw(st.sampled_from([*others, value]))


@pytest.mark.parametrize("place", [TX_PATH, OUTCOME_PATH, SEALS, HANDOVERS])
@pytest.mark.parametrize("empty", [b"", ""])
def test_nothing_else_that_is_empty_stands_for_an_empty_array(place: int, empty: object) -> None:
    """A single payment's paths, and a receipt of the certified height itself, have empty arrays."""
    assert _verdicts(ALONE.raw) == (True, True)
    assert _verdicts(_changed(place, lambda _: empty, ALONE)) == (False, False)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_ledger_and_script_agree(data: st.DataObject) -> None:
    """Whatever is in a receipt's place of something, an empty array's too, both say the same of it."""
    spoilt = _spoil(msgpack.unpackb(data.draw(st.sampled_from((ALONE, HANDED_OVER, RECOVERED))).raw), data)
    ledger, script_ = _verdicts(bytes(msgpack.packb(spoilt)))
    assert ledger == script_


def _resigned(change: Callable[[list[Any]], object]) -> bytes:
    """The receipt across a recovery, with another payload of its decision, signed and handed over to."""
    fields = msgpack.unpackb(RECOVERED.raw)
    handover = fields[HANDOVERS][0]
    payload = change(msgpack.unpackb(msgpack.unpackb(handover[2][0][1])[0]))
    handover[2][0][1] = sample.signed(bytes(msgpack.packb(payload)), (10, 30))
    if (
        isinstance(payload, list)
        and len(payload) > 5
        and isinstance(payload[5], list)
        and len(payload[5]) > 4
    ):
        handover[1] = payload[5][4]
    return bytes(msgpack.packb(fields))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_ledger_and_script_agree_on_decisions(data: st.DataObject) -> None:
    """Also on what the members sign, well or badly formed: a decision's every field, and its validity."""
    assert _verdicts(_resigned(lambda payload: payload)) == (True, True)
    ledger, script_ = _verdicts(_resigned(lambda payload: _spoil(payload, data)))
    assert ledger == script_


def test_true_is_no_number_for_the_stand_alone_script(tmp_path: Path) -> None:
    """Python takes True for 1; the formats, and so the script, do not."""
    for place in (FORMAT, INDEX):
        file = tmp_path / "receipt"
        file.write_bytes(_changed(place, lambda _: True))
        assert _script(file, sample.network().hex()).returncode == 1


@pytest.mark.parametrize("raw", [b"", b"\x90", b"\x91" * 5_000, b"\xc0", b"\x9a" + b"\x00" * 10])
def test_bytes_that_are_no_receipt(raw: bytes, tmp_path: Path) -> None:
    """Empty, other layouts, nested without end: refused with a reason, by both."""
    with pytest.raises(ReceiptInvalid):
        verify_receipt(raw, sample.network())
    file = tmp_path / "receipt"
    file.write_bytes(raw)
    answer = _script(file, sample.network().hex())
    assert (answer.returncode, answer.stderr[:11]) == (1, "not proved:")


def test_stand_alone_script_refuses_wrong_usage(tmp_path: Path) -> None:
    """A network id that is none, a file that isn't there, another network."""
    file = tmp_path / "receipt"
    assert _script(file, sample.network().hex()).returncode == 2
    file.write_bytes(RECEIPT.raw)
    assert _script(file, "00").returncode == 2
    assert _script(file, "00" * 32).returncode == 1


def test_number_of_seals_at_its_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many seals as the limit says, and not one more; the limit is made small here to be reached."""
    assert MAX_SEALS == 10_000
    monkeypatch.setattr(receipt_module, "MAX_SEALS", 2)
    assert script.MAX_SEALS == MAX_SEALS
    monkeypatch.setattr(script, "MAX_SEALS", 2)
    assert verify_receipt(sample.receipt(later=2).raw, sample.network()).certified_height == 3
    assert _verdicts(sample.receipt(later=2).raw) == (True, True)
    with pytest.raises(ReceiptInvalid, match="more than 2 seals"):
        verify_receipt(sample.receipt(later=3).raw, sample.network())
    assert _verdicts(sample.receipt(later=3).raw) == (False, False)
