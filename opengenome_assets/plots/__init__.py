"""Pictures and the report page: data frames and arrays in, figures and HTML out.

Belongs here: the look of figures and of the report page. Does not belong here: reading and computing tables, and
assets. Nothing in this room reads or writes a user's file, and nothing knows Dagster, Spark or Delta Lake.

Its modules are imported when they are used: Dagster starts without Matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
