"""Versioning: acting on the versions of tables, where a user of MLflow or DVC would expect to be able to.

Belongs here: what a run left behind, making a version again to compare it, and carrying tables with their history to
another place. Does not belong here: making tables (``corpus``), storing them (``resources``) and how results are shown
(``cli``). Which versions of what a table has is told by its own log (``resources/versions.py``).
"""
