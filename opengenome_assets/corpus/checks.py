"""Checks: what must be true of a table before anything is built on it.

Belongs here: every asset check of tables. A check compares a table with something worked out another way: another
column, another table, another count of the same bytes. Checks of the columns are made from the tables' schemas. All of
tables are blocking: what follows a wrong table is not made.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import Schema

from opengenome_assets.corpus import codons, kmers, raw_fasta, sequence_stats
from opengenome_assets.corpus.passes import codons as codon_pass
from opengenome_assets.corpus.passes import kmers as kmer_pass
from opengenome_assets.corpus.passes import parse as ingest
from opengenome_assets.corpus.passes import profiles, stats
from opengenome_assets.corpus.tfidf_index import document_frequency
from opengenome_assets.intake.sources import ALL
from opengenome_assets.kernels.profiles import SequenceKmers, row_sums
from opengenome_assets.kernels.tfidf import inverse_document_frequency, tfidf
from opengenome_assets.search import query_hits
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parquet.file import open_row_groups
from opengenome_assets.storage.tables import Tables

Problems = Iterable[str]
SHOWN = 20
VECTORS = 10


@dataclass(frozen=True)
class Rule:
    """Something that must be true of an asset; ``problems`` yields a sentence for each place where it is not."""

    asset: str
    name: str
    description: str
    problems: Callable[[Tables], Problems]
    blocking: bool = True


def table_schemas(ks: Sequence[int]) -> dict[str, pa.Schema]:
    """Return the schema of every table of the group."""
    return {
        "raw_fasta": raw_fasta.SCHEMA,
        "rejected_records": ingest.REJECTED_SCHEMA,
        "sequence_shards": ingest.SHARDS_SCHEMA,
        "shard_stats": stats.SCHEMA,
        "sequence_stats": sequence_stats.STATS_SCHEMA,
        "kmer_": kmer_pass.SCHEMA,
        **{f"kmer_freq_k{k}": kmers.FREQUENCY_SCHEMA for k in ks},
        "codon_counts": codon_pass.SCHEMA,
        "codon_rscu": codons.RSCU_SCHEMA,
        "tfidf_terms": profiles.TERMS_SCHEMA,
        "tfidf_index": profiles.INDEX_SCHEMA,
    }


def rules(ks: Sequence[int]) -> list[Rule]:
    """Return every rule of the group's tables."""
    return [
        *(schema_rule(name, schema) for name, schema in table_schemas(ks).items()),
        Rule(
            "sequence_shards",
            "record_count",
            "Every header line of every file, counted without the parser, is a row, a refused record or left out by "
            "a setting; and the table has the rows that were accepted",
            record_count,
        ),
        Rule("sequence_shards", "unique_ids", "No identifier occurs twice in a file", unique_ids),
        Rule(
            "sequence_shards",
            "lengths_and_gc",
            "Lengths are at least 1 and at least the number of A, C, G, T; GC is in [0, 1], and empty only without any",
            lengths_and_gc,
        ),
        Rule(
            "shard_stats",
            "columns_match_sequences",
            "Sequences, letters and A, C, G, T counted anew from the sequences are what the columns of "
            "sequence_shards say",
            columns_match_sequences,
        ),
        Rule("sequence_stats", "totals", "The sources add up to 'all', and statistics are in their range", totals),
        Rule(
            "kmer_",
            "sum_of_counts",
            "For each shard and k the counts add up to the number of valid windows, worked out from runs of A, C, G, T",
            partial(windows_match, name="kmer_"),
        ),
        *(
            Rule(
                f"kmer_freq_k{k}",
                "counts_and_ranks",
                "By source the counts add up to those of kmer_, frequencies to 1, and ranks follow the counts",
                partial(counts_and_ranks, k=k),
            )
            for k in ks
        ),
        Rule(
            "codon_counts",
            "sum_of_counts",
            "For each shard the codons of the three frames add up to the number of valid windows of 3 letters",
            partial(windows_match, name="codon_counts"),
        ),
        Rule(
            "codon_rscu",
            "totals_and_means",
            "Counts add up to those of codon_counts, per thousand to 1,000, and RSCU has the mean 1 within each amino "
            "acid that occurs",
            totals_and_means,
        ),
        Rule(
            "tfidf_index",
            "norms",
            f"Sequences with a valid window have a TF-IDF vector of norm 1, and their counts add up to their windows: "
            f"{VECTORS} of them, evenly spread, since reading all at each run would cost as much as making them; each "
            "one's counts are added up when they are made",
            norms,
        ),
    ]


