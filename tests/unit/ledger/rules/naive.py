"""A ledger as simple as can be: the dumb twin that the rules are compared with.

It keeps plain dicts, reads bodies field by field, and shares no code with ledger/rules; it knows nothing of
trees, rows or caches. Outcomes are their names.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgpack

from ledger.envelope import Envelope
from ledger.genesis import Genesis

MOST = 2**63 - 1


def meets(policy: Any, signers: tuple[bytes, ...]) -> bool:
    """Whether the signers' weights reach the threshold."""
    weights = [int(key.weight) for key in policy.keys if key.key in signers]
    return sum(weights) >= int(policy.threshold)


def new_id(member: str, asset: str, tx_id: bytes) -> bytes:
    """An account's id, by the formula of the formats."""
    tag = b"nostro/account/v1\x00"
    return b"\x00" + sha256(tag + msgpack.packb([member, asset, tx_id])).digest()[:20]


class NaiveLedger:
    """Accounts, members, nodes and assets in dicts."""

    def __init__(self, genesis: Genesis) -> None:
        """Start from genesis."""
        self.members: dict[str, dict[str, Any]] = {
            m.id: {"admin": m.admin_policy, "teller": m.teller_policy, "version": 1} for m in genesis.members
        }
        self.nodes: dict[str, dict[str, Any]] = {
            n.id: {"member": n.member, "key": n.key, "version": 1} for n in genesis.nodes
        }
        self.assets: dict[str, str] = {}
        self.accounts: dict[bytes, dict[str, Any]] = {}
        self.issuance: set[bytes] = set()
        self.used: dict[tuple[bytes, bytes], bytes] = {}
        for index, asset in enumerate(genesis.assets):
            self.assets[asset.code] = asset.issuer
            account = new_id(asset.issuer, asset.code, index.to_bytes(16, "big"))
            self._open(account, asset.issuer, asset.code, asset.issuance_policy, asset.limit)
            self.issuance.add(account)

    def transact(self, envelope: Envelope) -> str:
        """Execute one transaction and name its outcome."""
        author, body = envelope.payload.author, envelope.body
        kind = type(body).__name__
        use = (author, envelope.payload.tx_id)
        if self.used.get(use) == envelope.signing_hash:
            return "duplicate_of"
        refusal = self._authority(kind, author, body, envelope.payload.signers)
        if refusal:
            return refusal
        if use in self.used:
            return "id_used_with_other_content"
        self.used[use] = envelope.signing_hash
        outcome: str = getattr(self, "_" + kind)(author, body, envelope.payload.tx_id)
        if author in self.accounts and outcome != "executed":
            self.accounts[author]["entries"] += 1
        return outcome

    def _authority(self, kind: str, author: bytes, body: Any, signers: tuple[bytes, ...]) -> str:
        account = self.accounts.get(author)
        member = self.members.get(author.decode("latin-1"))
        if account is None and member is None:
            return "unknown_author"
        own = {"Transfer", "SetPolicy", "CloseAccount"}
        by_member = {
            "SetPolicy": "admin",
            "SetLimit": "admin",
            "SetFlags": "teller",
            "CloseAccount": "teller",
        }
        if account is not None:
            if kind not in own:
                return "not_permitted"
            if not meets(account["policy"], signers):
                return "policy_not_met"
            if kind == "CloseAccount" and author in self.issuance:
                return "not_permitted"
            return "not_permitted" if kind != "Transfer" and body.account != author else ""
        if member is None or kind == "Transfer":
            return "not_permitted"
        if kind in ("SetMember", "SetNode", "CreateAsset"):
            for_it = [m for m in self.members.values() if meets(m["admin"], signers)]
            return "" if len(for_it) > len(self.members) / 2 else "policy_not_met"
        if not meets(member[by_member.get(kind, "teller")], signers):
            return "policy_not_met"
        target = self.accounts.get(getattr(body, "account", b""))
        if kind == "OpenAccount" or target is None:
            return ""
        if kind == "CloseAccount" and body.account in self.issuance:
            return "not_permitted"
        name = author.decode()
        keeps, issues = target["member"] == name, self.assets[target["asset"]] == name
        may = {"SetPolicy": keeps, "CloseAccount": keeps, "SetLimit": issues, "SetFlags": keeps or issues}
        return "" if may[kind] else "not_permitted"

    def _open(self, account: bytes, member: str, asset: str, policy: Any, limit: int = 0) -> None:
        self.accounts[account] = {
            "member": member,
            "asset": asset,
            "policy": policy,
            "limit": limit,
            "flags": 0,
            "version": 1,
            "debits": 0,
            "credits": 0,
            "entries": 0,
        }

    def _OpenAccount(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        account = new_id(author.decode(), body.asset, tx_id)
        if body.asset not in self.assets:
            return "unknown_asset"
        if account in self.accounts:
            return "already_exists"
        self._open(account, author.decode(), body.asset, body.policy)
        self.accounts[account]["entries"] = 1
        return "executed"

    def _Transfer(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        payer, payee = self.accounts[author], self.accounts.get(body.credit)
        if payee is None:
            return "unknown_account"
        if payer["flags"] & 4 or payee["flags"] & 4:
            return "account_closed"
        if payer["flags"] & 1 or payer["flags"] & 8:
            return "debit_frozen"
        if payee["flags"] & 2 or payee["flags"] & 16:
            return "credit_frozen"
        if not payer["asset"] == payee["asset"] == body.asset:
            return "wrong_asset"
        if payer is payee:
            return "same_account"
        if payer["credits"] - payer["debits"] + payer["limit"] < body.amount:
            return "insufficient_funds"
        if payer["debits"] + body.amount > MOST or payee["credits"] + body.amount > MOST:
            return "amount_overflow"
        payer["debits"] += body.amount
        payee["credits"] += body.amount
        payer["entries"] += 1
        payee["entries"] += 1
        return "executed"

    def _change(self, body: Any, **changed: Any) -> str:
        account = self.accounts[body.account]
        account.update(changed)
        account["version"] += 1
        account["entries"] += 1
        return "executed"

    def _changeable(self, body: Any) -> str:
        account = self.accounts.get(body.account)
        if account is None:
            return "unknown_account"
        if account["flags"] & 4:
            return "account_closed"
        return "" if account["version"] == body.expected_version else "version_mismatch"

    def _SetPolicy(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        return self._changeable(body) or self._change(body, policy=body.policy)

    def _SetLimit(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        refusal = self._changeable(body)
        if refusal:
            return refusal
        account = self.accounts[body.account]
        if account["debits"] - account["credits"] > body.limit:
            return "limit_below_balance"
        return self._change(body, limit=body.limit)

    def _SetFlags(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        refusal = self._changeable(body)
        if refusal:
            return refusal
        account, name = self.accounts[body.account], author.decode()
        for bit in (1, 2, 4, 8, 16):
            changes = account["flags"] & bit != body.flags & bit
            party = {1: account["member"], 2: account["member"], 4: None}.get(
                bit, self.assets[account["asset"]]
            )
            if changes and party != name:
                return "flags_not_permitted"
        return self._change(body, flags=body.flags)

    def _CloseAccount(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        refusal = self._changeable(body)
        if refusal:
            return refusal
        account = self.accounts[body.account]
        if account["debits"] != account["credits"]:
            return "balance_not_zero"
        return self._change(body, flags=account["flags"] | 4)

    def _SetMember(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        version = self.members.get(body.id, {"version": 0})["version"]
        if version != body.expected_version:
            return "already_exists" if body.expected_version == 0 else "version_mismatch"
        self.members[body.id] = {
            "admin": body.admin_policy,
            "teller": body.teller_policy,
            "version": version + 1,
        }
        return "executed"

    def _SetNode(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        known = self.nodes.get(body.id)
        version = known["version"] if known else 0
        if body.expected_version not in (0, version):
            return "version_mismatch"
        if body.member not in self.members:
            return "unknown_member"
        if body.expected_version != version or any(
            node["key"] == body.key for name, node in self.nodes.items() if name != body.id
        ):
            return "already_exists"
        if known and (known["key"] != body.key or known["member"] != body.member):
            return "key_not_replaceable"
        self.nodes[body.id] = {"member": body.member, "key": body.key, "version": version + 1}
        return "executed"

    def _CreateAsset(self, author: bytes, body: Any, tx_id: bytes) -> str:  # noqa: N802  # named after the body
        if body.issuer not in self.members:
            return "unknown_member"
        if body.code in self.assets:
            return "already_exists"
        self.assets[body.code] = body.issuer
        account = new_id(body.issuer, body.code, tx_id)
        self._open(account, body.issuer, body.code, body.issuance_policy)
        self.issuance.add(account)
        self.accounts[account]["entries"] = 1
        return "executed"
