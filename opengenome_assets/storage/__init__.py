"""Tables with history, on files.

Belongs here: homes, tables, parts, packs, commits, seals, history, vacuum, and carrying tables to another home. Does
not belong here: the rows of a table, and Dagster. Nothing here imports Dagster or Spark, so that a worker, a search or
``opengenome info`` reads a table without them. Only this room imports delta-rs.
"""
