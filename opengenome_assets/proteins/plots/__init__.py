"""Figures and sections of the report from the tables of proteins.

Belongs here: data frames in, pictures and sections out. Does not belong here: reading tables, and Dagster.

Its modules are imported when they are used: Dagster starts without Matplotlib and pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
