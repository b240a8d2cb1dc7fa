"""What becomes of a store when bits of its files flip or their ends are lost, on real LevelDB directories."""
