"""Figures and sections of the report from the tables of proteins.

Belongs here: data frames in, pictures and sections out. Does not belong here: reading tables, and Dagster.
"""
