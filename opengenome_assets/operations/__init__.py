"""Operations on a home: restore, checkout, pins, reproduce, upkeep, reindex, validate, dry run.

Belongs here: changing or examining a home as a whole, for all groups. Does not belong here: provenance (``lineage``),
and the storage underneath (``storage``). Operations know tables by their declarations, never by their names.
"""
