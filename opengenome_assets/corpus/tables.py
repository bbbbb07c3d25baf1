"""The tables of the corpus: their schemas with columns, keys, lineage, code versions and descriptions.

Belongs here: one declaration per table. Does not belong here: how the rows are made (the modules named after the
tables, and ``passes``).
"""

from __future__ import annotations

import pyarrow as pa

from opengenome_assets.framework.table import Column, Role, TableFamily, TableSpec

GC_BINS = 1000
SPARK = frozenset({"spark"})
# A reproduction must not pass over a file that has gone since. Where files were left out, the record has the share.
ALL_MAY_BE_REFUSED = {"max_rejected_share": 1.0, "max_unusable_share": 0.0}

RAW_FASTA = TableSpec(
    name="raw_fasta",
    description="Catalogue of the corpus' FASTA files, each identified by the SHA-256 of its bytes. The folder names "
    "the source. A file that cannot be read stops the run here, before any work.",
    columns=(
        Column("source", pa.string(), "Division of the corpus: the file's folder, or its own name without endings"),
        Column("path", pa.string(), "Path below what was named as source"),
        Column("bytes", pa.int64(), "Size as stored, compressed if the file is"),
        Column("sha256", pa.string(), "SHA-256 of the bytes as stored, 64 hexadecimal digits"),
        Column("uri", pa.string(), "Where the file lies"),
        Column("revision", pa.string(), "Version of the collection it comes from; empty if that has none"),
    ),
    key=("source", "path"),
    kinds=frozenset({"fasta"}),
    role=Role.CATALOGUE,
)

_BYTES = (RAW_FASTA["sha256"],)  # represents the content of the file
_SOURCE = Column("source", pa.string(), "Division of the corpus that it belongs to", (RAW_FASTA["source"],))
_FILE = Column(
    "file",
    pa.string(),
    "Path of its FASTA file below what was named; in an archive, the member's below it",
    (RAW_FASTA["path"], *_BYTES),
)

REJECTED_RECORDS = TableSpec(
    name="rejected_records",
    description="Refused records, each with its file, place, line and the reason. Good records of the same file are "
    "kept; too many refused records stop the run. A file that cannot be used at all is left out, and has one row, as "
    "record 0.",
    columns=(
        _SOURCE,
        _FILE,
        Column("record", pa.int64(), "The record's place in its file, from 1", _BYTES),
        Column("line", pa.int64(), "The line its header stands on, from 1", _BYTES),
        Column("header", pa.string(), "Its header without '>', cut after 1,000 characters", _BYTES),
        Column("kind", pa.string(), "What is wrong with it, the same words for every record of the kind", _BYTES),
        Column("reason", pa.string(), "Why it was refused, with place and value", _BYTES),
    ),
    key=("source", "file", "record"),
    code_version="2",
    kinds=SPARK,
    lenient=ALL_MAY_BE_REFUSED,
)

SEQUENCE_SHARDS = TableSpec(
    name="sequence_shards",
    description="The corpus as Parquet shards, one row per sequence, in upper case. Each shard belongs to one FASTA "
    "file; only files that are new or changed are parsed.",
    columns=(
        _SOURCE,
        _FILE,
        Column("seq_id", pa.string(), "Identifier: the header's first word; unique within its file", _BYTES),
        Column("description", pa.string(), "The rest of the header", _BYTES),
        Column("length", pa.int64(), "Letters", _BYTES),
        # large_string: a record may have nearly 2^31 letters, and others are beside it in a row group.
        Column("sequence", pa.large_string(), "The sequence in upper case, IUPAC letters, as given otherwise", _BYTES),
        Column(
            "gc_content", pa.float64(), "G and C divided by A, C, G and T, in [0, 1]; empty without any of them", _BYTES
        ),
        Column("acgt_bases", pa.int64(), "Letters A, C, G and T", _BYTES),
    ),
    key=("source", "file", "seq_id"),
    kinds=SPARK | {"parquet"},
    role=Role.BASIS,
    lenient=ALL_MAY_BE_REFUSED,
)

