"""Lineage: what made a table, figure or report, what has changed since, and the runs that did it.

``records`` finds the records, ``tree`` follows them down to files, ``changes`` and ``diff`` compare two versions,
``runs`` compares runs, ``reindex`` tells Dagster what the tables remember. All of it is read from the tables' commits
and the records beside figures and report; only ``runs`` and ``reindex`` know Dagster's instance. It is not known here
what a table holds, except that ``raw_fasta`` lists files.
"""
