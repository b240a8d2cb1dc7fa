"""Planted bugs: small changes to a copy of the source, each of which a named test must catch.

Nothing here changes the checkout. `scripts/mutants` plants them all and prints what caught each.
"""
