"""Longer runs against real processes, by command and outside continuous integration."""