_LETTERS = (SEQUENCE_SHARDS["sequence"],)
_SHARD = Column(
    "shard",
    pa.string(),
    "The shard of sequence_shards that this row describes",
    (SEQUENCE_SHARDS["source"], SEQUENCE_SHARDS["file"]),
)
_SHARD_SOURCE = Column("source", pa.string(), "Division of the corpus that it belongs to", (SEQUENCE_SHARDS["source"],))


def _source_or_all(*origins: str) -> Column:
    return Column("source", pa.string(), "Division of the corpus; 'all' stands for every source together", origins)


SHARD_STATS = TableSpec(
    name="shard_stats",
    description="Sums of each shard: sequences, bases, lengths and GC, counted again from the sequences.",
    columns=(
        _SHARD,
        _SHARD_SOURCE,
        Column("sequences", pa.int64(), "Number of sequences", _LETTERS),
        Column("bases", pa.int64(), "Letters in all sequences, ambiguous ones included, counted again", _LETTERS),
        Column("acgt_bases", pa.int64(), "Letters A, C, G and T, counted again from the sequences", _LETTERS),
        Column("gc_bases", pa.int64(), "Letters G and C", _LETTERS),
        Column("ambiguous_sequences", pa.int64(), "Sequences with at least one other letter than A, C, G, T", _LETTERS),
        Column("lengths", pa.list_(pa.int64()), "The distinct lengths, ascending", _LETTERS),
        Column("length_counts", pa.list_(pa.int64()), "Number of sequences of each of those lengths", _LETTERS),
        Column("gc_histogram", pa.list_(pa.int64()), f"Sequences by GC content, in {GC_BINS} bins of 0.1 %", _LETTERS),
    ),
    key=("shard",),
    kinds=SPARK,
)

_LENGTHS = (SHARD_STATS["lengths"], SHARD_STATS["length_counts"])
_AMBIGUOUS = (*_LENGTHS, SHARD_STATS["acgt_bases"])

SEQUENCE_STATS = TableSpec(
    name="sequence_stats",
    description="Statistics of each source and over all sources: sequences, bases, lengths with N50, GC, ambiguity, "
    "and histograms of length and GC.",
    columns=(
        _source_or_all(SHARD_STATS["source"]),
        Column("sequences", pa.int64(), "Number of sequences", (SHARD_STATS["length_counts"],)),
        Column("bases", pa.int64(), "Letters in all sequences, ambiguous ones included", _LENGTHS),
        Column("acgt_bases", pa.int64(), "Letters A, C, G and T", (SHARD_STATS["acgt_bases"],)),
        Column("gc_bases", pa.int64(), "Letters G and C", (SHARD_STATS["gc_bases"],)),
        Column("ambiguous_bases", pa.int64(), "Other letters than A, C, G, T", _AMBIGUOUS),
        Column("ambiguous_share", pa.float64(), "Ambiguous letters divided by all letters, in [0, 1]", _AMBIGUOUS),
        Column(
            "ambiguous_sequences",
            pa.int64(),
            "Sequences with at least one ambiguous letter",
            (SHARD_STATS["ambiguous_sequences"],),
        ),
        Column(
            "gc_content",
            pa.float64(),
            "G and C divided by A, C, G and T over all sequences, in [0, 1]",
            (SHARD_STATS["gc_bases"], SHARD_STATS["acgt_bases"]),
        ),
        Column(
            "gc_median",
            pa.float64(),
            "Median of the sequences' GC contents, to 0.1 %, in [0, 1]",
            (SHARD_STATS["gc_histogram"],),
        ),
        Column("min_length", pa.int64(), "Shortest sequence, in bases", (SHARD_STATS["lengths"],)),
        Column("max_length", pa.int64(), "Longest sequence, in bases", (SHARD_STATS["lengths"],)),
        Column("mean_length", pa.float64(), "Mean length, in bases", _LENGTHS),
        Column("median_length", pa.float64(), "Median length, in bases", _LENGTHS),
        Column("n50", pa.int64(), "Half of all bases are in sequences at least this long", _LENGTHS),
        Column("l50", pa.int64(), "Number of the longest sequences that together hold half of all bases", _LENGTHS),
        Column(
            "gc_histogram",
            pa.list_(pa.int64()),
            f"Sequences by GC content, in {GC_BINS} bins of 0.1 %",
            (SHARD_STATS["gc_histogram"],),
        ),
        Column(
            "length_edges",
            pa.list_(pa.float64()),
            "Edges of the bins of length_histogram, in bases",
            (SHARD_STATS["lengths"],),
        ),
        Column(
            "length_histogram", pa.list_(pa.int64()), "Sequences by length, in bins of a tenth of a decade", _LENGTHS
        ),
    ),
    key=("source",),
    code_version="2",
)

