"""Invariants: what must hold after every block, whatever the rules did. A broken one stops the node.

They are checked on what a block changed, against what stood before, independently of the rules that changed
it. Must not know any kind of transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from ledger.bodies import Flag
from ledger.codec import MAX_INTEGER, Record
from ledger.draft import Draft
from ledger.records import LEARNER, NO_HISTORY, RETIRED, VOTING, Account, AssetRecord, HistoryRow
from ledger.registry import Registry, electorate_of
from ledger.rules.base import InvariantViolated
from ledger.schedule import LOOK_BACK

_CLOSED: Final = Flag.CLOSED.value
_NEVER_CHANGE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "member": ("number", "id", "since_height"),
        "node": ("id", "member", "key", "since_height"),
        "asset": AssetRecord.__struct_fields__,
    }
)


def check_invariants(draft: Draft) -> None:
    """Check everything on a block's draft; raises InvariantViolated at the first that does not hold."""
    before, after = draft.before, draft.accounts
    check_conservation(before, after)
    check_rows(before, after, draft.rows)
    for account_id, account in after.items():
        check_account(account)
        earlier = before[account_id]
        if earlier is None:
            check_opened(account, draft.height)
        else:
            check_step(earlier, account)
    opened = sorted(after[id_].number for id_, earlier in before.items() if earlier is None)
    check_numbers(opened, draft.state.progress.account_count, draft.account_count)
    check_ids(draft.rows, draft.id_changes, len(draft.log_leaves))
    check_registry(draft.state.registry, draft.registry, draft.height)


def check_conservation(before: Mapping[bytes, Account | None], after: Mapping[bytes, Account]) -> None:
    """Σ debits = Σ credits per asset, posted and pending apart, over what the accounts changed by."""
    posted: dict[str, int] = {}
    pending: dict[str, int] = {}
    for account_id, account in after.items():
        earlier = before[account_id]
        net = account.debits_posted - account.credits_posted
        held = account.debits_pending - account.credits_pending
        if earlier is not None:
            net -= earlier.debits_posted - earlier.credits_posted
            held -= earlier.debits_pending - earlier.credits_pending
        posted[account.asset] = posted.get(account.asset, 0) + net
        pending[account.asset] = pending.get(account.asset, 0) + held
    for name, sums in (("conservation_posted", posted), ("conservation_pending", pending)):
        for asset, net in sums.items():
            if net:
                raise InvariantViolated(name, f"{asset}: debits exceed credits by {net} minor units")


def check_rows(
    before: Mapping[bytes, Account | None], after: Mapping[bytes, Account], rows: Sequence[HistoryRow]
) -> None:
    """Accounts changed by what the rows' entries say; a row posts as much as it takes, a refusal nothing."""
    totals: dict[int, list[int]] = {}
    for account_id, account in after.items():
        was = before[account_id]
        totals[account.number] = (
            [0, 0, 0] if was is None else [was.entry_count, was.debits_posted, was.credits_posted]
        )
    for index, row in enumerate(rows):
        net = 0
        for entry in row.entries:
            total = totals.get(entry.number)
            if total is None:
                raise InvariantViolated(
                    "entries_agree", f"row {index} names untouched account {entry.number}"
                )
            debit, credit = entry.debit, entry.credit
            total[0] += 1
            total[1] += debit
            total[2] += credit
            net += debit - credit
            if row.outcome and (debit or credit):
                raise InvariantViolated("refusals_post_nothing", f"row {index} has outcome {row.outcome}")
        if net:
            raise InvariantViolated(
                "rows_balance", f"row {index}: debits exceed credits by {net} minor units"
            )
    for account in after.values():
        stands = [account.entry_count, account.debits_posted, account.credits_posted]
        if stands != totals[account.number]:
            raise InvariantViolated(
                "entries_agree",
                f"account {account.number}: entries, debits, credits are {stands}, its entries say "
                f"{totals[account.number]}",
            )


