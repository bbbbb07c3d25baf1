"""OpenGenome Assets: a Dagster asset platform for genomic corpora.

Rooms, and the one direction in which they import each other::

    definitions -> corpus -> tasks, lineage -> search -> resources, plots, kernels

``corpus`` holds the assets, ``tasks`` what they send to Spark workers, ``lineage`` what made each result and what has
changed since, ``search`` what answers questions about the corpus, ``resources`` what all need from outside, ``plots``
pictures, ``kernels`` the science on plain buffers.
"""

__version__ = "0.2.0"
