"""Tests of the consensus core's modules, one file each."""
