"""Attacks on the platform by chance: kills at random moments, and random walks over versions.

Belongs here: what is drawn from a seed and judged by rows that are known beforehand. Does not belong here: a fault that
has a name and a cause, whose test stands beside the module that refuses it. Few cases are drawn in ``make test``; the
mark ``adversary`` draws many.
"""
