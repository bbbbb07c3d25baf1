"""Diff: provenance and rows of two versions, compared with the rows themselves."""

import json

import pyarrow as pa
import pytest

from opengenome_assets import groups
from opengenome_assets.framework.table import Column, Specs, TableSpec, UnknownTableError
from opengenome_assets.lineage.diff import AmbiguousRowsError, diff, versions
from opengenome_assets.storage.columns import column
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.shared import copied

SPECS = groups.specs()


def compared(story, name, before=0, after=1, most=10, home=None):
    return diff(home or story.home, SPECS, name, before, after, most)


def identified(name, *key):
    """Return the declaration of a table whose rows these columns identify."""
    return Specs([TableSpec(name, "", tuple(Column(each, pa.string(), "") for each in key), key)])


@pytest.mark.parametrize(
    "name", ["raw_fasta", "sequence_shards", "kmer_", "kmer_freq_k2", "tfidf_index", "tfidf_terms"]
)
def test_rows_are_counted_as_a_plain_comparison_counts_them(story, name):
    key = SPECS.find(name).key
    before, after = (
        {tuple(row[part] for part in key): row for row in story.home.table(name).at(version).read().to_pylist()}
        for version in (0, 1)
    )
    content = compared(story, name).content
    assert content.added == len(after.keys() - before.keys()) > 0 or name == "kmer_freq_k2"
    assert content.removed == len(before.keys() - after.keys())
    both = before.keys() & after.keys()
    assert content.changed == sum(before[row] != after[row] for row in both)
    assert content.columns == {
        column: count
        for column in next(iter(after.values()))
        if (count := sum(before[row][column] != after[row][column] for row in both))
    }
    assert not content.identical


def test_the_largest_changes_in_frequency_are_those(story):
    before, after = (
        {(row["source"], row["kmer"]): row["frequency"] for row in rows.to_pylist()}
        for rows in (story.home.table("kmer_freq_k2").at(version).read() for version in (0, 1))
    )
    changes = sorted((abs(after.get(row, 0) - before.get(row, 0)) for row in {*before, *after}), reverse=True)
    found = compared(story, "kmer_freq_k2", most=5).content.largest
    assert [abs(row["change"]) for row in found] == pytest.approx(changes[:5])
    top = found[0]
    assert (top["before"], top["after"]) == (
        before.get((top["source"], top["kmer"]), 0),
        after.get((top["source"], top["kmer"]), 0),
    )


def test_new_and_lost_sequences_are_named(story):
    content = compared(story, "sequence_shards").content
    assert {(row["file"], row["seq_id"]) for row in content.first_added} == {
        ("fern/c.fa", "c1"),
        ("moss/a.fa", "a3"),
        ("moss/moved.fa", "b1"),
    }
    assert [row["seq_id"] for row in content.first_removed] == ["b1"]


def test_what_made_the_difference_is_found_upstream(story):
    made = compared(story, "kmer_freq_k2").made
    assert made.files.added == ["fern: fern/c.fa"]
    assert made.files.changed == ["moss: moss/a.fa"]
    assert made.files.moved == ["moss: moss/b.fa -> moss: moss/moved.fa"]
    assert made.files.removed == []
    assert ("sequence_shards", "setting min_length", 0, 5) in {
        (each.where, each.what, each.before, each.after) for each in made.determining
    }
    assert made.circumstances == []


def test_versions_of_the_same_parts_are_identical_without_reading_any(story):
    found = compared(story, "kmer_freq_k2", 0, 2)
    assert found.content.identical
    assert found.content.parts_read == 0
    assert (found.made.files.added, found.made.files.changed) == ([], [])


def test_other_parts_with_the_same_rows_are_identical_row_by_row(tmp_path):
    home = Home(str(tmp_path))
    schema = pa.schema([column("source", pa.string(), ""), column("values", pa.list_(pa.int64()), "")])
    rows = [{"source": name, "values": [place, 2]} for place, name in enumerate("abc")]
    for code, order in (("1", rows), ("2", rows[::-1])):
        home.table("codon").write(pa.Table.from_pylist(order, schema), Provenance(name="codon", code_version=code))
    found = diff(home, identified("codon", "source"), "codon", 0, 1)
    assert found.content.identical
    assert found.content.parts_read == 2
    assert [(each.what, each.before, each.after) for each in found.made.determining] == [("code version", "1", "2")]


