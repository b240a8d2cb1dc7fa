"""A person's side of the ledger: keys, keystore, offline signing, and the client of the nodes' API.

It runs on a customer's or a teller's machine. It must not know the node, the API's code or consensus: what it
shares with them is the ledger's formats and the wire.
"""
