"""Declarations of tables: every column has a description and a lineage, every table a key, and Dagster is told."""

from functools import cache

import dagster as dg
import pytest

from opengenome_assets import groups
from opengenome_assets.definitions import build_defs
from opengenome_assets.framework.assets import column_lineage, column_schema
from opengenome_assets.framework.table import Column, Role, Specs, TableFamily, TableSpec, UnknownTableError
from opengenome_assets.storage.columns import comment
from opengenome_assets_tests.corpora import settings

SPECS = groups.specs()
MEMBERS = {
    each.name: each
    for declared in SPECS.declared
    for each in ([declared.member(6)] if isinstance(declared, TableFamily) else [declared])
}


@cache
def graph():
    return build_defs(settings("/h", ks=(6, 7))).resolve_asset_graph()


def parents(name):
    return {key.to_user_string() for key in graph().get(dg.AssetKey(name)).parent_keys}


@pytest.mark.parametrize("name", MEMBERS)
def test_every_column_has_a_description_and_says_where_it_comes_from(name):
    spec = MEMBERS[name]
    assert set(spec.key) <= set(spec.schema.names)
    assert all(comment(field) for field in spec.schema)
    assert any(column.origins for column in spec.columns) is bool(parents(name))


@pytest.mark.parametrize("name", MEMBERS)
def test_columns_come_from_columns_of_the_tables_that_the_asset_depends_on(name):
    for column in MEMBERS[name].columns:
        for origin in column.origins:
            table, _, part = origin.partition(".")
            assert table in parents(name)
            assert SPECS.find(table).column(part)


def test_a_key_identifies_a_row(sample):
    for name in sample.corpus.home.names():
        rows = sample.corpus.home.table(name).read(SPECS.find(name).key)
        assert len(set(zip(*(column.to_pylist() for column in rows.columns), strict=True))) == rows.num_rows, name


def test_dagster_is_told_the_columns_and_their_lineage(sample):
    spec = SPECS.find("kmer_freq_k6")
    told = sample.corpus.metadata(sample.result, spec.name)["dagster/column_lineage"]
    assert told == column_lineage(spec)
    assert {dep.column_name for dep in told.deps_by_column["kmer"]} == {"k", "counts"}
    asset = sample.corpus.graph().get(dg.AssetKey(spec.name))
    assert asset.metadata["dagster/column_schema"] == column_schema(spec)
    assert (asset.tags["group"], asset.code_version) == ("corpus", spec.code_version)


def test_a_column_is_followed_up_to_the_bytes_of_the_files():
    assert SPECS.trace_column("kmer_freq_k6", "frequency") == {
        "kmer_freq_k6.frequency": ("kmer_.counts",),
        "kmer_.counts": ("sequence_shards.sequence",),
        "sequence_shards.sequence": ("raw_fasta.sha256",),
        "raw_fasta.sha256": (),
    }
    with pytest.raises(LookupError, match=r"kmer_ has no column 'kmer': expected shard, source, k, windows, counts"):
        SPECS.trace_column("kmer_", "kmer")


def test_a_table_that_no_asset_makes_is_refused_by_name():
    with pytest.raises(UnknownTableError, match=r"kmers is no table that is made here\. Is kmer_ meant\?"):
        SPECS.find("kmers")
    assert SPECS.get("genomes") is None


def test_a_member_of_a_family_is_known_by_its_number():
    assert SPECS.find("kmer_freq_k12").description.startswith("Counts, frequencies and ranks of all 12-mers")
    family, number = SPECS.family("kmer_freq_k12")
    assert (family.setting, number) == ("ks", 12)
    assert SPECS.family("kmer_") is None
    for name in ("kmer_freq_k", "kmer_freq_kx", "kmer_freq_k6x"):
        assert not SPECS.knows(name)


def test_a_declaration_whose_key_or_origin_is_no_column_is_refused():
    column = Column("a", None, "A column")
    with pytest.raises(ValueError, match="t: the key names no column of the table: b"):
        TableSpec("t", "", (Column("a", SPECS.find("kmer_").schema.field(0).type, "A column"),), ("b",))
    with pytest.raises(LookupError, match="raw_fasta has no column 'sha'"):
        SPECS.find("raw_fasta")["sha"]
    assert column.origins == ()


def test_roles_are_found_by_table_and_tables_by_role():
    assert SPECS.named(Role.CATALOGUE) == ["raw_fasta", "protein_files", "raw_reads"]
    assert SPECS.role("sequence_shards") is Role.BASIS
    assert Specs([]).role("raw_fasta") is None


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
def test_what_dagster_plots_over_materialisations_is_a_number(sample, asset):
    told = sample.corpus.metadata(sample.result, asset)
    expected = NUMBERS[asset] + (NUMBERS["table"] if SPECS.knows(asset) else ())
    assert {name: type(told.get(name)) for name in expected if type(told.get(name)) not in (int, float)} == {}
