"""What a home remembers of its source, and what is made of files that cannot be used."""

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.corpus.figures import shares, spread_sequences
from opengenome_assets.corpus.sources import source_of, to_remember
from opengenome_assets.definitions import build_defs
from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.intake.sources import SourceError
from opengenome_assets.operations.reproduce import reproduce
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import ENGINE, Corpus, failure, write_files

GOOD = {"plants/one.fa": ">p1\nACGTACGTGGCA\n", "animals/two.fa": ">r1\nTTGCACGTACGT\n>r2\nTTTTACGGACGT\n"}
BAD = {
    "plants/cut.fa.gz": gzip.compress(b">c\n" + b"ACGTTGCA" * 5000, mtime=0)[:-60],
    "animals/reads.fa": "@read1\nACGT\n+\nIIII\n",
}


@pytest.fixture
def made(tmp_path: Path) -> Corpus:
    write_files(tmp_path / "fasta", GOOD)
    return Corpus(Home(str(tmp_path / "home")), str(tmp_path / "fasta"), (2,))


def unnamed(corpus: Corpus) -> list[str]:
    """Make the catalogue without a source named anywhere; return the paths in it."""
    import dagster as dg

    overrides = {"home": HomeResource(uri=corpus.home.uri), "engine": ENGINE}
    defs = build_defs(Settings(home=corpus.home.uri), resource_overrides=overrides)
    assert dg.materialize(list(defs.assets), selection=["raw_fasta"], resources=overrides).success
    return [row["path"] for row in corpus.content("raw_fasta")]


@pytest.mark.long
def test_a_home_keeps_its_source_when_none_is_named(made):
    made.materialize("raw_fasta")
    assert unnamed(made) == ["animals/two.fa", "plants/one.fa"]
    assert source_of(made.home, None) == made.source
    assert source_of(Home(f"{made.home.uri}-new"), None) == "sample"


@pytest.mark.long
def test_another_source_is_used_only_when_named_and_it_is_said(made, tmp_path, capfd):
    made.materialize("raw_fasta")
    write_files(tmp_path / "other", {"x.fa": ">x\nACGT\n"})
    other = Corpus(made.home, str(tmp_path / "other"), (2,))
    other.materialize("raw_fasta")
    said = capfd.readouterr().err
    assert f"this home holds the corpus of {made.source}; from here on it is that of {other.source}" in said
    assert unnamed(other) == ["x.fa"]


def test_paths_are_remembered_as_absolute_and_a_pin_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert to_remember("genomes, sample", "") == f"{tmp_path}/genomes,sample"
    followed = "hf://datasets/o/n/fasta/*"
    assert to_remember("hf://datasets/o/n@abc/fasta/*", followed) == followed
    assert to_remember("hf://datasets/o/n@abc/fasta/*", "") == "hf://datasets/o/n@abc/fasta/*"
    assert to_remember("hf://datasets/o/other@abc/fasta/*", followed) == "hf://datasets/o/other@abc/fasta/*"


@pytest.mark.long
def test_a_home_that_did_not_remember_asks_for_its_source(made):
    made.materialize("raw_fasta")
    table = made.home.table("raw_fasta")
    forgotten = table.provenance().model_copy(update={"specification": ""})
    table.write(table.read(), forgotten, key="0" * 64)
    with pytest.raises(SourceError, match=r"holds the corpus of 2 files, the first .* Set OPENGENOME_SOURCE"):
        source_of(made.home, None)


@pytest.mark.long
def test_bad_files_are_left_out_loudly_and_the_good_ones_made(made, tmp_path, monkeypatch):
    write_files(tmp_path / "fasta", {**BAD, "plants/three.fa": ">t\nACGT\n"})
    result = made.materialize("*sequence_stats,rejected_records,corpus_report")
    assert sorted(row["seq_id"] for row in made.content("sequence_shards")) == ["p1", "r1", "r2", "t"]
    rows = [row for row in made.content("rejected_records") if row["record"] == 0]
    assert [(row["file"], row["kind"]) for row in rows] == [
        ("animals/reads.fa", "the file cannot be used"),
        ("plants/cut.fa.gz", "the file cannot be used"),
    ]
    assert "expected a line starting with '>', found '@read1'" in rows[0]["reason"]
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "every_file_is_used"]
    assert (check.passed, check.blocking) == (False, False)
    assert "found '@read1'" in (check.description or "")
    page = Path(made.home.uri, "reports", "corpus_report.html").read_text()
    box = page[page.index("<p>2 files left out for faults:</p>\n<ul>") :]
    assert box[: box.index("</ul>")].count("<li>") == 2
    assert "<p>Mend these files or take them away. Then: <code>opengenome run</code></p>" in box
    monkeypatch.setenv("OPENGENOME_HOME", made.home.uri)
    shown = CliRunner().invoke(main, ["info"], catch_exceptions=False).output
    assert "LEFT OUT: 2 files that cannot be used" in shown
    assert "@read1" in shown

    # Made again for comparison, the same files are left out, by the record's settings.
    again = reproduce(
        made.home,
        groups.specs(),
        lambda record, home: build_defs(groups.settings_of(record, home)),
        "sequence_shards",
        None,
        str(tmp_path / "scratch"),
        ENGINE,
    )
    assert again.comparison.differences == []

    # Mended, the file is in, and nothing of the others is parsed again.
    write_files(tmp_path / "fasta", {"animals/reads.fa": ">m\nACGT\n"})
    (tmp_path / "fasta" / "plants" / "cut.fa.gz").unlink()
    mended = made.materialize("*sequence_shards,rejected_records")
    assert made.metadata(mended, "sequence_shards")["files_reused"] == 3
    assert not [row for row in made.content("rejected_records") if row["record"] == 0]
    assert "LEFT OUT" not in CliRunner().invoke(main, ["info"], catch_exceptions=False).output


@pytest.mark.long
def test_more_bad_files_than_the_setting_allows_stop_the_run(made, tmp_path):
    write_files(tmp_path / "fasta", {**BAD, "plants/third.fa": "no FASTA\n"})
    said = failure(made.materialize("*sequence_shards,rejected_records", ok=False))
    assert "3 of 5 files cannot be used, more than the 50% that max_unusable_share allows" in said
    assert not made.home.table("sequence_shards").exists()


@pytest.mark.long
def test_small_sources_are_drawn_whole(made, tmp_path):
    many = "".join(f">t{number}\nACGTACG{'ACGT'[number % 4]}\n" for number in range(200))
    write_files(tmp_path / "fasta", {"tiny/many.fa": many})
    made.materialize("*tfidf_index,tfidf_terms,rejected_records", sequence_shards={"max_records_per_shard": 60})
    drawn = spread_sequences(made.home.table("tfidf_index").at(), 23)
    assert drawn["source"].value_counts().to_dict() == {"tiny": 20, "animals": 2, "plants": 1}
    numbers = [int(name[1:]) for name in drawn["seq_id"] if name.startswith("t")]
    assert max(after - before for before, after in pairwise(sorted([0, *numbers, 199]))) <= 20


def test_shares_fill_small_sources_first():
    assert shares({"a": 1, "b": 3, "c": 1000, "d": 400}, 100) == {"a": 1, "b": 3, "c": 48, "d": 48}
    assert shares({"a": 5, "b": 7}, 100) == {"a": 5, "b": 7}
    assert shares({}, 100) == {}
