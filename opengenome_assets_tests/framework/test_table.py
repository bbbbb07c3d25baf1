"""Columns: every column of every table has a description and a lineage, and every table a key."""

import dagster as dg
import pytest
from opengenome_assets.corpus.checks import table_schemas

from opengenome_assets.definitions import build_defs
from opengenome_assets.framework.table import GIVEN, column_lineage, columns_of, trace_column
from opengenome_assets.search import query_hits
from opengenome_assets.settings import Settings
from opengenome_assets.storage.columns import comment

SCHEMAS = {**table_schemas((6, 7)), query_hits.NAME: query_hits.SCHEMA}


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_column_has_a_description_and_says_where_it_comes_from(table):
    schema, columns = SCHEMAS[table], columns_of(table)
    assert set(columns.origins) == set(schema.names)
    assert set(columns.key) <= set(schema.names)
    assert all(comment(field) for field in schema)
    assert any(origin != GIVEN for origin in columns.origins.values()) or table == "raw_fasta"


@pytest.mark.parametrize("table", SCHEMAS)
def test_columns_come_from_columns_of_the_tables_that_the_asset_depends_on(table):
    graph = build_defs(Settings(home="/h", ks=(6, 7))).resolve_asset_graph()
    parents = {key.to_user_string() for key in graph.get(dg.AssetKey(table)).parent_keys}
    for origins in column_lineage(table).deps_by_column.values():
        for origin in origins:
            assert origin.asset_key.to_user_string() in parents
            assert origin.column_name in SCHEMAS[origin.asset_key.to_user_string()].names


def test_a_key_identifies_a_row(sample):
    for table in table_schemas(sample.corpus.ks):
        rows = sample.corpus.home.table(table).read(columns_of(table).key)
        assert len(set(zip(*(column.to_pylist() for column in rows.columns), strict=True))) == rows.num_rows, table


def test_dagster_is_told_the_lineage_of_the_columns(sample):
    told = sample.corpus.metadata(sample.result, "kmer_freq_k6")["dagster/column_lineage"]
    assert told == column_lineage("kmer_freq_k6")
    assert {dep.column_name for dep in told.deps_by_column["kmer"]} == {"k", "counts"}


def test_a_column_is_followed_up_to_the_bytes_of_the_files():
    assert trace_column("kmer_freq_k6", "frequency") == {
        "kmer_freq_k6.frequency": ["kmer_.counts"],
        "kmer_.counts": ["sequence_shards.sequence"],
        "sequence_shards.sequence": ["raw_fasta.sha256"],
        "raw_fasta.sha256": [],
    }
    with pytest.raises(LookupError, match=r"kmer_ has no column 'kmer': expected shard, source, k, windows, counts"):
        trace_column("kmer_", "kmer")


def test_a_table_that_no_asset_makes_is_refused_by_name():
    with pytest.raises(LookupError, match="genes is no table that is made here"):
        columns_of("genes")


NUMBERS = {
    "table": ("dagster/row_count", "megabytes", "parquet_files", "seconds", "driver_cpu_seconds", "table_version"),
    "raw_fasta": ("files", "files_reused", "bytes"),
    "sequence_shards": ("records", "accepted", "rejected", "rejected_share", "bases", "files_reused"),
    "kmer_": ("shards", "shards_reused", "bases_scanned", "bases_reused"),
    "sequence_stats": ("sequences", "bases", "gc_content", "n50"),
    "kmer_freq_k6": ("windows", "distinct_kmers"),
    "tfidf_index": ("sequences", "terms_seen"),
    "figure_rscu": ("seconds", "driver_cpu_seconds"),
    "corpus_report": ("seconds", "driver_cpu_seconds"),
}


@pytest.mark.parametrize("asset", [name for name in NUMBERS if name != "table"])
def test_what_dagster_shall_plot_over_materialisations_is_a_number(sample, asset):
    told = sample.corpus.metadata(sample.result, asset)
    expected = NUMBERS[asset] + (NUMBERS["table"] if asset in SCHEMAS else ())
    assert {name: type(told.get(name)) for name in expected if type(told.get(name)) not in (int, float)} == {}
