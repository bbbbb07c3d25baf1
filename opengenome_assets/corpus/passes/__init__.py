"""What workers run for the corpus: one file or shard in, parts of tables out.

Belongs here: reading a unit, running a kernel over it, writing the rows. Does not belong here: Spark, Dagster, and
which units there are. A worker starts in a fraction of a second without them.
"""
