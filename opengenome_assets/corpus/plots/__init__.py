"""The corpus' pictures and report sections: data frames and arrays in, figures out.

Belongs here: drawing a table of the corpus, and laying it out for reading. Does not belong here: the look (``plots``),
reading tables, and Dagster.

Its modules are imported when they are used: Dagster starts without Matplotlib and pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
