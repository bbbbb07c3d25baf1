"""Columns: of every table, which identify a row, and what each is worked out from.

Belongs here: the key of each table, by which two versions are compared, and the lineage of its columns as Dagster shows
it. Does not belong here: types and descriptions, which stand in the schema of each table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

# Given by the source files themselves, by a setting, or by a list that is always the same.
GIVEN = ""


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes
    ----------
    key
        Those that identify a row.
    origins
        For each column those that it is worked out from, as ``table.column`` with a space between; or ``GIVEN``.
    """

    key: tuple[str, ...]
    origins: Mapping[str, str]


BYTES = "raw_fasta.sha256"  # stands for the content of the file
LETTERS = "sequence_shards.sequence"
SHARD = "sequence_shards.source sequence_shards.file"
LENGTHS = "shard_stats.lengths shard_stats.length_counts"

WEIGHTS = "tfidf_index.codes tfidf_index.counts tfidf_terms.document_frequency tfidf_terms.sequences"

KMER_FREQUENCIES = Columns(
    ("source", "kmer"),
    {
        "source": "kmer_.source",
        "kmer": "kmer_.k kmer_.counts",
        "count": "kmer_.counts",
        "frequency": "kmer_.counts",
        "rank": "kmer_.counts",
        "canonical": "kmer_.k kmer_.counts",
        "canonical_count": "kmer_.counts",
    },
)

TABLES: Mapping[str, Columns] = {
    "raw_fasta": Columns(
        ("source", "path"), dict.fromkeys(("source", "path", "bytes", "sha256", "uri", "revision"), GIVEN)
    ),
    "rejected_records": Columns(
        ("source", "file", "record"),
        {
            "source": "raw_fasta.source",
            "file": f"raw_fasta.path {BYTES}",
            **dict.fromkeys(("record", "line", "header", "reason"), BYTES),
        },
    ),
    "sequence_shards": Columns(
        ("source", "file", "seq_id"),
        {
            "source": "raw_fasta.source",
            "file": f"raw_fasta.path {BYTES}",
            **dict.fromkeys(("seq_id", "description", "length", "sequence", "gc_content", "acgt_bases"), BYTES),
        },
    ),
    "shard_stats": Columns(
        ("shard",),
        {
            "shard": SHARD,
            "source": "sequence_shards.source",
            **dict.fromkeys(("sequences", "bases", "acgt_bases", "gc_bases", "ambiguous_sequences"), LETTERS),
            **dict.fromkeys(("lengths", "length_counts", "gc_histogram"), LETTERS),
        },
    ),
    "sequence_stats": Columns(
        ("source",),
        {
            "source": "shard_stats.source",
            "sequences": "shard_stats.length_counts",
            "bases": LENGTHS,
            "acgt_bases": "shard_stats.acgt_bases",
            "gc_bases": "shard_stats.gc_bases",
            "ambiguous_bases": f"{LENGTHS} shard_stats.acgt_bases",
            "ambiguous_share": f"{LENGTHS} shard_stats.acgt_bases",
            "ambiguous_sequences": "shard_stats.ambiguous_sequences",
            "gc_content": "shard_stats.gc_bases shard_stats.acgt_bases",
            "gc_median": "shard_stats.gc_histogram",
            "min_length": "shard_stats.lengths",
            "max_length": "shard_stats.lengths",
            **dict.fromkeys(("mean_length", "median_length", "n50", "l50"), LENGTHS),
            "gc_histogram": "shard_stats.gc_histogram",
            "length_edges": "shard_stats.lengths",
            "length_histogram": LENGTHS,
        },
    ),
    "kmer_": Columns(
        ("shard", "k"),
        {"shard": SHARD, "source": "sequence_shards.source", "k": GIVEN, "windows": LETTERS, "counts": LETTERS},
    ),
    "codon_counts": Columns(
        ("shard", "frame"),
        {"shard": SHARD, "source": "sequence_shards.source", "frame": GIVEN, "windows": LETTERS, "counts": LETTERS},
    ),
    "codon_rscu": Columns(
        ("source", "frame", "codon"),
        {
            "source": "codon_counts.source",
            "frame": "codon_counts.frame",
            **dict.fromkeys(("codon", "amino_acid", "genetic_code"), GIVEN),
            **dict.fromkeys(("count", "per_thousand", "rscu"), "codon_counts.counts"),
        },
    ),
    "tfidf_terms": Columns(
        ("shard",),
        {"shard": SHARD, "source": "sequence_shards.source", "sequences": LETTERS, "document_frequency": LETTERS},
    ),
    "tfidf_index": Columns(
        ("source", "file", "seq_id"),
        {
            **{name: f"sequence_shards.{name}" for name in ("source", "file", "seq_id", "description", "length")},
            **dict.fromkeys(("kmers", "codes", "counts"), LETTERS),
        },
    ),
    "query_hits": Columns(
        ("query_number", "rank"),
        {
            **dict.fromkeys(("query_file", "query_number", "query"), GIVEN),
            **dict.fromkeys(("rank", "similarity", "strand"), WEIGHTS),
            **{name: f"tfidf_index.{name}" for name in ("seq_id", "source", "length", "description", "file")},
        },
    ),
}


def columns_of(table: str) -> Columns:
    """Return the columns of a table.

    Raises
    ------
    LookupError
        If it is none that an asset makes.
    """
    if table.startswith("kmer_freq_k"):
        return KMER_FREQUENCIES
    if table not in TABLES:
        raise LookupError(
            f"{table} is no table that is made here: expected {', '.join(TABLES)}, or kmer_freq_k and a number"
        )
    return TABLES[table]


def trace_column(table: str, column: str) -> dict[str, list[str]]:
    """Return the columns that a column goes back to, each with those that it is worked out from itself.

    Parameters
    ----------
    table, column
        The column.

    Returns
    -------
    dict
        By ``table.column``, the column itself first; no origins where it is given by the files or a setting.

    Raises
    ------
    LookupError
        If there is no such table or column.
    """
    found: dict[str, list[str]] = {}
    waiting = [f"{table}.{column}"]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            owner, _, part = name.partition(".")
            origins = columns_of(owner).origins
            if part not in origins:
                raise LookupError(f"{owner} has no column {part!r}: expected {', '.join(origins)}")
            found[name] = origins[part].split()
            waiting += found[name]
    return found


def column_lineage(table: str) -> dg.TableColumnLineage:
    """Return what the columns of a table are worked out from, in Dagster's form."""
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(*origin.split(".")) for origin in origins.split()]
            for column, origins in columns_of(table).origins.items()
        }
    )
