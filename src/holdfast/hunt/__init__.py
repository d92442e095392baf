"""HUNT: discover what checkpoint/restart breaks by brute force; make, look, C/R, look again, compare, shrink."""