def query_rules() -> list[Rule]:
    """Return every rule of the table that describes queries, which there need not be."""
    return [
        schema_rule(query_hits.NAME, query_hits.SCHEMA),
        Rule(
            query_hits.NAME,
            "ranks",
            "By query ranks count from 1 without a gap; similarities are in (0, 1] and descend, equal ones by seq_id",
            ranks,
        ),
    ]


def build_checks(all_rules: Iterable[Rule]) -> list[dg.AssetChecksDefinition]:
    """Return a Dagster check for every rule."""
    return [as_check(rule) for rule in all_rules]


def as_check(rule: Rule) -> dg.AssetChecksDefinition:
    """Return a rule as a Dagster check."""

    @dg.asset_check(asset=rule.asset, name=rule.name, description=rule.description, blocking=rule.blocking)
    def check(tables: Tables) -> dg.AssetCheckResult:
        try:
            found = list(rule.problems(tables))
        except (LookupError, ValueError, ArithmeticError, OSError) as error:  # a table so wrong that it cannot be read
            found = [f"the check could not be made: {error}"]
        if not found:
            return dg.AssetCheckResult(passed=True)
        return dg.AssetCheckResult(
            passed=False,
            description=f"{len(found):,} problems. {found[0]}",
            metadata={"problems": dg.MetadataValue.md("\n".join(f"- {line}" for line in found[:SHOWN]))},
        )

    return check


def schema_rule(name: str, schema: pa.Schema) -> Rule:
    """Return the rule that a table has the columns it should have."""

    def problems(tables: Tables) -> Iterator[str]:
        found = {field.name: str(field.type) for field in pa.schema(tables.open(name).schema())}
        expected = {field.name: str(field.type) for field in pa.schema(Schema.from_arrow(schema))}
        for column in sorted({*found, *expected}):
            if found.get(column) != expected.get(column):
                yield f"{name}.{column}: expected {expected.get(column)}, found {found.get(column)}"

    return Rule(name, "columns", "The table has the columns and types that it is described with", problems)


def record_count(tables: Tables) -> Iterator[str]:
    """Compare the parser's count of each file with the stream's count of header lines, and with the table."""
    uri = tables.uri("sequence_shards")
    rows: dict[str, int] = {}
    for key, file in tables.pieces("sequence_shards", tables.open("sequence_shards")):
        rows[key] = rows.get(key, 0) + file.rows
    index = PartIndex(uri)
    for key, count in rows.items():
        part = index.find(key)
        if part is None:
            yield f"{uri}/{key}: files of the table are missing or were cut; materialise sequence_shards again"
            continue
        facts = part.facts
        accounted = sum(facts[name] for name in ("accepted", "rejected", "too_short", "ambiguous"))
        if facts["header_lines"] not in (None, facts["records"]):  # None: only the first records were read
            yield f"{facts['file']}: {facts['header_lines']:,} header lines, but {facts['records']:,} records parsed"
        if accounted != facts["records"]:
            yield f"{facts['file']}: {facts['records']:,} records, but {accounted:,} accounted for"
        if count != facts["accepted"]:
            yield f"{facts['file']}: {facts['accepted']:,} records accepted, but {count:,} rows in the table"


def unique_ids(tables: Tables) -> Iterator[str]:
    """Look for identifiers that occur twice in a file, or in a member of an archive."""
    for part in by_part(tables, "sequence_shards", ["file", "seq_id"]):
        counts = part.group_by(["file"]).aggregate([("seq_id", "count"), ("seq_id", "count_distinct")])
        repeated = pc.subtract(counts["seq_id_count"], counts["seq_id_count_distinct"])
        for file, more in zip(counts["file"].to_pylist(), repeated.to_pylist(), strict=True):
            if more:
                yield f"{file}: {more:,} identifiers occur more than once"


