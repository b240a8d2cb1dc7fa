"""What a drill is planned to be, what its journal and report say, and that nothing of it is left over."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import MappingProxyType

import pytest

from cli.drill.journal import DrillStopped, Journal, Step
from cli.drill.original import look, look_again
from cli.drill.plan import loss_of, newcomer
from cli.drill.report import PAID, STOCK, Heading, document, markdown
from cli.drill.scratch import LOCK, PREFIX, scratch, sweep
from cli.errors import CommandError
from cli.exits import Exit
from ledger.records import NodeRecord
from node.plan import plan_network
from node.provision import create_network
from tests.unit.cli.conftest import PASSPHRASE, Nostro
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

FIVE = ("a", "b", "c", "d", "e")
HEADING = Heading("nostrodev", "ab" * 32, ("a",), ("b", "c"), None)


class Silent:
    """Shows nothing, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begun(self, name: str) -> None:
        """A step has begun."""
        self.told.append(f"begun {name}")

    def ended(self, step: Step) -> None:
        """It has ended."""
        self.told.append(f"ended {step.name}")


def _journal() -> Journal:
    """One whose clock goes on by a second at each look."""
    clock = iter(range(0, 1_000_000, 1_000))
    return Journal(Silent(), lambda: 1_790_000_000_000, lambda: next(clock))


@pytest.mark.parametrize(
    ("voters", "named", "survivors"),
    [
        (("b", "a"), (), ("a",)),
        (("a", "b", "c"), (), ("a",)),
        (("a", "b", "c", "d"), (), ("a",)),
        (FIVE, (), ("a", "b")),
        (FIVE, ("e",), ("e",)),
        (FIVE, ("e", "c", "e"), ("c", "e")),
    ],
)
def test_what_is_lost_is_a_quorum(
    voters: tuple[str, ...], named: tuple[str, ...], survivors: tuple[str, ...]
) -> None:
    """As many survive as are one too few, or those that are named; the others are lost."""
    loss = loss_of(voters, named)
    assert loss.survivors == survivors
    assert set(loss.lost) == set(voters) - set(survivors)


@pytest.mark.parametrize(
    ("voters", "named", "words"),
    [
        (("a",), (), "no quorum to lose"),
        (FIVE, ("a", "b", "c"), "3 are one"),
        (FIVE, ("a", "x"), "x is no voting node"),
    ],
)
def test_what_can_not_be_rehearsed(voters: tuple[str, ...], named: tuple[str, ...], words: str) -> None:
    """One node, survivors that are a quorum, a name that no voter has: a usage error that says so."""
    with pytest.raises(CommandError, match=words) as refused:
        loss_of(voters, named)
    assert refused.value.explained.exit is Exit.USAGE


def test_the_restored_node_has_a_new_id() -> None:
    """Of a member that lost its node, and none that the chain knows."""
    names = {"alpha-1": "alpha", "charlie-1": "charlie", "bravo-1": "bravo", "bravo-drill-1": "bravo"}
    nodes = MappingProxyType({node: _node(node, member) for node, member in names.items()})
    assert newcomer(nodes, ["charlie-1", "bravo-1"]) == ("bravo-drill-2", "bravo")
    assert newcomer(nodes, ["charlie-1"]) == ("charlie-drill-1", "charlie")


def _node(node: str, member: str) -> NodeRecord:
    return NodeRecord(node, member, b"\x04" + bytes(64), "localhost:7001", 0, 1, 0)


def test_a_step_that_fails_ends_the_drill_in_words() -> None:
    """It is noted with what it had checked, and the journal ends as it did."""
    journal = _journal()
    with journal.step("first") as checked:
        checked["height"] = 7

    def fails() -> None:
        with journal.step("second") as checked:
            checked["node"] = "a"
            raise CommandError("It broke.", "Mend it.", Exit.VIOLATION)

    with pytest.raises(DrillStopped, match="second"):
        fails()
    assert [(step.name, step.duration_ms, dict(step.checked)) for step in journal.steps] == [
        ("first", 1_000, {"height": 7}),
        ("second", 1_000, {"node": "a"}),
    ]
    assert journal.exit is Exit.VIOLATION


def test_a_fault_of_the_program_is_no_failed_step() -> None:
    """It keeps its traceback, as everywhere, and a person's Ctrl-C ends all."""
    for fault in (KeyError("x"), KeyboardInterrupt()):
        journal = _journal()
        with pytest.raises(type(fault)), journal.step("only"):
            raise fault
        assert journal.steps == []


def _passed() -> list[Step]:
    """The steps of a drill on which the figures rest."""
    stock = {"certified_height": 38, "kept_height": 40, "supply": {"EUR": 1_000}}
    return [
        Step("Copy", 1_790_000_000_000, 500, {"a_bytes": 4_096}),
        Step(STOCK, 1_790_000_000_500, 100, stock),
        Step("Start", 1_790_000_000_600, 1_500, {"nodes": ["a", "b"]}),
        Step(PAID, 1_790_000_002_100, 400, {"height": 43}),
        Step("Audit", 1_790_000_002_500, 9_000, {"clean": True}),
    ]


def test_the_report_has_recovery_time_and_point() -> None:
    """The time from the stock to the payment; the blocks from the last certificate to the last one kept."""
    found = document(HEADING, _passed())
    assert json.loads(json.dumps(found)) == found
    assert (found["passed"], found["recovery_time_ms"], found["duration_ms"]) == (True, 2_000, 11_500)
    assert found["recovery_point"] == {"certified_height": 38, "kept_height": 40, "blocks_between": 2}
    text = markdown(found)
    assert "**Recovery time**: 2.0 s" in text
    assert "block 40 kept, block 38 certified: 2 between" in text
    assert "| Start | 2026-09-21 14:13:20.600Z | 1.5 s | passed |" in text
    assert "- supply: `EUR 1,000`" in text
    assert "- clean: `yes`" in text


