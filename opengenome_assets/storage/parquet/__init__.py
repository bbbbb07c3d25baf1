"""Long text in Parquet files: footers and pages that this package writes and reads itself.

Belongs here: the file, its pages, and Thrift's compact protocol. Does not belong here: which rows a file holds. The
room can be removed once Arrow's writer takes Zstandard's parameters: docs/decisions/0001.
"""
