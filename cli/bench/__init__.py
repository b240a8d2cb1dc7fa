"""`nostro bench`: measures a local network of real node processes, load generator included.

It reports what it saw and the settings it saw it with; it must not know how nodes work inside.
"""
