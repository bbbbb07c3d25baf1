"""The group's figures, and the sections of its reports.

Belongs here: drawing, from data frames. Does not belong here: reading tables (``figures.py``, ``report.py``).

Its modules are imported when they are used: Dagster starts without Matplotlib and pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
