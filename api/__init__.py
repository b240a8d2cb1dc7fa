"""The HTTP face of a node: routes, JSON shapes, problems and limits.

It knows the ledger's formats and a `Host` (api.ports) that answers for the node. It must not know how the
node keeps, orders or replicates anything: nothing here imports the node, consensus or the wallet.
"""