def lengths_and_gc(tables: Tables) -> Iterator[str]:
    """Look for rows whose figures cannot be."""
    for part in tables.row_groups("sequence_shards", ["file", "seq_id", "length", "gc_content", "acgt_bases"]):
        length, acgt = part["length"].to_numpy(), part["acgt_bases"].to_numpy()
        gc = part["gc_content"].to_numpy()
        wrong = (length < 1) | (acgt < 0) | (acgt > length) | (np.isnan(gc) != (acgt == 0)) | (gc < 0) | (gc > 1)
        for place in np.flatnonzero(wrong)[:SHOWN]:
            row = part.slice(place, 1).to_pylist()[0]
            yield ", ".join(f"{name} {value}" for name, value in row.items())


def columns_match_sequences(tables: Tables) -> Iterator[str]:
    """Compare sums over the narrow columns of the shards with what was counted from the sequences."""
    counted = tables.read("shard_stats", ["sequences", "bases", "acgt_bases"])
    columns = tables.read("sequence_shards", ["length", "acgt_bases"])
    expected = {
        "sequences": columns.num_rows,
        "bases": pc.sum(columns["length"]).as_py() or 0,
        "acgt_bases": pc.sum(columns["acgt_bases"]).as_py() or 0,
    }
    for name, value in expected.items():
        found = pc.sum(counted[name]).as_py() or 0
        if found != value:
            yield f"{name}: {found:,} counted from the sequences, but {value:,} by the columns of sequence_shards"


def totals(tables: Tables) -> Iterator[str]:
    """Compare the row over all sources with the sum of the others, and look for figures that cannot be."""
    rows = tables.read("sequence_stats").to_pylist()
    overall = [row for row in rows if row["source"] == ALL]
    for name in ("sequences", "bases", "acgt_bases", "gc_bases"):
        by_source = sum(row[name] for row in rows if row["source"] != ALL)
        if overall and overall[0][name] != by_source:
            yield f"{name}: {by_source:,} over the sources, {overall[0][name]:,} in the row 'all'"
    for row in rows:
        if not row["min_length"] <= row["n50"] <= row["max_length"]:
            yield f"{row['source']}: N50 {row['n50']:,} is outside {row['min_length']:,} to {row['max_length']:,}"
        if row["gc_content"] is not None and not 0 <= row["gc_content"] <= 1:
            yield f"{row['source']}: GC content {row['gc_content']}"
        for name in ("gc_histogram", "length_histogram"):
            if sum(row[name]) > row["sequences"] or (name == "length_histogram" and sum(row[name]) < row["sequences"]):
                yield f"{row['source']}: {name} holds {sum(row[name]):,} of {row['sequences']:,} sequences"


def windows_match(tables: Tables, name: str) -> Iterator[str]:
    """Compare the sum of counts with the number of valid windows: by k for k-mers, over the frames for codons."""
    by_k = name == "kmer_"
    expected: dict[tuple[str, int], int] = {}
    found: Counter[tuple[str, int]] = Counter()
    for rows in tables.row_groups(name, ["shard", *(["k"] if by_k else []), "windows", "counts"]):
        lengths = rows["k"].to_pylist() if by_k else [3] * rows.num_rows
        for shard, k, windows, counts in zip(rows["shard"], lengths, rows["windows"], rows["counts"], strict=True):
            expected[shard.as_py(), k] = windows.as_py()
            found[shard.as_py(), k] += int(counts.values.to_numpy().sum())
    for (shard_name, k), windows_expected in expected.items():
        if found[shard_name, k] != windows_expected:
            yield (
                f"{shard_name}, windows of {k}: counts add up to {found[shard_name, k]:,}, "
                f"expected {windows_expected:,}"
            )


def counts_and_ranks(tables: Tables, k: int) -> Iterator[str]:
    """Compare a frequency table with the counts it was made from."""
    table = tables.read(f"kmer_freq_k{k}", ["source", "count", "frequency", "rank"])
    names = table["source"].to_numpy(zero_copy_only=False)
    for source, counts in kmers.counts_by_source(tables, k).items():
        rows = table.filter(names == source)
        count, rank = rows["count"].to_numpy(), rows["rank"].to_numpy()
        if count.sum() != counts.sum():
            yield f"{source}: counts add up to {count.sum():,}, but kmer_ holds {counts.sum():,}"
        if len(count) and abs(rows["frequency"].to_numpy().sum() - 1) > 1e-9:
            yield f"{source}: frequencies add up to {rows['frequency'].to_numpy().sum()}"
        by_rank = count[np.argsort(rank)]
        if not np.array_equal(np.sort(rank), np.arange(1, len(rank) + 1)) or (np.diff(by_rank) > 0).any():
            yield f"{source}: ranks do not follow the counts"


