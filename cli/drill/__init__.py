"""`nostro drill`: rehearses a lost quorum and a restore on copies, and reports.

It must not know how a recovery, a backup or a copy is made: `node` does that.
"""
