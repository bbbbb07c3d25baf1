"""Lineage: what made a table, figure or report, what has changed since, and the runs that did it.

``records`` finds the records, ``tree`` follows them down to files, ``changes`` and ``diff`` compare two versions, and
``runs`` compares runs. All of it is read from the tables' commits and the records beside figures and report; only
``runs`` knows Dagster's instance. It is not known here what a table holds, except that ``raw_fasta`` lists files.
Acting on versions does not belong here.
"""
