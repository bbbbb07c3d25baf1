"""What runs inside Spark workers: one unit of work in, parts of tables out.

Belongs here: reading a source file or a shard, running a kernel over it, writing the rows; and the schemas of those
rows. Does not belong here: Spark and Dagster (a worker starts in a fraction of a second without them), and deciding
what has to be done (``corpus``).
"""
