"""The outcome of a run: what it made, what stayed, and which files changed since the run before."""

from pathlib import Path
from typing import Any

import pytest

from opengenome_assets import groups
from opengenome_assets.corpus.findings import findings, named
from opengenome_assets.framework.table import Specs
from opengenome_assets.lineage.outcome import is_sample, outcome
from opengenome_assets_tests.corpora import Corpus, Sample, write_files

SELECTION = "raw_fasta,sequence_shards,rejected_records,shard_stats,sequence_stats"
GOOD = "".join(f">z{number}\nAACC\n" for number in range(20))
FILES = {"a/one.fa": ">x\nACGT\n>y\nGGCC\n", "b/two.fa": f"{GOOD}>bad\nAC!T\n"}


@pytest.fixture
def made(corpus: Any) -> Corpus:
    made: Corpus = corpus(FILES)
    return made


@pytest.mark.long
def test_it_names_what_a_run_made_and_which_files_changed(made: Corpus, tmp_path: Path) -> None:
    first = made.materialize(SELECTION).run_id
    result = outcome(made.home, groups.specs(), first)
    assert (result.made, result.kept, result.files) == (sorted(SELECTION.split(",")), [], {})

    second = made.materialize(SELECTION).run_id
    again = outcome(made.home, groups.specs(), second)
    assert (again.made, again.kept) == ([], result.made)

    write_files(tmp_path / "fasta", {"a/one.fa": ">x\nACGA\n", "c/three.fa": ">w\nTTTT\n"})
    (tmp_path / "fasta" / "b" / "two.fa").unlink()
    third = made.materialize(SELECTION).run_id
    changed = outcome(made.home, groups.specs(), third)
    assert changed.made == result.made
    (files,) = changed.files.values()
    assert (files.added, files.removed, files.changed) == (["c: c/three.fa"], ["b: b/two.fa"], ["a: a/one.fa"])


@pytest.mark.long
def test_the_corpus_is_told_in_lines_that_warn_of_what_is_missing(made: Corpus, tmp_path: Path) -> None:
    assert findings(made.home) == []
    write_files(tmp_path / "fasta", {"b/reads.fa": "@r\nACGT\n+\nIIII\n"})
    made.materialize(SELECTION)
    version = made.home.table("rejected_records").at().version
    made.materialize(SELECTION)
    assert made.home.table("rejected_records").at().version == version  # though that file was looked at again
    lines = {line.subject: line for line in findings(made.home)}
    assert lines["sequences"].text == "22: a 2, b 20"
    assert lines["bases"].text == "88, 52.3 % of A, C, G and T are G or C"
    assert lines["refused"].text.startswith("1 record (")
    assert lines["refused"].text.endswith("in b/two.fa 1. See: opengenome show rejected_records")
    assert "b/reads.fa" in lines["left out"].text
    assert [line.subject for line in lines.values() if line.warns] == ["refused", "left out"]


def test_the_sample_is_told_from_files_of_ones_own(made: Corpus, sample: Sample) -> None:
    tables = {group.name: Specs(group.tables) for group in groups.GROUPS}
    assert is_sample(sample.corpus.home, tables["corpus"])
    assert not is_sample(sample.corpus.home, tables["search"])
    made.materialize("raw_fasta")
    assert not is_sample(made.home, tables["corpus"])


def test_files_of_two_folders_with_one_path_have_their_folders_name() -> None:
    assert named([("a", "two.fa"), ("b", "two.fa"), ("b", "b/one.fa"), ("a", "two.fa")]) == {
        ("a", "two.fa"): "a: two.fa",
        ("b", "two.fa"): "b: two.fa",
        ("b", "b/one.fa"): "b/one.fa",
    }