def totals_and_means(tables: Tables) -> Iterator[str]:
    """Compare codon usage with the counts, and RSCU with its definition."""
    frame = tables.read("codon_rscu").to_pandas()
    counted = codons.counts_by_source(tables)
    for (source, reading_frame), rows in frame.groupby(["source", "frame"]):
        total = int(counted[source][reading_frame].sum())
        if rows["count"].sum() != total:
            yield f"{source}, frame {reading_frame}: {rows['count'].sum():,} codons, but codon_counts holds {total:,}"
        if total and abs(rows["per_thousand"].sum() - 1000) > 1e-6:
            yield f"{source}, frame {reading_frame}: per thousand adds up to {rows['per_thousand'].sum()}"
        for amino_acid, family in rows.groupby("amino_acid"):
            occurs = family["count"].sum() > 0
            if occurs != family["rscu"].notna().all() or (occurs and abs(family["rscu"].mean() - 1) > 1e-9):
                yield f"{source}, frame {reading_frame}, {amino_acid}: mean RSCU {family['rscu'].mean()}"
    if missing := set(counted) - set(frame["source"]):
        yield f"no rows for {', '.join(sorted(missing))}"


def ranks(tables: Tables) -> Iterator[str]:
    """Compare the ranks of hits with their order and their similarities."""
    columns = ["query_number", "rank", "similarity", "seq_id"]
    number, rank, similarity, name = (
        column.to_numpy(zero_copy_only=False) for column in tables.read(query_hits.NAME, columns).columns
    )
    same = np.diff(number) == 0
    follows = (similarity[1:] < similarity[:-1]) | ((similarity[1:] == similarity[:-1]) & (name[1:] >= name[:-1]))
    right = (similarity > 0) & (similarity <= 1)
    right[:1] &= rank[:1] == 1
    right[1:] &= np.where(same, (np.diff(rank) == 1) & follows, (np.diff(number) > 0) & (rank[1:] == 1))
    for place in np.flatnonzero(~right)[:SHOWN]:
        yield f"query {number[place]:,}, rank {rank[place]:,}: {name[place]} with similarity {similarity[place]}"


def norms(tables: Tables) -> Iterator[str]:
    """Make TF-IDF vectors, evenly spread over the index, and measure them."""
    idf = inverse_document_frequency(*document_frequency(tables))
    rows = tables.spread("tfidf_index", ["file", "seq_id", "kmers", "codes", "counts"], VECTORS)
    vectors = sequence_kmers_of(rows)
    weights = tfidf(vectors, idf)
    norm = np.sqrt(row_sums(weights**2, vectors.row_offsets))
    total = row_sums(vectors.counts, vectors.row_offsets)
    wrong = (np.abs(norm - (vectors.windows > 0)) > 1e-6) | (total != vectors.windows)
    for place in np.flatnonzero(wrong):
        name = f"{rows['file'][place]} {rows['seq_id'][place]}"
        yield f"{name}: norm {norm[place]}, {total[place]:,} windows counted"


def sequence_kmers_of(index: pa.Table) -> SequenceKmers:
    """Return rows of tfidf_index as the kernels take them."""
    codes, counts = (index[name].combine_chunks() for name in ("codes", "counts"))
    return SequenceKmers(
        row_offsets=codes.offsets.to_numpy().astype(np.int64) - codes.offsets[0].as_py(),
        codes=codes.flatten().to_numpy(),
        counts=counts.flatten().to_numpy(),
        windows=index["kmers"].to_numpy(),
    )


def by_part(tables: Tables, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield some columns of a table, part by part, so that memory holds one part."""
    for _, pieces in groupby(tables.pieces(name, tables.open(name)), key=lambda piece: piece[0]):
        rows = []
        for _, file in pieces:
            with open_row_groups(f"{tables.uri(name)}/{file.path}", file.row_groups) as (opened, groups):
                rows.append(opened.read_row_groups(groups, columns=list(columns)))
        yield pa.concat_tables(rows)
