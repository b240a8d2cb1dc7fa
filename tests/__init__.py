"""The tests, by what they run: units, integration of real processes, simulation."""
