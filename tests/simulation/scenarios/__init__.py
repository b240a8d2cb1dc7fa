"""Known Raft bugs as short readable scenarios (*.txt), and the runner that plays them.

It must not know ledger or node. Each scenario is documentation too: it begins with what went wrong elsewhere.
"""
