"""Acting on what is there: restore, checkout, pins, reproduce, upkeep, reindex, validate, dry run.

Belongs here: what changes or examines a home as a whole, whichever groups it holds. Does not belong here: asking what
made something (``lineage``), and the storage underneath (``storage``). Tables are known by their declarations, never by
their names.
"""
