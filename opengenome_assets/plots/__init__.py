"""Pictures and the report page: data frames and arrays in, figures and HTML out.

What belongs here: how a table of the corpus is drawn or laid out for reading. What does not: where tables
lie, how they were computed, and what an asset is; nothing in this room reads or writes a file of the user's,
and nothing knows Dagster, Spark or Delta Lake.
"""
