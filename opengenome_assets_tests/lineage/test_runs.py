"""Runs: from Dagster and from the tables, and two side by side."""

import dagster as dg
import pytest

from opengenome_assets.lineage.runs import (
    NOTE_TAG,
    UNKNOWN,
    Run,
    UnknownRunError,
    add_tags,
    compare_runs,
    find_run,
    flat,
    list_runs,
)


@pytest.fixture
def instance(story):
    with dg.DagsterInstance.local_temp(f"{story.home.uri}/dagster") as known:
        yield known


def test_every_run_is_there_newest_first_with_parameters_numbers_and_checks(story, instance):
    runs = list_runs(story.home, instance)
    assert [run.run_id for run in runs] == list(story.runs[::-1])
    assert [run.status for run in runs] == ["SUCCESS"] * 3
    newest, middle, _ = runs
    assert middle.parameters["sequence_shards.min_length"] == 5
    assert middle.parameters["config.sequence_shards.min_length"] == 5
    assert middle.parameters["config.raw_fasta.source"] == story.corpus.source
    assert middle.metrics["sequence_shards.row_count"] == story.home.table("sequence_shards").at(1).read().num_rows
    assert newest.metrics["raw_fasta.files"] == 2
    assert newest.metrics["kmer_.seconds"] > 0
    assert newest.metrics["checks.failed"] == 0 < newest.metrics["checks.passed"]
    assert 0 < newest.seconds < 300


def test_without_dagster_the_tables_tell_who_made_them_when_with_what_and_how_long(story, instance):
    alone = {run.run_id: run for run in list_runs(story.home, None)}
    assert set(alone) == set(story.runs)
    run, known = alone[story.runs[1]], find_run(story.home, instance, story.runs[1])
    assert run.status == UNKNOWN
    assert run.parameters == {name: value for name, value in known.parameters.items() if not name.startswith("config.")}
    assert run.metrics["sequence_shards.seconds"] == pytest.approx(known.metrics["sequence_shards.seconds"], abs=0.5)
    assert run.started >= known.started
    assert 0 < run.seconds <= known.seconds + 1


def test_two_runs_are_compared_with_what_differs_first(story, instance):
    before, after = (find_run(story.home, instance, run_id[:8]) for run_id in story.runs[:2])
    rows = compare_runs(before, after)
    assert [row.differs for row in rows] == sorted((row.differs for row in rows), reverse=True)
    by_name = {row.name: (row.before, row.after) for row in rows}
    assert by_name["params.sequence_shards.min_length"] == (0, 5)
    assert by_name["metrics.raw_fasta.files"] == (2, 3)
    assert by_name["metrics.corpus_report.seconds"][1] is None  # the second run did not make it
    assert not next(row for row in rows if row.name == "params.kmer_.ks").differs


def test_tags_and_notes_are_kept_by_dagster_and_found_by_the_beginning_of_the_id(story, instance):
    assert add_tags(story.home, instance, story.runs[0][:8], {"for": "paper", NOTE_TAG: "first words"}) == story.runs[0]
    add_tags(story.home, instance, story.runs[0], {NOTE_TAG: "the words that count"})
    run = find_run(story.home, instance, story.runs[0])
    assert (run.tags, run.note) == ({"for": "paper"}, "the words that count")
    assert flat(run)["tags.for"] == "paper"
    assert [found.run_id for found in list_runs(story.home, instance) if found.tags] == [story.runs[0]]


@pytest.mark.parametrize(("beginning", "said"), [("nothing", "none does"), ("", "3 do: .*Give more of it")])
def test_an_id_that_fits_no_run_or_several_is_refused(story, instance, beginning, said):
    with pytest.raises(UnknownRunError, match=said):
        find_run(story.home, instance, beginning)
    with pytest.raises(UnknownRunError, match="opengenome runs"):
        add_tags(story.home, instance, beginning, {"a": "b"})


def test_a_limit_keeps_the_newest(story, instance):
    assert [run.run_id for run in list_runs(story.home, instance, 1)] == [story.runs[2]]


def test_a_run_of_a_clock_that_was_set_back_has_no_negative_time(story):
    seconds = [run.seconds for run in list_runs(story.home, None)]
    assert all(value is not None and value >= 0 for value in seconds)
    assert flat(Run("r"))["seconds"] is None
