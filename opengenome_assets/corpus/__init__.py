"""The asset group ``corpus``: one module per artifact, in the order of the data flow.

``raw_fasta`` -> ``sequence_shards`` -> ``sequence_stats``, ``kmers``, ``codons``, ``tfidf_index`` -> ``figures`` ->
``report``. Beside them are ``tables`` (the schema of each table), ``settings``, ``jobs``, ``sensors``, ``commands``,
``passes`` (the workers' code), ``plots``, and ``definitions``, which ``group`` loads.

Belongs here: the science of a corpus of sequences. Does not belong here: the parts of every group (``framework``), and
searching the corpus (``search``).
"""
