"""Data lineage: the provenance of a table, figure or report, how versions differ, and the runs that made them.

``records`` finds one provenance record, and ``tree`` follows it upstream to the files. ``changes`` and ``diff`` compare
two versions of a table, ``comparison`` two tables. ``runs`` compares runs, ``failures`` says why one failed, and
``inventory`` lists what a home holds.

Belongs here: reading the records in tables' commits and beside figures and report. Does not belong here: acting on
versions (``operations``), and any table's name. A table that lists source files is known by its role.
"""