def test_empty_values_nested_values_and_columns_are_compared(tmp_path):
    home = Home(str(tmp_path))
    text = "A" * 1000
    columns = [column("id", pa.string(), ""), column("x", pa.float64(), ""), column("text", pa.large_string(), "")]
    before = [("same", None, text), ("filled", None, text), ("emptied", 1.0, text), ("letter", 1.0, text)]
    after = [("same", None, text), ("filled", 2.0, text), ("emptied", None, text), ("letter", 1.0, f"{text}C")]
    for code, rows, schema in (
        ("1", before, pa.schema(columns)),
        ("2", after, pa.schema([*columns, column("new", pa.int64(), "")])),
    ):
        table = pa.Table.from_pylist([dict(zip(("id", "x", "text"), row, strict=True)) for row in rows], schema)
        home.table("t").write(table, Provenance(name="t", code_version=code))
    content = diff(home, identified("t", "id"), "t", 0, 1).content
    assert [row["id"] for row in content.first_changed] == ["emptied", "filled", "letter"]
    assert content.first_changes[:2] == [{"x": (1.0, None)}, {"x": (None, 2.0)}]
    assert [[*each] for each in content.first_changes] == [["x"], ["x"], ["text"]]
    assert content.columns == {"x": 2, "text": 1}
    assert content.columns_added == ["new"]


def test_the_newest_version_is_compared_with_the_last_one_that_differs(tmp_path):
    home = Home(str(tmp_path))
    for code, row in (("1", "a"), ("2", "b"), ("2", "b")):
        home.table("t").write(pa.table({"id": [row]}), Provenance(name="t", code_version=code))
    newest = max(home.table("t").history().layouts())
    assert versions(home, "t", None, None) == (0, newest)
    assert versions(home, "t", 1, None) == (1, newest)
    assert versions(home, "t", None, 1) == (0, 1)
    with pytest.raises(LookupError, match="t has no version before 0: there is nothing to compare it with"):
        versions(home, "t", None, 0)


def test_only_parts_that_differ_are_read_also_out_of_packs(story, tmp_path):
    copied(story.home.uri, tmp_path / "home")
    home = Home(str(tmp_path / "home"))
    home.table("sequence_shards").compact(PackSizes(small=2**20, size=2**20, parts=64))
    assert compared(story, "sequence_shards", 1, 2, home=home) == compared(story, "sequence_shards", 1, 2)
    # b moved and a changed; every shard belongs to one file.
    assert compared(story, "sequence_shards", home=home).content.parts_read == 5


def test_code_that_changed_without_a_new_code_version_is_named(tmp_path):
    home = Home(str(tmp_path))
    for settings, digest in (({}, "0" * 16), ({"k": 1}, "1" * 16)):
        made = Provenance(name="t", code_version="1", settings=settings, modules={"kernels.kmers": digest})
        home.table("t").write(pa.table({"id": ["a"]}), made)
    (change,) = diff(home, identified("t", "id"), "t", 0, 1).made.circumstances
    assert (change.what, change.before, change.after) == ("code of kernels.kmers", "0" * 16, "1" * 16)


def test_digests_of_code_from_before_they_could_be_compared_are_not(tmp_path):
    home = Home(str(tmp_path))
    for package, digest in (("0.1.9", "0" * 16), ("0.2.0", "1" * 16)):
        modules = {"kernels.kmers": digest}
        made = Provenance(name="t", code_version="1", settings={"k": package}, package_version=package, modules=modules)
        home.table("t").write(pa.table({"id": ["a"]}), made)
    (change,) = diff(home, identified("t", "id"), "t", 0, 1).made.circumstances
    assert (change.what, change.before, change.after) == ("opengenome-assets", "0.1.9", "0.2.0")


def test_a_key_that_does_not_identify_rows_is_refused(story):
    with pytest.raises(AmbiguousRowsError, match="expected one row per source, found"):
        diff(story.home, identified("sequence_shards", "source"), "sequence_shards", 0, 1)


def test_a_table_that_no_group_declares_is_refused(tmp_path):
    home = Home(str(tmp_path))
    for code in "12":
        home.table("t").write(pa.table({"id": ["a"]}), Provenance(name="t", code_version=code))
    with pytest.raises(UnknownTableError, match=r"t is no table that is made here\. `opengenome info`"):
        diff(home, SPECS, "t", 0, 1)


def test_a_version_that_is_not_there_is_refused(story):
    with pytest.raises(MissingVersionError, match="kmer_ has no version 7"):
        compared(story, "kmer_", 0, 7)
    assert json.dumps(compared(story, "kmer_").content.first_added)