def test_the_report_says_what_failed_and_what_to_do() -> None:
    """A drill that ended early has no recovery time; one without any step didn't pass either."""
    failure = CommandError("Node a did not start.", "See its log.").explained
    steps = [*_passed()[:2], Step("Start", 1_790_000_000_600, 1_500, {}, failure)]
    found = document(HEADING, steps)
    assert (found["passed"], found["recovery_time_ms"]) == (False, None)
    text = markdown(found)
    assert "**Result**: FAILED" in text
    assert "**It failed**: Node a did not start." in text
    assert "**What to do**: See its log." in text
    empty = document(HEADING, [])
    assert (empty["passed"], empty["recovery_point"], empty["started"]) == (False, None, None)


def test_the_copies_are_removed_or_kept(tmp_path: Path) -> None:
    """Also when the drill is broken off; those that are kept no later drill removes."""

    def broken_off() -> None:
        with scratch(tmp_path, keep=False) as folder:
            assert folder.stat().st_mode & 0o077 == 0
            (folder / "secret").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert list(tmp_path.iterdir()) == []
    with scratch(tmp_path, keep=True) as kept:
        (kept / "log").touch()
    with scratch(tmp_path, keep=False):
        pass
    assert [file.name for file in kept.iterdir()] == ["log"]


def test_sigterm_ends_a_drill_and_removes_the_copies(tmp_path: Path) -> None:
    """As cron, systemd or `timeout` end it: the exit code is a shell's for that signal."""
    before = signal.getsignal(signal.SIGTERM)

    def ended() -> None:
        with scratch(tmp_path, keep=False) as folder:
            (folder / "secret").touch()
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                assert folder.is_dir()

    with pytest.raises(SystemExit) as told:
        ended()
    assert told.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_drill_that_ends_while_another_looks_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder was listed, and is gone; what was killed is removed all the same."""
    killed = tmp_path / f"{PREFIX}killed"
    killed.mkdir()
    (killed / LOCK).touch()
    monkeypatch.setattr(Path, "glob", lambda parent, pattern: iter([parent / f"{PREFIX}gone", killed]))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_drill_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """And nothing that another drill, which runs, still has; nor what only bears such a name."""
    killed, other = tmp_path / f"{PREFIX}killed", tmp_path / f"{PREFIX}other"
    for folder in (killed, other):
        folder.mkdir()
    (killed / LOCK).touch()
    (tmp_path / f"{PREFIX}link").symlink_to(other)
    with scratch(tmp_path, keep=False) as running:
        assert not killed.exists()
        sweep(tmp_path)
        assert running.is_dir()
    assert other.is_dir()


def test_a_stopped_store_that_changed_is_told(tmp_path: Path) -> None:
    """A drill that finds a real store other than before ends as a violation; else it says how nodes are."""
    plan = plan_network(nodes=2, ports=list(range(1, 7)))
    network = create_network(plan, tmp_path / "net", PASSPHRASE, keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))
    data = network.config("alpha-1").parent / "data"
    data.mkdir()
    before = look(network)
    assert look_again(network, before) == {"alpha-1": "is stopped", "bravo-1": "is stopped"}
    (data / "CURRENT").touch()
    with pytest.raises(CommandError, match="alpha-1 is not as it was") as told:
        look_again(network, before)
    assert told.value.explained.exit is Exit.VIOLATION


def test_nothing_is_begun_without_keys_or_a_place_for_the_report(nostro: Nostro, tmp_path: Path) -> None:
    """A wrong passphrase and a folder that isn't there are told of at once, and no copy is made."""
    plan = plan_network(nodes=2, ports=list(range(1, 7)))
    create_network(plan, tmp_path / "net", PASSPHRASE, keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))
    scratch_here = ("--scratch", tmp_path / "scratch")
    (tmp_path / "scratch").mkdir()
    wrong = nostro("drill", "net", *scratch_here, NOSTRO_PASSPHRASE="wrong")
    assert wrong.exit_code == Exit.ERROR
    no_place = nostro(
        "drill", "net", *scratch_here, "--report", "none/report.md", NOSTRO_PASSPHRASE=PASSPHRASE
    )
    assert no_place.exit_code == Exit.ERROR
    assert "There is no folder none for the report" in no_place.output
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not list(tmp_path.glob("*.md"))


def test_without_stores_the_first_step_says_so(nostro: Nostro, tmp_path: Path) -> None:
    """A network that never ran: the report is written all the same, and the copies are gone."""
    plan = plan_network(nodes=2, ports=list(range(1, 7)))
    create_network(plan, tmp_path / "net", PASSPHRASE, keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))
    (tmp_path / "scratch").mkdir()
    ended = nostro(
        *("drill", "net", "--scratch", tmp_path / "scratch", "--report", "r.md", "--json"),
        NOSTRO_PASSPHRASE=PASSPHRASE,
    )
    found = json.loads(ended.stdout)
    assert (ended.exit_code, found["passed"], found["report"]) == (Exit.ERROR, False, "r.md")
    assert [step["result"] for step in found["steps"]] == ["failed", "passed"]
    assert "there is no store" in found["steps"][0]["error"]["message"].lower()
    assert "**What to do**" in (tmp_path / "r.md").read_text()
    assert list((tmp_path / "scratch").iterdir()) == []
