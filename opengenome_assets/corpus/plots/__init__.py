"""The corpus' pictures and report sections: data frames and arrays in, figures out.

Belongs here: drawing a table of the corpus, and laying it out for reading. Does not belong here: the look (``plots``),
reading tables, and Dagster.
"""