def check_account(account: Account) -> None:
    """No overdraft beyond the limit, nothing on a closed account, no counter beyond the largest integer."""
    if account.credits_posted - account.debits_posted + account.limit < 0:
        raise InvariantViolated(
            "no_overdraft",
            f"account {account.number} stands at {account.balance} with a limit of {account.limit}",
        )
    if account.available < 0:
        raise InvariantViolated("no_overdraft", f"account {account.number} has {account.available} available")
    if account.debits_posted > MAX_INTEGER or account.credits_posted > MAX_INTEGER:
        raise InvariantViolated(
            "counters_in_range", f"account {account.number} has passed the largest integer"
        )
    if account.flags & _CLOSED and (
        account.debits_posted != account.credits_posted or account.debits_pending or account.credits_pending
    ):
        raise InvariantViolated(
            "closed_is_empty", f"account {account.number} is closed and holds or owes money"
        )


def check_opened(account: Account, height: int) -> None:
    """A new account is of this block, at its first entry and without a limit."""
    if account.opened_height != height or (account.limit and account.version == 1):
        raise InvariantViolated("opened_plain", f"account {account.number} opened at {account.opened_height}")


def check_step(before: Account, after: Account) -> None:
    """Counters never decrease, identity and closed accounts never change, a new version tells of a change."""
    if (
        after.debits_posted < before.debits_posted
        or after.credits_posted < before.credits_posted
        or after.version < before.version
        or after.entry_count <= before.entry_count
    ):
        raise InvariantViolated("counters_never_decrease", f"account {after.number}")
    if (
        after.number != before.number
        or after.id != before.id
        or after.member != before.member
        or after.asset != before.asset
        or after.opened_height != before.opened_height
        or after.reference != before.reference
    ):
        raise InvariantViolated("identity_never_changes", f"account {before.number}")
    if before.flags & _CLOSED and (
        after.version != before.version
        or after.flags != before.flags
        or after.debits_posted != before.debits_posted
        or after.credits_posted != before.credits_posted
    ):
        raise InvariantViolated("closed_never_changes", f"account {before.number}")
    if after.version == before.version and (
        after.flags != before.flags
        or after.limit != before.limit
        or (after.policy is not before.policy and after.policy != before.policy)
    ):
        raise InvariantViolated("version_counts_changes", f"account {before.number}")


def check_numbers(opened: Sequence[int], count_before: int, count_after: int) -> None:
    """New accounts take the numbers that follow, none left out."""
    if list(opened) != list(range(count_before, count_after)):
        raise InvariantViolated(
            "numbers_follow", f"accounts {list(opened)} opened between {count_before} and {count_after}"
        )


def check_ids(rows: Sequence[HistoryRow], id_rows: Collection[bytes], logged: int) -> None:
    """Each id that was consumed has one new row and one record in the log; only executed rows need one."""
    if len(id_rows) != logged:
        raise InvariantViolated("ids_consumed_once", f"{logged} ids were logged, {len(id_rows)} are new")
    executed = sum(1 for row in rows if not row.outcome)
    if executed > logged:
        raise InvariantViolated("ids_consumed_once", f"{executed} transactions executed, {logged} ids logged")


def check_registry(before: Registry, after: Registry, height: int) -> None:
    """Nothing vanishes from the registry, what identifies its records stands, and the look-back is kept."""
    if before is after:
        return
    kept: tuple[tuple[str, Mapping[str, Record], Mapping[str, Record]], ...] = (
        ("member", before.members, after.members),
        ("node", before.nodes, after.nodes),
        ("asset", before.assets, after.assets),
    )
    for what, earlier, later in kept:
        for name, record in earlier.items():
            now = later.get(name)
            if now is None or any(getattr(now, f) != getattr(record, f) for f in _NEVER_CHANGE[what]):
                raise InvariantViolated("registry_only_grows", f"{what} {name}")
    if [member.number for member in after.members.values()] != list(range(len(after.members))):
        raise InvariantViolated("numbers_follow", "members")
    check_schedules(before, after, height)
    check_membership(before, after, height)
    check_certifiers(before, after, height)
    check_electorates(before, after, height)


def _is_recovery(after: Registry, height: int) -> bool:
    return height in after.recoveries


def check_schedules(before: Registry, after: Registry, height: int) -> None:
    """What is in force within the look-back stands; only a recovery voids decisions at once.

    It may bend the rule of certificates too, by which no block is judged.
    """
    is_recovery = _is_recovery(after, height)
    for what in ("parameters", "rules", "membership_decisions"):
        if what == "membership_decisions" and is_recovery:
            continue
        in_force = [
            [entry for entry in getattr(registry, what).entries if entry[0] < height + LOOK_BACK]
            for registry in (before, after)
        ]
        if what == "parameters" and is_recovery:
            in_force = [_apart_from_rule(registry, height) for registry in (before, after)]
        if in_force[0] != in_force[1]:
            raise InvariantViolated("look_back_is_kept", f"{what} before height {height + LOOK_BACK}")


