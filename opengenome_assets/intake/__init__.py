"""From what a user names to verified plain bytes.

Belongs here: finding files, which files make one unit, decompression, checksums, and the Hugging Face Hub (``hub``).
Does not belong here: what the bytes mean (``kernels``), and tables. Nothing here imports Dagster or Spark.
"""
