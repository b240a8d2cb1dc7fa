"""One running node: storage, the one loop, and what connects it to the world.

It must not be imported by anything but the command line: ledger, consensus, api and wallet don't know it.
"""
