"""Whole clusters in one thread, under seeds or as written scenarios."""
