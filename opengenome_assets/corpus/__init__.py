"""The asset group ``corpus``: one module an artifact, in the order in which data flows.

``raw_fasta`` -> ``sequence_shards`` -> ``sequence_stats``, ``kmers``, ``codons``, ``tfidf_index`` -> ``figures`` ->
``report``. ``query_hits``, a group of its own, searches what was made with sequences of the user's. Beside them
``checks``, ``jobs``, ``sensors``, ``upkeep``, ``reindex``, and what the assets share: ``scans`` (working through
shards), ``columns`` (what identifies a row, and what columns are worked out from) and ``materialization`` (what an
asset says of itself). Of what is in here, only ``definitions`` and the command line know.
"""

GROUP = "corpus"
