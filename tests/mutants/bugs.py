"""The bugs that ledgers and Raft implementations have really had; each is planted at least once.

It must not know where or how. The names are what a mutant's field `bug` says.
"""

from typing import Final

CONSENSUS: Final = {
    "figure-8": "Counting replicas for an entry of an older term.",
    "read-before-own-commit": "Serving ReadIndex before the term's first commit.",
    "old-ack-newer-read": "An old acknowledgement confirms a newer read.",
    "hint-is-match": "Taking the hint of a refusal for a match.",
    "truncating-without-conflict": "Cutting the log where nothing conflicts.",
    "truncating-on-step-down": "Cutting the log on stepping down.",
    "vote-lost-on-step-down": "Losing the vote on stepping down within a term.",
    "higher-term-is-vote": "Taking a higher term for a vote.",
    "pre-vote-refusal-without-term": "Pre-vote refusals without a term: a deadlock.",
    "own-unsynced-copy": "Counting one's own unsynced copy.",
    "overwritten-write-in-flight": "Overwriting an append in flight without writing the new one.",
    "promise-before-fsync": "Acknowledging or voting before the disk has it.",
    "applied-apart-from-state": "Storing the applied height apart from the state.",
    "probe-without-exit": "A probe that waits for ever for a lost answer.",
    "snapshot-without-exit": "A snapshot in transit that is never offered again.",
    "throttle-without-exit": "A full window that nothing frees.",
    "change-before-own-commit": "Changing the membership before one's term has committed, or twice at once.",
    "single-step-membership": "Majorities before and after a change of membership that need not overlap.",
    "learners-count": "Counting learners.",
    "uncommitted-membership-kept": "Keeping an uncommitted membership across a cut or a snapshot.",
    "snapshot-older-than-join": "Refusing a snapshot that is older than one's joining.",
    "removed-voter-withdraws": "Whoever is let go stands for election no more before that is committed.",
    "removed-leader-stays": "A leader that stays after it was removed.",
    "removed-node-disturbs": "A removed node's candidacies depose the leader.",
    "transfer-survives-step-down": "A transfer under way that outlives the leadership.",
    "mutated-after-emission": "A message or batch that changes after it was handed out.",
    "transfer-without-exit": "A transfer that never ends.",
    "transfer-too-early": "Handing over to a node that lacks entries.",
    "older-log-elected": "Electing a node with the longer log instead of the newer.",
    "deposed-leader-reads": "Reads confirmed by a leader that was replaced.",
    "read-before-applied": "Reads answered before their index is applied.",
    "isolated-leader-stays": "A leader without a quorum that goes on leading.",
    "commit-beyond-append": "A follower commits what its leader hasn't compared.",
    "stale-refusal": "A late refusal takes back what was acknowledged.",
    "lying-acknowledgement": "Believing an acknowledgement of entries that don't exist.",
    "vote-lost-on-restart": "Forgetting the vote over a restart.",
    "going-on-after-violation": "Going on after something that Raft excludes.",
    "middle-taken-for-tail": "A bad checksum in the middle taken for a torn tail.",
    "opening-within-look-back": "No opening block beyond the look-back: nobody can take over.",
}
"""Of consensus and of the driver around it."""

LEDGER: Final = {
    "double-execution": "A payment that stands on the chain twice is executed twice.",
    "overdraft": "An account pays out one unit more than it has.",
    "id-before-authority": "A stranger uses up another's transaction id.",
    "retry-after-rotation": "A retry after a change of keys is refused, though the payment was made.",
    "expired": "A payment is executed at the end of its validity.",
    "half-is-no-majority": "Half of the members govern.",
    "below-quorum": "A certificate of too few signatures, or of one node's twice.",
    "sealed-twice": "A node seals one height twice.",
    "seal-before-sync": "A seal leaves before what it certifies is on the disk.",
    "basis-of-opening": "An opening block takes the values of its own height.",
    "unverified-signature": "A block is acknowledged though a payment's signature is another's.",
    "equivocation-unnoticed": "Another block of the same height and term passes for the one that is there.",
    "restored-store": "A node goes on from an old copy of its store.",
    "lost-seal": "A seal that got lost is never asked for.",
    "lost-in-pool": "A payment that a node has accepted stays with it until it expires.",
    "proposed-twice": "A payment stands in several blocks that are under way.",
    "malleable": "One payment has several encodings, and so several hashes.",
    "second-preimage": "An inner node of a tree passes for a leaf.",
    "freeze-ignored": "A frozen account pays.",
    "policy-below-threshold": "Fewer signers than its policy asks for act for an account.",
    "look-back-too-short": "A decision takes effect before every node can know of it.",
}
"""Of the rules, and of how a node follows them."""

KNOWN: Final = CONSENSUS | LEDGER
