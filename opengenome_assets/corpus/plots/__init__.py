"""The corpus' pictures and report sections: data frames and arrays in, figures out.

Belongs here: how a table of the corpus is drawn or laid out. Does not belong here: the look (``plots``), reading
tables, and Dagster.
"""
