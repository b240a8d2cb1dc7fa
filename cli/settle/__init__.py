"""`nostro settle`: payment orders from a file, settled on a network; `nostro orders`: realistic orders, made
from a seed.

It plays all banks and payers of a network whose keys it is given; it must not know how a node works.
"""
