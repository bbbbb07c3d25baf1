"""Checks: each finds the wrong table it is there for, and a blocking one stops what follows."""

import gzip
import json
import re
import shutil
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from opengenome_assets.corpus.definitions import members
from opengenome_assets.corpus.figures import figure_specs
from opengenome_assets.corpus.genes import EXAMINATION
from opengenome_assets.corpus.group import GROUP
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.framework.checks import as_check
from opengenome_assets.framework.figures import save_figure
from opengenome_assets.framework.group import rules_of, tables_of
from opengenome_assets.plots.style import Picture
from opengenome_assets.storage.examined import ExaminedParts
from opengenome_assets.storage.files import write_bytes
from opengenome_assets.storage.record import Input, Provenance, digest
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus

KS = (2, 6)
MEMBERS = [member for each in members(CorpusSettings(ks=KS)).values() for member in each]
RULES = [rule for rule in rules_of(GROUP, MEMBERS) if not rule.asset.startswith("figure_")]
GENE = "TTAATTAATTAAATG" + "GCC" * 70 + "TTAATTAATTAA"
FILES = {
    "plants/one.fa": f">p1\nACGTACGTNNACGTTGCA\n>p2\nGGGCCCATATAT\n>p3\n{GENE}\n",
    "animals/two.fa": ">r1\nACGTACGTACGT\n",
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Tables that are right, made once."""
    root = tmp_path_factory.mktemp("good")
    for name, content in FILES.items():
        (root / "fasta" / name).parent.mkdir(parents=True)
        (root / "fasta" / name).write_text(content)
    made = Corpus(Home(str(root / "home")), str(root / "fasta"), KS)
    made.materialize(
        "*tfidf_index,*codon_rscu,*codon_bias,*sequence_stats,rejected_records,*kmer_freq_k2,*kmer_freq_k6"
    )
    return made.home


def problems(home: Home, asset: str, name: str) -> list[str]:
    (rule,) = [rule for rule in RULES if (rule.asset, rule.name) == (asset, name)]
    return list(rule.problems(home))


def poisoned(good: Home, tmp_path, asset: str, poison) -> Home:
    """Return a copy of the tables in which one holds other rows, though every record says they are right."""
    tables = Home(str(tmp_path / "poisoned"))
    shutil.copytree(good.uri, tables.uri)
    for file in tables.table(asset).at().files:
        path = Path(tables.table(asset).uri, file.path)
        rows = pq.read_table(path)
        pq.write_table(poison(rows).cast(rows.schema), path)
        edit_manifest(path.parent, lambda manifest, path=path: manifest["files"][0].update(size=path.stat().st_size))
    table, record = tables.table(asset), tables.table(asset).provenance()
    parts, schema = [table.parts().find(key) for key in table.at().parts], table.at().schema
    shutil.rmtree(f"{table.uri}/_delta_log")
    table.commit(schema, parts, record)
    return tables


def edit_manifest(part: Path, edit) -> None:
    """Change a manifest, and its own digest with it: a pass that went wrong seals what it made."""
    manifest = json.loads((part / "_manifest.json").read_text())
    del manifest["digest"], manifest["contents"]
    edit(manifest)
    (part / "_manifest.json").write_text(json.dumps({**manifest, "digest": digest(manifest)}))


def change(column: str, function):
    """Return a poison that changes one column, given as a list."""

    def poison(rows: pa.Table) -> pa.Table:
        values = function(rows[column].to_pylist())
        place = rows.schema.get_field_index(column)
        return rows.set_column(place, rows.schema.field(column), pa.array(values, rows.schema.field(column).type))

    return poison


def first(value):
    return lambda values: [value, *values[1:]] if values else []


def last(value):
    return lambda values: [*values[:-1], value]


def one_more_count(values):
    return [[values[0][0] + 1, *values[0][1:]], *values[1:]]


@pytest.mark.long
def test_right_tables_have_no_problems(good):
    assert {(rule.asset, rule.name): list(rule.problems(good)) for rule in RULES} == {
        (rule.asset, rule.name): [] for rule in RULES
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("asset", "check", "poison", "said"),
    [
        ("sequence_shards", "unique_ids", change("seq_id", lambda ids: ["p1"] * len(ids)), "occur more than once"),
        ("sequence_shards", "lengths_and_gc", change("length", first(0)), "length 0"),
        ("sequence_shards", "lengths_and_gc", change("gc_content", first(1.5)), "gc_content 1.5"),
        ("sequence_shards", "lengths_and_gc", change("gc_content", first(None)), "gc_content None"),
        ("sequence_shards", "lengths_and_gc", change("acgt_bases", first(99)), "acgt_bases 99"),
        ("shard_stats", "columns_match_sequences", change("bases", first(1)), "bases: "),
        ("sequence_stats", "totals", change("bases", first(1)), "bases: "),
        ("sequence_stats", "totals", change("n50", first(10**6)), "N50 1,000,000 is outside"),
        ("sequence_stats", "totals", change("gc_content", first(-0.1)), "GC content -0.1"),
        ("sequence_stats", "totals", change("length_histogram", first([0])), "length_histogram holds 0"),
        ("kmer_", "sum_of_counts", change("counts", one_more_count), "windows of 2: counts add up to"),
        ("kmer_freq_k2", "counts_and_ranks", change("count", first(10**6)), "but kmer_ holds"),
        ("kmer_freq_k2", "counts_and_ranks", change("rank", first(7)), "ranks do not follow"),
        ("kmer_freq_k2", "counts_and_ranks", change("frequency", first(0.9)), "frequencies add up to"),
        ("codon_counts", "sum_of_counts", change("counts", one_more_count), "windows of 3: counts add up to"),
        ("codon_rscu", "totals_and_means", change("count", last(10**6)), "but codon_counts holds"),
        ("codon_rscu", "totals_and_means", change("count", first(10**6)), "but gene_codons holds"),
        ("codon_bias", "bias_in_range", change("effective_codons", first(70.0)), "effective_codons is 70"),
        ("genes", "genes_in_sequences", change("end", first(10**6)), "genes from"),
        ("genes", "genes_in_sequences", change("protein", first("MA*")), "a protein of 3 letters, with 1 stop"),
        ("gene_codons", "codons_of_genes", change("counts", one_more_count), "codons counted, but"),
        ("codon_rscu", "totals_and_means", change("per_thousand", last(1e6)), "per thousand adds up"),
        ("codon_rscu", "totals_and_means", change("rscu", lambda v: [x and x + 1 for x in v]), "mean RSCU"),
        ("codon_rscu", "totals_and_means", lambda r: r.filter(pc.not_equal(r["source"], "all")), "no rows for all"),
        ("tfidf_index", "norms", change("counts", one_more_count), "windows counted"),
        ("tfidf_index", "norms", change("kmers", first(0)), "norm 1"),
    ],
)
def test_a_wrong_table_is_found(good, tmp_path, asset, check, poison, said):
    assert said in "\n".join(problems(poisoned(good, tmp_path, asset, poison), asset, check))


def test_genes_are_read_once_and_until_they_are_right(good, tmp_path):
    def known(home: Home) -> set[str]:
        return set(ExaminedParts(home.table("genes").at(), "genes", EXAMINATION).found)

    assert known(good) == set(good.table("genes").at().parts) != set()
    wrong = poisoned(good, tmp_path, "genes", change("protein", first("MA*")))
    assert known(wrong) == set()  # every file has another size
    for _ in range(2):
        assert "a protein of 3 letters" in problems(wrong, "genes", "genes_in_sequences")[0]
        assert known(wrong) == set()


@pytest.mark.parametrize(
    ("fact", "value", "said"),
    [
        ("header_lines", 7, "7 header lines, but"),
        ("records", 7, "7 records, but"),
        ("accepted", 7, "7 records accepted, but"),
    ],
)
def test_counts_of_a_file_that_do_not_agree_are_found(good, tmp_path, fact, value, said):
    tables = Home(str(tmp_path / "poisoned"))
    shutil.copytree(good.uri, tables.uri)
    key = tables.table("sequence_shards").at().files[0].path.split("/")[0]
    edit_manifest(
        Path(tables.table("sequence_shards").uri, key), lambda manifest: manifest["facts"].update({fact: value})
    )
    assert said in "\n".join(problems(tables, "sequence_shards", "record_count"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda rows: rows[:1], "plants: plants/one.fa .* listed 0 times in raw_fasta, but was parsed 1 times"),
        (lambda rows: [*rows, {**rows[0], "path": "animals/lost.fa"}], "animals/lost.fa .* 1 times.* parsed 0 times"),
        (lambda rows: [*rows, {**rows[0], "sha256": "f" * 64}], r"sha256 f+…\) is listed 1 times.* parsed 0 times"),
        (lambda rows: [*rows, rows[0]], "animals/two.fa .* listed 2 times in raw_fasta, but was parsed 1 times"),
    ],
)
def test_a_file_that_was_lost_or_counted_twice_is_found(good, tmp_path, wrong, said):
    tables = Home(str(tmp_path / "home"))
    shutil.copytree(good.uri, tables.uri)
    catalogue, shards = tables.table("raw_fasta"), tables.table("sequence_shards")
    rows = sorted(catalogue.read().to_pylist(), key=lambda row: row["path"])
    lost = pa.Table.from_pylist(wrong(rows), catalogue.read().schema)
    record = catalogue.provenance().model_copy(update={"code_version": "0"})
    version = catalogue.write(lost, record).version
    made = shards.provenance()
    inputs = {"raw_fasta": Input(version=version, data_version=record.data_version)}
    parts = [shards.parts().find(key) for key in shards.at().parts]
    shards.commit(shards.read().schema, parts, made.model_copy(update={"inputs": inputs}))
    (problem,) = problems(tables, "sequence_shards", "every_file")
    assert re.search(said, problem)


@pytest.mark.long
def test_files_in_parts_and_without_a_sequence_are_accounted_for(corpus):
    whole = gzip.compress(b"".join(b">r%d\nACGTACGTTG%s\n" % (n, b"ACGT" * n) for n in range(40)))
    short = gzip.compress(b">s\nAC\n")
    files = {"a/x.fa.gz.aa": whole[:50], "a/x.fa.gz.ab": whole[50:], "b/short.fa": ">s\nAC\n"}
    files |= {"c/y.fa.gz.aa": short[:9], "c/y.fa.gz.ab": short[9:], "d/z.fa": ">z\nACGTACGTTGA\n"}
    made = corpus(files)
    made.materialize("raw_fasta,sequence_shards,rejected_records", sequence_shards={"min_length": 5})
    assert made.home.table("sequence_shards").at().rows == 41
    assert problems(made.home, "sequence_shards", "every_file") == []


@pytest.mark.parametrize("asset", [spec.name for spec in tables_of(GROUP, MEMBERS)])
def test_a_column_of_another_type_is_found(good, tmp_path, asset):
    tables = Home(str(tmp_path))
    wrong = pa.table({good.table(asset).read().schema.names[0]: pa.array([1.5])})
    tables.table(asset).write(wrong, good.table(asset).provenance())
    found = problems(tables, asset, "columns")
    assert len(found) == len(good.table(asset).read().schema.names)
    assert "expected" in found[0]


@pytest.mark.long
def test_a_failed_check_stops_what_follows(good, tmp_path):
    tables = poisoned(good, tmp_path, "kmer_", change("counts", one_more_count))
    made = Corpus(tables, str(tmp_path / "none"), KS)
    (tmp_path / "none").mkdir()
    result = made.materialize("kmer_,kmer_freq_k2", ok=False)
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
    assert [(e.asset_key.to_user_string(), e.check_name) for e in failed] == [("kmer_", "sum_of_counts")]
    assert failed[0].blocking
    assert dg.AssetKey("kmer_freq_k2") not in {e.asset_key for e in result.get_asset_materialization_events()}


@pytest.mark.pictures
def test_a_blank_or_missing_figure_is_found(tmp_path):
    tables = Home(str(tmp_path))
    spec = figure_specs(KS)[0]
    rule = spec.rule()
    assert not rule.blocking
    assert "there is no figure_gc_content.png" in next(iter(rule.problems(tables)))
    save_figure(tables, spec.name, Picture(Figure(), "t", "c", "a"), Provenance(name=spec.name, code_version="1"))
    assert "as good as blank" in next(iter(rule.problems(tables)))
    figure = Figure()
    figure.add_subplot().plot(np.random.default_rng(1).random(100))
    save_figure(tables, spec.name, Picture(figure, "t", "c", "a"), Provenance(name=spec.name, code_version="1"))
    assert list(rule.problems(tables)) == []
    write_bytes(f"{tables.uri}/figures/{spec.name}.svg", b"<svg")
    assert "there is no" in next(iter(rule.problems(tables)))


def test_a_table_too_wrong_to_be_read_fails_its_check_in_words(good, tmp_path):
    tables = poisoned(good, tmp_path, "tfidf_index", change("codes", lambda codes: [[-30000] * len(c) for c in codes]))
    (norms,) = [rule for rule in RULES if rule.name == "norms"]
    result = as_check(norms)(tables)
    assert not result.passed
    assert "could not be made" in result.description
