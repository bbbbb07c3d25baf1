"""From a source specification to verified plain bytes.

Belongs here: finding files, which files make one unit, decompression, checksums, and the Hugging Face Hub (``hub``).
Does not belong here: the meaning of the bytes (``kernels``), and tables. Nothing here imports Dagster or Spark.
"""
