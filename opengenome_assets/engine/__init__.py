"""Where work runs: a function is mapped over units of work, by Spark or by processes of this machine.

Belongs here: the protocol, its two implementations, and Java for Spark. Does not belong here: what is computed. Engines
ship work, not sequences: a task gets paths, reads and writes files by itself, and returns a small result. This is the
one room that imports PySpark.
"""
