"""The ground floor: what a payment, a block and a proof is, and the rules that decide every outcome.

It must not know networks, disks, clocks, threads, randomness or Raft; it imports nothing above it.
"""
