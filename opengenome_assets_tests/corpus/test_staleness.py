"""Staleness: what Dagster says must be made again is exactly that."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from opengenome_assets.corpus import kmers
from opengenome_assets.corpus.tables import KMER_FREQUENCIES
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests import corpora
from opengenome_assets_tests.corpora import Corpus, write_files

pytestmark = pytest.mark.slow

FILES = {"moss/a.fa": ">a1\nACGTACGTAA\n>a2\nGGGTTTAAAC\n", "fern/b.fa": ">b1\nTTTTACGGCA\n"}
SCANS = {"shard_stats", "kmer_", "codon_counts", "genes", "gene_codons", "tfidf_index", "tfidf_terms"}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A folder with a corpus of which everything was made, and the instance that knows it."""
    root = tmp_path_factory.mktemp("original")
    write_files(root / "fasta", FILES)
    (root / "dagster").mkdir()
    home = Corpus(Home(str(root / "home")), str(root / "fasta"))
    with dg.DagsterInstance.local_temp(str(root / "dagster"), overrides={"telemetry": {"enabled": False}}) as instance:
        home.materialize(instance=instance)
        assert home.stale(instance) == {}
    return root


@pytest.fixture
def made(original, tmp_path):
    """A copy of it, to be changed."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.local_temp(
        str(tmp_path / "dagster"), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        yield Corpus(Home(str(tmp_path / "home")), str(tmp_path / "fasta")), instance


def waves(home, instance):
    """Make what is stale until nothing is; return what was stale each time."""
    found = []
    while stale := home.stale(instance):
        found.append(set(stale))
        assert len(found) < 10
        home.materialize(",".join(stale), instance=instance)
    return found


def test_a_changed_file_makes_stale_what_follows_from_it_step_by_step(made):
    home, instance = made
    write_files(Path(home.source), {"moss/a.fa": ">a1\nACGTACGTAAGG\n"})
    home.materialize("raw_fasta", instance=instance)
    first, second, *later = waves(home, instance)
    assert first == {"sequence_shards", "rejected_records"}
    assert second == {*SCANS, "corpus_report"}
    graph = home.graph()
    keys = (key for key in graph.get_all_asset_keys() if graph.get(key).tags["group"] == "corpus")
    everything = {key.to_user_string() for key in keys}
    assert set().union(first, second, *later) == everything - {"raw_fasta"}


def test_a_file_that_was_only_touched_makes_nothing_stale(made):
    home, instance = made
    os.utime(Path(home.source, "moss", "a.fa"))
    home.materialize("raw_fasta", instance=instance)
    assert home.stale(instance) == {}


def test_a_new_code_version_makes_stale_the_asset_and_what_follows_when_it_has_been_made_again(made, monkeypatch):
    home, instance = made
    newer = replace(KMER_FREQUENCIES.template, code_version="2")
    monkeypatch.setattr(kmers, "KMER_FREQUENCIES", replace(KMER_FREQUENCIES, template=newer))
    monkeypatch.setattr(corpora, "members", corpora.members.__wrapped__)  # not those of version 1
    tables = {"kmer_freq_k2", "kmer_freq_k6"}
    assert home.stale(instance) == {name: ["has a new code version"] for name in tables}
    figures = {"figure_kmers_k2", "figure_kmers_k6", "figure_spectrum"}
    assert waves(home, instance) == [tables, figures, {"corpus_report"}]


def test_other_settings_of_a_run_make_stale_what_follows_from_them(made):
    home, instance = made
    home.materialize("sequence_shards", instance=instance, sequence_shards={"min_length": 5})
    # rejected_records was made with it, though not asked for.
    assert set(home.stale(instance)) == {*SCANS, "corpus_report"}


def test_frequencies_refuse_counts_made_without_their_k(made):
    home, instance = made
    home.ks = (2, 3)
    result = home.materialize("kmer_freq_k3", ok=False, instance=instance)
    told = str([event.step_failure_data.user_failure_data for event in result.get_step_failure_events()])
    assert "expected counts for k = 3, found them for k = 2, 6" in told
    assert "--select 'kmer_*'" in told
    assert not home.home.table("kmer_freq_k3").exists()