KMERS = TableSpec(
    name="kmer_",
    description="Exact counts of all k-mers of every k in OPENGENOME_KS (1 to 12), for each shard, from one pass over "
    "the sequences. The name is short on purpose: Dagster reads `--select kmer_*` as 'kmer_ and everything downstream "
    "of it', which is every k-mer table and its figures.",
    columns=(
        _SHARD,
        _SHARD_SOURCE,
        Column("k", pa.int32(), "Length of the k-mers counted in this row"),
        Column(
            "windows",
            pa.int64(),
            "Windows of k letters all in A, C, G, T, worked out from the lengths of the runs of such letters alone: "
            "what the counts must add up to",
            _LETTERS,
        ),
        Column(
            "counts",
            pa.list_(pa.int64()),
            "Occurrences of each of the 4^k k-mers, in alphabetical order; windows with other letters than A, C, G, T "
            "are not counted, and the strand is as given",
            _LETTERS,
        ),
    ),
    key=("shard", "k"),
    kinds=SPARK,
    settings=("ks",),
)

_COUNTS = (KMERS["counts"],)
_KMERS = (KMERS["k"], KMERS["counts"])

KMER_FREQUENCIES = TableFamily(
    parameter="k",
    setting="ks",
    template=TableSpec(
        name="kmer_freq_k{k}",
        description="Counts, frequencies and ranks of all {k}-mers, by source and over all sources. Windows with other "
        "letters than A, C, G, T are not counted. The strand is as given; the canonical columns merge both.",
        columns=(
            _source_or_all(KMERS["source"]),
            Column("kmer", pa.string(), "The k-mer; only k-mers that occur have a row", _KMERS),
            Column("count", pa.int64(), "Occurrences on the strand as given, overlapping ones included", _COUNTS),
            Column("frequency", pa.float64(), "Count divided by the sum of the source's counts, in [0, 1]", _COUNTS),
            Column(
                "rank",
                pa.int64(),
                "1 for the source's most frequent k-mer; equal counts in alphabetical order",
                _COUNTS,
            ),
            Column(
                "canonical",
                pa.string(),
                "The k-mer or its reverse complement, whichever comes first in the alphabet",
                _KMERS,
            ),
            Column(
                "canonical_count",
                pa.int64(),
                "Occurrences of the k-mer on both strands, by its canonical form",
                _COUNTS,
            ),
        ),
        key=("source", "kmer"),
    ),
)

CODON_COUNTS = TableSpec(
    name="codon_counts",
    description="Exact counts of all 64 codons in the three forward reading frames, for each shard, from one pass over "
    "the sequences.",
    columns=(
        _SHARD,
        _SHARD_SOURCE,
        Column("frame", pa.int32(), "Reading frame: position of the first codon's first letter, 0, 1 or 2"),
        Column(
            "windows",
            pa.int64(),
            "Windows of 3 letters all in A, C, G, T in the shard, worked out from the lengths of the runs of such "
            "letters alone: what the counts of the three frames together must add up to",
            _LETTERS,
        ),
        Column(
            "counts",
            pa.list_(pa.int64()),
            "Occurrences of each of the 64 codons, in alphabetical order; codons with other letters than A, C, G, T "
            "are not counted and leave the frame as it is",
            _LETTERS,
        ),
    ),
    key=("shard", "frame"),
    kinds=SPARK,
)

