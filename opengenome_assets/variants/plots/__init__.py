"""The group's figures, and the sections of its reports.

Belongs here: drawing, from data frames. Does not belong here: reading tables (``figures.py``, ``report.py``).
"""
