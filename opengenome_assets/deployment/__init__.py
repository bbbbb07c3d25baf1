"""Dagster's instance and launchers: the classes that ``dagster.yaml`` of a laptop or a cluster names.

Belongs here: where Dagster keeps its records, and how runs are started and watched. Does not belong here: assets.
"""