GENES = TableSpec(
    name="genes",
    description="The genes of each sequence, on both strands, one row a gene with its protein. By the genetic codes of "
    "bacteria, archaea and plastids (11, 4, 25) Prodigal finds them. By all others, code 1 too, a gene is an open "
    "reading frame of 60 codons or more. Spliced genes are not found, and a gene "
    "across the origin of a circular sequence is found in two halves.",
    columns=(
        _SHARD_SOURCE,
        Column(
            "file", pa.string(), "Path of its FASTA file below the source that was named", (SEQUENCE_SHARDS["file"],)
        ),
        Column("seq_id", pa.string(), "Identifier of its sequence", (SEQUENCE_SHARDS["seq_id"],)),
        Column("begin", pa.int64(), "First base on the strand as given, from 1", _LETTERS),
        Column("end", pa.int64(), "Last base on the strand as given, the stop codon included", _LETTERS),
        Column("strand", pa.int8(), "1, or -1 for the reverse complement", _LETTERS),
        Column("partial_5", pa.bool_(), "Whether its start lies beyond the edge of the sequence or of a gap", _LETTERS),
        Column("partial_3", pa.bool_(), "Whether its stop lies beyond the edge of the sequence or of a gap", _LETTERS),
        Column("start_codon", pa.string(), "Its first codon; empty if partial_5", _LETTERS),
        Column(
            "method",
            pa.string(),
            "prodigal_single: Prodigal, trained on the sequence; prodigal_meta: Prodigal's metagenomic models; orf: "
            "open reading frame",
        ),
        Column("genetic_code", pa.int32(), "NCBI number of the genetic code used for its source"),
        Column(
            "protein",
            pa.large_string(),
            "Translation without the stop; M for a start codon, X for a codon with other letters than A, C, G, T",
            _LETTERS,
        ),
    ),
    key=("source", "file", "seq_id", "begin", "end", "strand"),
    kinds=SPARK,
)

GENE_CODONS = TableSpec(
    name="gene_codons",
    description="Exact counts of all 64 codons in the genes of each shard, and how well the stops of every genetic "
    "code fit its sequences.",
    columns=(
        _SHARD,
        _SHARD_SOURCE,
        Column("genetic_code", pa.int32(), "NCBI number of the genetic code used for its source"),
        Column("genes", pa.int64(), "Number of genes", _LETTERS),
        Column("open_frames", pa.int64(), "Those of them that are open reading frames, method orf", _LETTERS),
        Column(
            "counts",
            pa.list_(pa.int64()),
            "Occurrences of each of the 64 codons in the genes, in alphabetical order, start and stop codons included; "
            "codons with other letters than A, C, G, T are not counted",
            _LETTERS,
        ),
        Column("examined", pa.int64(), "Letters, from the shard's beginning, that the next columns are of", _LETTERS),
        Column("stop_codons", pa.list_(pa.string()), "The sets of stop codons of all genetic codes"),
        Column(
            "long_frames",
            pa.list_(pa.int64()),
            "With each of those sets, letters in stretches of 200 codons or more without a stop, on either strand",
            _LETTERS,
        ),
        Column(
            "backward_frames",
            pa.list_(pa.int64()),
            "The same in the letters written backwards, which code for nothing: what chance gives",
            _LETTERS,
        ),
    ),
    key=("shard",),
    kinds=SPARK,
)

_CODONS = (CODON_COUNTS["counts"], GENE_CODONS["counts"])
_CODE = Column(
    "genetic_code",
    pa.int32(),
    "NCBI number of the genetic code used for that source; for 'all' the one that all sources share, else 1",
    (GENE_CODONS["genetic_code"],),
)

CODON_RSCU = TableSpec(
    name="codon_rscu",
    description="Codon usage by source and over all sources: counts, per thousand, and relative synonymous codon usage "
    "(RSCU). First of the genes that were found, then of the three reading frames of the whole sequences.",
    columns=(
        _source_or_all(CODON_COUNTS["source"]),
        Column("basis", pa.string(), "genes: the codons of the genes; frames: those of a frame of whole sequences"),
        Column(
            "frame",
            pa.int32(),
            "Reading frame: position of the first codon's first letter, 0, 1 or 2; empty for genes",
            (CODON_COUNTS["frame"],),
        ),
        Column("codon", pa.string(), "The codon"),
        Column("amino_acid", pa.string(), "What it codes for by the genetic code, one letter; * is a stop"),
        Column("count", pa.int64(), "Occurrences in the genes, or in that frame of the whole sequences", _CODONS),
        Column("per_thousand", pa.float64(), "Count per thousand codons of that source, basis and frame", _CODONS),
        Column(
            "rscu",
            pa.float64(),
            "Relative synonymous codon usage: count divided by the mean count of the codons for the same amino acid "
            "(Sharp, Tuohy & Mosurski 1986); empty where none of them occurs",
            _CODONS,
        ),
        _CODE,
    ),
    key=("source", "basis", "frame", "codon"),
    code_version="2",
)

