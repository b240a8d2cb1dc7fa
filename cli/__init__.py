"""The command `nostro`: what a person types, one module a command group.

It is the top floor: it may use every other, and no other imports it. It must not hold rules of the ledger nor
know how a node works inside; a command reads its arguments, asks the floors below, and shows the answer.
"""
