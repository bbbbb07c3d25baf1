"""Kinds of sequence files: their names, and the mark of their header lines.

Belongs here: file endings and everything else that differs between kinds before a file is parsed. Does not belong here:
parsing (``kernels``), and decompression (``streams.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

COMPRESSION_ENDINGS = (".gz", ".bgz", ".bz2", ".zst")
ARCHIVE_ENDINGS = (".tar", ".tgz")


@dataclass(frozen=True)
class FileKind:
    """A kind of sequence file.

    Attributes
    ----------
    name
        The kind's name, for messages.
    endings
        Endings of file names, in lower case, without those of compression.
    mark
        The byte that a header line starts with.
    compression_endings
        Endings of compressed files, in lower case.
    """

    name: str
    endings: tuple[str, ...]
    mark: bytes
    compression_endings: tuple[str, ...] = COMPRESSION_ENDINGS

    def has_name(self, name: str) -> bool:
        """Whether a file of this name is taken when a folder is searched, compressed or not."""
        return without_ending(name, self.compression_endings).lower().endswith(self.endings)


# Without .faa, the usual ending of proteins.
FASTA = FileKind("FASTA", (".fa", ".fasta", ".fna", ".ffn", ".frn", ".fas", ".fsa"), b">")

# Qualities may begin with the mark too: the count of its lines is an upper bound of the records.
FASTQ = FileKind("FASTQ", (".fq", ".fastq"), b"@")

# Reads aligned by somebody else. The formats are compressed by themselves.
ALIGNED = FileKind("BAM or CRAM", (".bam", ".cram"), b"", ())


def without_ending(name: str, endings: tuple[str, ...]) -> str:
    """Return the name without the first of the endings that it has, in upper or lower case."""
    for ending in endings:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def is_archive_name(path: str) -> bool:
    """Whether a file of this name counts as a tar archive, compressed or not."""
    return without_ending(path, COMPRESSION_ENDINGS).lower().endswith(ARCHIVE_ENDINGS)
