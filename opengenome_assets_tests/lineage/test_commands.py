"""The commands on lineage: their output, also in a process of their own."""

import csv
import io
import json
import shutil

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.cli.lineage import file_lines
from opengenome_assets.lineage.changes import FileChanges
from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.terminal import written
from opengenome_assets_tests.processes import REPOSITORY, typed
from opengenome_assets_tests.shared import copied


@pytest.fixture
def home(story, tmp_path, monkeypatch):
    """A copy of the corpus with a history, and the environment of a user of it."""
    copied(story.home.uri, tmp_path / "home")
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENGENOME_KS", "2")
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    return tmp_path / "home"


def run(*arguments, code=0):
    answer = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert answer.exit_code == code, answer.output
    return answer.output


def test_lineage_as_text_and_as_json(home):
    text = run("lineage", "kmer_freq_k2", "--version", 1, "--files", 2)
    assert text.startswith("kmer_freq_k2 version 1, data version ")
    assert "1 more files" in text
    found = json.loads(run("lineage", "kmer_freq_k2", "--version", 1, "--format", "json"))
    assert len(found["nodes"]["raw_fasta version 1"]["files"]) == 3
    assert found["nodes"][found["root"]]["record"]["libraries"]["numpy"]


def test_lineage_of_a_column(home):
    text = run("lineage", "codon_rscu", "--column", "rscu")
    assert text.splitlines()[0] == "codon_rscu.rscu <- codon_counts.counts, gene_codons.counts"
    assert text.splitlines()[-1] == "raw_fasta.sha256 <- the files, a setting or a list"
    assert json.loads(run("lineage", "codon_rscu", "--column", "codon", "--format", "json")) == {"codon_rscu.codon": []}
    assert "has no column 'x'" in run("lineage", "kmer_", "--column", "x", code=1)


def test_lineage_refuses_what_is_not_there(home):
    assert "called 'nothing'. There are: codon_bias, codon_counts" in run("lineage", "nothing", code=1)


def test_diff_as_text_and_as_json(home):
    text = run("diff", "kmer_freq_k2", 0, 1, "--most", 3)
    for words in ("changed  moss: moss/a.fa", "setting min_length", "0 -> 5", "largest changes in frequency, 3 shown:"):
        assert words in text
    assert "identical: both have the same parts" in run("diff", "kmer_freq_k2", 0, 2)
    assert "added  fern, fern/c.fa, c1" in run("diff", "sequence_shards", 0, 1)
    found = json.loads(run("diff", "sequence_shards", 0, 1, "--format", "json"))
    assert (found["content"]["added"], found["content"]["removed"]) == (3, 1)
    assert (found["made"]["files"]["added"], found["made"]["files"]["first_added"]) == (1, ["fern: fern/c.fa"])


def test_diff_counts_what_it_does_not_name(home):
    counted = run("diff", "sequence_shards", 0, 1, "--most", 0)
    assert "1 added, 0 removed, 1 changed, 1 moved" in counted.split("Source files")[1].split("Code and settings")[0]
    assert "3 rows added, 1 removed" in counted
    assert "fern" not in counted
    assert "added  fern, fern/c.fa, c1\n    and 2 more added\n" in run("diff", "sequence_shards", 0, 1, "--most", 1)
    assert "largest changes in frequency, 1 shown:" in run("diff", "kmer_freq_k2", 0, 1, "--most", 1)
    found = json.loads(run("diff", "sequence_shards", 0, 1, "--most", 0, "--format", "json"))
    files = found["made"]["files"]
    assert (files["added"], files["moved"], files["first_added"], files["first_moved"]) == (1, 1, [], [])


def test_diff_of_many_files_says_how_many_it_leaves_out():
    files = FileChanges(added=["a: 1", "a: 2", "a: 3"], removed=["b: 1"])
    assert list(file_lines(files, 2)) == [
        "3 added, 1 removed, 0 changed, 0 moved",
        "  added  a: 1",
        "  added  a: 2",
        "  and 1 more added",
        "  removed  b: 1",
    ]


