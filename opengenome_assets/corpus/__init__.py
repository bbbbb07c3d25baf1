"""The asset group ``corpus``: one module an artifact, in the order in which data flows.

``raw_fasta`` -> ``sequence_shards`` -> ``sequence_stats``, ``kmers``, ``codons``, ``tfidf_index`` -> ``figures`` ->
``report``. Beside them ``tables`` (what each table holds), ``settings``, ``jobs``, ``sensors``, ``commands``,
``passes`` (what workers run), ``plots``, and ``definitions``, which puts all of it together for ``group``.

Belongs here: the science of a corpus of sequences. Does not belong here: what every group is made of (``framework``),
and searching the corpus (``search``).
"""