def _apart_from_rule(registry: Registry, height: int) -> list[object]:
    """The parameters' past, and those of each height of the look-back without their rule."""
    past = [entry for entry in registry.parameters.entries if entry[0] < height]
    coming = [registry.parameters_at(height + ahead) for ahead in range(LOOK_BACK)]
    return [*past, *(replace(parameters, certificate_rule=0) for parameters in coming)]


def check_membership(before: Registry, after: Registry, height: int) -> None:
    """Somebody votes, one node a member; records agree; who has left stays away; a change is counted once."""
    record, members = after.membership, after.membership.membership
    voters = [after.nodes[node].member for node in members.voters]
    if not voters or len(set(voters)) != len(voters):
        raise InvariantViolated("one_vote_a_member", f"the voters are {', '.join(members.voters)}")
    if any(node in members.learners for node in members.nodes if members.votes(node)):
        raise InvariantViolated("learners_do_not_vote", f"the learners are {', '.join(members.learners)}")
    for node in after.nodes.values():
        status = VOTING if members.votes(node.id) else LEARNER if node.id in members else node.status
        left = node.id in before.membership.membership and node.id not in members
        if node.status != status or (status in (VOTING, LEARNER)) != (node.id in members):
            raise InvariantViolated("nodes_agree_with_membership", f"node {node.id} has status {node.status}")
        was = before.nodes.get(node.id)
        if (left or (was is not None and was.status == RETIRED)) and node.status != RETIRED:
            raise InvariantViolated("retired_for_ever", f"node {node.id}")
    # A recovery is a change even where the same nodes vote on.
    changed = members != before.membership.membership or _is_recovery(after, height)
    if record.version != before.membership.version + changed or (changed and record.changed_height != height):
        raise InvariantViolated("changes_are_counted", f"membership version {record.version}")


def check_certifiers(before: Registry, after: Registry, height: int) -> None:
    """The certifiers noted for the next height are those in force there; those before are never rewritten."""
    kept = [entry for entry in before.certifiers if entry[0] < height or not _is_recovery(after, height)]
    if list(after.certifiers[: len(kept)]) != kept:
        raise InvariantViolated("registry_only_grows", "certifiers")
    if after.certifiers_at(height + 1) != after.certifiers_after(height):
        raise InvariantViolated("certifiers_are_noted", f"height {height + 1}")


def check_electorates(before: Registry, after: Registry, height: int) -> None:
    """The electorate noted is that of the members; recoveries are added to, by this height's alone."""
    if after.electorates[: len(before.electorates)] != before.electorates:
        raise InvariantViolated("registry_only_grows", "electorates")
    if after.electorate_at(height) != electorate_of(after.members):
        raise InvariantViolated("electorates_are_noted", f"height {height}")
    earlier = {at: recovery for at, recovery in after.recoveries.items() if at != height}
    if earlier != before.recoveries:
        raise InvariantViolated("registry_only_grows", "recoveries")


def check_whole(accounts: Iterable[Account]) -> dict[str, int]:
    """Check a whole state's accounts; gives each asset's supply: what is held above zero, in minor units.

    Raises InvariantViolated.
    """
    posted: dict[str, int] = {}
    pending: dict[str, int] = {}
    supply: dict[str, int] = {}
    for expected, account in enumerate(accounts):
        if account.number != expected:
            raise InvariantViolated(
                "numbers_follow", f"account {expected} is missing, {account.number} follows"
            )
        check_account(account)
        if (account.entry_count == 0) != (account.history_hash == NO_HISTORY):
            raise InvariantViolated(
                "entries_agree", f"account {expected}: history without entries or reverse"
            )
        posted[account.asset] = posted.get(account.asset, 0) - account.balance
        held = account.debits_pending - account.credits_pending
        pending[account.asset] = pending.get(account.asset, 0) + held
        supply[account.asset] = supply.get(account.asset, 0) + max(0, account.balance)
    for name, sums in (("conservation_posted", posted), ("conservation_pending", pending)):
        for asset, net in sums.items():
            if net:
                raise InvariantViolated(name, f"{asset}: debits exceed credits by {net} minor units")
    return supply
