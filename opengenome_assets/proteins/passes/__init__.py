"""Passes over files and proteins: the code that workers run.

Belongs here: one module per pass. Does not belong here: Dagster, and planning (the modules named after the tables).
"""
