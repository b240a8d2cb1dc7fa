"""Raft as a pure, deterministic state machine: agreement on a log of opaque, typed entries.

It must not know payments, blocks, sockets, disks, clocks or where randomness comes from; see
docs/consensus.md.
"""
