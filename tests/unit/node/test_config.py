"""The configuration file: what is read, and how each mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import CONFIG_FILE_BYTES, ConfigError, Limits, Listen, load_config, render_config
from node.mempool import MempoolLimits


def _text() -> str:
    return render_config(
        node="alpha-1",
        member="alpha",
        peer=Listen("127.0.0.1", 7400),
        api=Listen("127.0.0.1", 7401),
        admin=Listen("127.0.0.1", 7402),
        api_urls={"alpha-1": "https://127.0.0.1:7401", "bravo-1": "https://127.0.0.1:7404"},
    )


def _load(folder: Path, text: str) -> None:
    (folder / "node.toml").write_text(text)
    load_config(folder / "node.toml")


def test_what_is_rendered_is_read_again_with_paths_from_the_file(tmp_path: Path) -> None:
    """A provisioned configuration loads, and its relative paths start at the file's folder."""
    (tmp_path / "node.toml").write_text(_text())
    config = load_config(tmp_path / "node.toml")
    assert (config.node, config.member) == ("alpha-1", "alpha")
    assert config.genesis == tmp_path / "genesis.bin"
    assert config.api == Listen("127.0.0.1", 7401)
    assert config.api_urls["bravo-1"] == "https://127.0.0.1:7404"


def test_a_peer_may_be_dialled_elsewhere_than_the_chain_says(tmp_path: Path) -> None:
    """`peer_addresses` takes a host and a port a node, and names an entry that is none."""
    table = '\n[peer_addresses]\nbravo-1 = "gateway.alpha.example:7500"\n'
    (tmp_path / "node.toml").write_text(_text() + table)
    assert load_config(tmp_path / "node.toml").peer_addresses == {"bravo-1": "gateway.alpha.example:7500"}
    with pytest.raises(ConfigError, match=r"\$\.peer_addresses"):
        _load(tmp_path, _text() + table.replace(":7500", ""))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says which file and what writes one."""
    with pytest.raises(ConfigError, match=r"absent\.toml.*nostro network new"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "alpha-1"\n', "", "missing required field `id`"),
        ('member = "alpha"', 'member = "Alpha!"', r"\$\.node\.member"),
        ("tick_ms = 25", "tick_ms = 4", r"\$\.timing\.tick_ms"),
        ("tick_ms = 25", "tock_ms = 25", "unknown field `tock_ms`"),
        ("port = 7400", "port = 65536", r"\$\.peer\.port"),
        ("[timing]", "[timing", "is not a node's configuration"),
        ('level = "info"', 'level = "loud"', r"\$\.log\.level"),
    ],
)
def test_a_mistake_is_refused_with_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Missing, misspelt and out-of-range values each say where they stand."""
    text = _text()
    assert old in text
    with pytest.raises(ConfigError, match=said):
        _load(tmp_path, text.replace(old, new, 1))


@pytest.mark.parametrize(("tick_ms", "fits"), [(5, True), (4, False), (10_000, True), (10_001, False)])
def test_the_tick_has_bounds(tmp_path: Path, tick_ms: int, fits: bool) -> None:
    """At the bound it is taken, beyond it refused."""
    text = _text().replace("tick_ms = 25", f"tick_ms = {tick_ms}")
    if fits:
        _load(tmp_path, text)
    else:
        with pytest.raises(ConfigError, match="tick_ms"):
            _load(tmp_path, text)


def test_the_file_has_a_longest_length(tmp_path: Path) -> None:
    """A file of the limit is read, one byte more is refused."""
    text = _text()
    filled = text + "#" * (CONFIG_FILE_BYTES - len(text.encode()))
    _load(tmp_path, filled)
    with pytest.raises(ConfigError, match="at most"):
        _load(tmp_path, filled + "#")


def test_the_pool_is_as_large_as_the_documents_say() -> None:
    """One size of the pool and of a member's share, in the configuration, in the pool and on the pages."""
    limits, pool = Limits(), MempoolLimits()
    configured = (limits.mempool_transactions, limits.mempool_bytes, limits.member_transactions)
    assert configured == (pool.transactions, pool.bytes, pool.member_transactions)
    assert pool.member_transactions < pool.transactions
    share = f"{pool.member_transactions:,}"
    bounds = (
        f"| pool | {pool.transactions:,} transactions, {pool.bytes // 2**20} MiB, {share} of one member |"
    )
    docs = Path(__file__).parents[3] / "docs"
    assert bounds in (docs / "node.md").read_text(encoding="utf-8")
    assert f"| `limits.member_transactions` | {share} |" in (docs / "operating.md").read_text(
        encoding="utf-8"
    )
