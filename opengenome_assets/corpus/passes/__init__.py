"""The workers' code for the corpus: one file or shard in, parts of tables out.

Belongs here: reading a unit, running a kernel over it, writing the rows. Does not belong here: Spark, Dagster, and the
choice of units. Without Spark and Dagster a worker starts in a fraction of a second.
"""
