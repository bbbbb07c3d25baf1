"""The building blocks of every group of assets: the one room where Dagster meets storage.

Belongs here: the declaration of a table, the making of one result, scans over shards, figures, checks and groups. Does
not belong here: the computation of any asset, and any table's name. Modules that run in workers (``table``,
``parsing``, ``shards``, ``environment``) import no Dagster.
"""
