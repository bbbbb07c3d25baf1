"""How long text lies in Parquet files: footer and pages that this package writes and reads itself.

Belongs here: the file, its pages, and Thrift's compact encoding. Does not belong here: which rows go into which file.
The room can be removed as a whole once Arrow's writer takes Zstandard's parameters: docs/decisions/0001.
"""