_GENE_CODONS = (GENE_CODONS["counts"], GENE_CODONS["genetic_code"])

CODON_BIAS = TableSpec(
    name="codon_bias",
    description="Codon usage bias in the genes of each source and of all sources: GC of third positions, and the "
    "effective number of codons.",
    columns=(
        _source_or_all(GENE_CODONS["source"]),
        _CODE,
        Column("genes", pa.int64(), "Number of genes", (GENE_CODONS["genes"],)),
        Column("open_frames", pa.int64(), "Those of them that are open reading frames", (GENE_CODONS["open_frames"],)),
        Column("codons", pa.int64(), "Codons of the genes, stops included", (GENE_CODONS["counts"],)),
        Column("gc3", pa.float64(), "G and C at third positions of all codons but stops, in [0, 1]", _GENE_CODONS),
        Column(
            "gc3s",
            pa.float64(),
            "The same over codons that have synonyms, so without Met and Trp in the standard code, in [0, 1]",
            _GENE_CODONS,
        ),
        Column(
            "effective_codons",
            pa.float64(),
            "Effective number of codons, Nc (Wright 1990): 20 if each amino acid has one codon, 61 in the standard "
            "code if all are used equally; empty if a class of amino acids is missing",
            _GENE_CODONS,
        ),
    ),
    key=("source",),
)

TFIDF_TERMS = TableSpec(
    name="tfidf_terms",
    description="Document frequency: in how many sequences of each shard every 6-mer occurs. The sums over the shards "
    "give the inverse document frequency ln((N + 1) / (df + 1)) + 1.",
    columns=(
        _SHARD,
        _SHARD_SOURCE,
        Column("sequences", pa.int64(), "Number of sequences", _LETTERS),
        Column(
            "document_frequency",
            pa.list_(pa.int64()),
            "Number of sequences that hold each of the 4,096 6-mers, in alphabetical order",
            _LETTERS,
        ),
    ),
    key=("shard",),
    kinds=SPARK,
)

TFIDF_INDEX = TableSpec(
    name="tfidf_index",
    description="The 6-mer counts of every sequence, which similarity search reads. With tfidf_terms they give the "
    "same TF-IDF vectors as scikit-learn's TfidfVectorizer over character 6-grams.",
    columns=(
        _SHARD_SOURCE,
        Column(
            "file", pa.string(), "Path of its FASTA file below the source that was named", (SEQUENCE_SHARDS["file"],)
        ),
        Column("seq_id", pa.string(), "Identifier: the header's first word", (SEQUENCE_SHARDS["seq_id"],)),
        Column("description", pa.string(), "The rest of the header", (SEQUENCE_SHARDS["description"],)),
        Column("length", pa.int64(), "Letters", (SEQUENCE_SHARDS["length"],)),
        Column("kmers", pa.int64(), "Windows of 6 letters all in A, C, G, T", _LETTERS),
        Column(
            "codes",
            pa.list_(pa.int16()),
            "The 6-mers that occur, by alphabetical position (0 to 4095), ascending",
            _LETTERS,
        ),
        Column("counts", pa.list_(pa.int32()), "How often each of them occurs", _LETTERS),
    ),
    key=("source", "file", "seq_id"),
    kinds=SPARK,
)

# Mapped files of tfidf_index: byte planes (``kernels/batches.py``), then these columns. Its weights, then its norms.
INDEX_NAMES = ("seq_id", "source", "file", "length", "description")
MAPPED_NAMES = pa.schema([(name, TFIDF_INDEX.schema.field(name).type) for name in INDEX_NAMES])
MAPPED_VALUE = pa.schema([("value", pa.float64())])

TABLES = (
    RAW_FASTA,
    REJECTED_RECORDS,
    SEQUENCE_SHARDS,
    SHARD_STATS,
    SEQUENCE_STATS,
    KMERS,
    KMER_FREQUENCIES,
    CODON_COUNTS,
    GENES,
    GENE_CODONS,
    CODON_RSCU,
    CODON_BIAS,
    TFIDF_TERMS,
    TFIDF_INDEX,
)
