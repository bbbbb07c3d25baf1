"""OpenGenome Assets: a Dagster asset platform for genomic data.

Rooms, each of which imports only what stands to the right of it (``[tool.importlinter]`` in pyproject.toml)::

    cli > definitions > service > groups > search, corpus > operations > lineage > framework
        > engine, intake, terminal > storage > plots > kernels > settings, words

A group of assets (``corpus``, ``search``) holds its science: tables, assets, passes, plots, settings, commands. What
every group is made of stands in ``framework``, and ``groups`` says which groups there are.

Belongs here: the version. Does not belong here: anything else; each room's docstring says what belongs in it.
"""

__version__ = "0.2.0"
