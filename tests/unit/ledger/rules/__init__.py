"""Tests of the state and the rules."""
