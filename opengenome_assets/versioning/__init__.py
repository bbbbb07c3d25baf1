"""Versioning: what the versions of tables are good for, beyond reading them.

Belongs here: what a run left behind, runs that are pinned, comparing two tables, and carrying tables with their history
to another place. Does not belong here: storing tables and removing what no kept version needs (``resources``), and the
assets that make them (``corpus``), which this room does not know.
"""
