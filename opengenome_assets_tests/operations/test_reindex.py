"""Reindex: an instance without events, or with too few, gets the missing ones; a second call is idempotent."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from opengenome_assets import groups
from opengenome_assets.operations.reindex import reindex
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, write_files

pytestmark = pytest.mark.slow

FILES = {"moss/a.fa": ">a1\nACGTACGTAA\n>a2\nGGGTTTAAAC\n", "fern/b.fa": ">b1\nTTTTACGGCA\n"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A corpus of which everything was made twice, from other files, in an instance that is gone; to be read."""
    root = tmp_path_factory.mktemp("made")
    write_files(root / "fasta", FILES)
    corpus = Corpus(Home(str(root / "home")), str(root / "fasta"))
    with dg.instance_for_test() as instance:
        corpus.materialize(instance=instance)
        write_files(Path(corpus.source), {"moss/a.fa": ">a1\nACGTACGTAAGG\n"})
        corpus.materialize(instance=instance)
    return corpus


@pytest.fixture
def instance():
    with dg.instance_for_test() as wiped:
        yield wiped


def told(made, instance):
    graph = made.graph()
    dependencies = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    return {each.asset: list(each.versions) for each in reindex(instance, made.home, groups.specs(), dependencies)}


def history(instance, name):
    """Return the versions that Dagster knows of a table, oldest first."""
    found = instance.fetch_materializations(dg.AssetKey(name), limit=100, ascending=True).records
    return [record.asset_materialization.metadata["table_version"].value for record in found]


def test_a_wiped_instance_knows_every_version_and_takes_nothing_for_stale(made, instance):
    assert {"raw_fasta", "kmer_", "figure_spectrum", "corpus_report"} <= set(made.stale(instance))
    first = told(made, instance)
    assert first["kmer_"] == [0, 1]
    assert first["corpus_report"] == first["figure_spectrum"] == [None]
    assert made.stale(instance) == {}
    assert told(made, instance) == {}
    assert history(instance, "kmer_") == [0, 1]


def test_an_event_says_what_the_record_says(made, instance):
    told(made, instance)
    newest, oldest = instance.fetch_materializations(dg.AssetKey("kmer_freq_k6"), limit=10).records
    event = oldest.asset_materialization
    record = made.home.table("kmer_freq_k6").provenance(0)
    assert event.tags[DATA_VERSION_TAG] == record.data_version
    assert event.metadata["provenance"].value["run_id"] == record.run_id
    assert event.metadata["committed"].value == made.home.table("kmer_freq_k6").history().versions[0].made.timestamp()
    assert event.metadata["dagster/row_count"].value == made.home.table("kmer_freq_k6").at(0).read().num_rows
    assert event.metadata["dagster/row_count"].value != newest.asset_materialization.metadata["dagster/row_count"].value
    assert event.metadata["seconds"].value == record.seconds


def test_a_run_after_it_finds_all_made_and_its_results_are_not_told_again(made, instance):
    told(made, instance)
    result = made.materialize("kmer_", instance=instance)
    assert made.metadata(result, "kmer_")["shards_reused"] == 2
    assert made.stale(instance) == {}
    assert told(made, instance) == {}


def test_a_commit_whose_event_was_lost_is_told_alone(corpus, instance):
    made = corpus(FILES)
    made.materialize("raw_fasta,sequence_shards,rejected_records", instance=instance)
    write_files(Path(made.source), {"moss/a.fa": ">a1\nACGTACGTAAGG\n"})
    with dg.instance_for_test() as other:  # the process died between the table's commit and the event
        made.materialize("raw_fasta", instance=other)
    assert "sequence_shards" not in made.stale(instance)
    assert told(made, instance) == {"raw_fasta": [1]}
    assert made.stale(instance)["sequence_shards"] == ["has a new dependency data version"]


def test_where_only_old_events_were_lost_the_newest_state_stays_the_newest(made, instance):
    with dg.instance_for_test() as complete:
        told(made, complete)
        newest = complete.fetch_materializations(dg.AssetKey("kmer_"), limit=1).records[0].asset_materialization
    instance.report_runless_asset_event(newest)
    assert told(made, instance)["kmer_"] == [0, 1]
    assert history(instance, "kmer_") == [1, 0, 1]
    assert made.stale(instance) == {}
    assert told(made, instance) == {}
