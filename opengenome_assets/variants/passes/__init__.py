"""The work of the group's assets on one file, sample or region, in workers.

Belongs here: reading, aligning, calling, and writing parts. Does not belong here: which units there are (the assets),
Dagster, and the engine.
"""
