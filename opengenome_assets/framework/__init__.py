"""What every group of assets is made of: the one room where Dagster's words meet storage.

Belongs here: the declaration of a table, the making of one result, scans over shards, figures, checks and groups. Does
not belong here: what any asset computes, and any table's name. Modules that run in workers (``table``, ``shards``,
``environment``) import no Dagster.
"""