def test_diff_refuses_a_version_and_a_table_that_are_not_there(home):
    assert "kmer_ has no version 9" in run("diff", "kmer_", 0, 9, code=1)
    for versions in ((0, 1), ()):
        words = run("diff", "figure_rscu", *versions, code=1)
        assert "figure_rscu is a figure, of which only the last is kept" in words
    assert "changed  moss: moss/a.fa" in run("diff", "kmer_freq_k2")  # the newest, and the last one that differs


def test_runs_are_listed_tagged_noted_compared_and_exported(home, story):
    first, second, _ = story.runs
    assert run("runs", "tag", first[:8], "for=paper", "figure=2") == f"run {first}: for=paper figure=2\n"
    run("runs", "note", first[:8], "before the move")
    text = run("runs")
    assert [line.split()[0] for line in text.splitlines()[2:5]] == [run_id[:8] for run_id in story.runs[::-1]]
    assert "figure=2 for=paper before the move" in text.replace("for=paper figure=2", "figure=2 for=paper")
    rows = {row["run_id"]: row for row in csv.DictReader(io.StringIO(run("runs", "--format", "csv")))}
    assert rows[first]["tags.for"] == "paper"
    assert rows[second]["params.sequence_shards.min_length"] == "5"
    compared = run("runs", "--compare", first[:8], second[:8])
    assert any(line.split() == ["params.sequence_shards.min_length", "0", "5"] for line in compared.splitlines())
    assert "params.kmer_.ks" in compared.split("The same")[1]
    assert run("runs", "--compare", first[:8], first[:8]).startswith("What differs\n  nothing\n")


def test_runs_without_dagster_are_those_of_the_tables_and_nothing_is_made(home, story, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(empty))
    found = json.loads(run("runs", "--format", "json"))
    assert {each["run_id"] for each in found} == set(story.runs)
    assert {each["status"] for each in found} == {"not known to Dagster"}
    assert "no dagster.yaml" in run("runs", "tag", story.runs[0], "a=b", code=1)
    assert list(empty.iterdir()) == []


def test_a_tag_without_a_value_is_refused(home, story):
    assert "expected KEY=VALUE, found a" in run("runs", "tag", story.runs[0], "a", code=2)


def test_a_run_that_dagster_has_forgotten_cannot_be_tagged_but_pinned(home, story):
    forgotten = story.runs[0]
    with open_instance() as instance:
        instance.delete_run(forgotten)
    for command in (("tag", forgotten[:8], "a=b"), ("note", forgotten[:8], "words")):
        said = run("runs", *command, code=1)
        assert f"Dagster has forgotten run {forgotten}" in said
        assert f"opengenome pin {forgotten[:8]}" in said
    run("pin", forgotten[:8])
    assert (home / "pins" / f"{forgotten}.json").exists()


def test_settings_that_are_mappings_are_written_in_the_order_of_their_keys():
    assert written({"b": 1, "a": 2}) == written({"a": 2, "b": 1}) == "{'a': 2, 'b': 1}"
    assert written([2, 1]) == "[2, 1]"


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_in_processes_of_their_own_a_wiped_instance_is_told_everything_once(home, story):
    shutil.rmtree(home / "dagster")
    ks = {"OPENGENOME_KS": "2"}
    told = typed("opengenome reindex", home, **ks)
    assert "kmer_freq_k2: versions 0-2" in told
    assert "corpus_report: its last state" in told
    assert json.loads(typed("opengenome reindex --format json", home, **ks)) == []
    assert story.runs[1][:8] in typed("opengenome lineage kmer_freq_k2 --version 1", home)
    assert "both have the same parts" in typed("opengenome diff kmer_freq_k2 0 2", home)
    assert story.runs[0][:8] in typed("opengenome runs", home)
