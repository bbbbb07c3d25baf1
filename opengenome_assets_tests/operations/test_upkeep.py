"""The job upkeep, vacuum and compaction: the same rows in fewer files, and finished work is found again."""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from opengenome_assets.definitions import build_defs
from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.lineage.records import beside_tables
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, keep_up, write_files
from opengenome_assets_tests.processes import started, typed, wait_for

FILES = {f"{'ab'[n % 2]}/{n}.fa": f">s{n}\n{'ACGTTGCA' * (n + 1)}GGNA\n>t{n}\n{'CAT' * (n + 3)}\n" for n in range(6)}
SCANNED = ("shard_stats", "kmer_", "codon_counts", "tfidf_index", "tfidf_terms")


def everything(made: Corpus) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table, in the order in which they are read."""
    return {name: made.home.table(name).read().to_pylist() for name in made.home.names()}


def versions(made: Corpus) -> dict[str, int]:
    return {name: made.home.table(name).input().version for name in made.home.names()}


def age(home: str) -> None:
    """Make everything that was written look older than any retention."""
    for path in Path(home, "tables").rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))


def pictures(made: Corpus) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(made.home.uri, "figures").glob("*.*"))}


def summary(made: Corpus) -> dict[str, Any]:
    """Return what the report says in numbers, without the run that wrote it and the time that took."""
    told = json.loads(Path(made.home.uri, "reports", "summary.json").read_text())
    for name in ("run_id", "started", "seconds", "cpu_seconds"):
        del told["provenance"][name]
    del told["digest"]  # of these too
    return told


@pytest.mark.slow
def test_after_upkeep_everything_is_reused_and_a_changed_file_costs_that_file(corpus, tmp_path):
    made = corpus(FILES)
    made.materialize()
    before = everything(made), versions(made), pictures(made), summary(made)
    age(made.home.uri)
    packed, told = keep_up(made, retention_days=0), keep_up(made, retention_days=0)
    for name in ("sequence_shards", *SCANNED):
        assert (packed[name]["parquet_files_before"], packed[name]["parquet_files_after"]) == (6, 1)
        assert (packed[name]["parts_packed"], packed[name]["files_removed"]) == (6, 0)
        assert (told[name]["parts_packed"], told[name]["files_removed"]) == (0, 12)
        assert (told[name]["versions_readable"], told[name]["versions_removed"]) == ([0], [])
        assert not list(Path(made.home.table(name).uri).glob("[0-9a-f]*"))
    assert packed["kmer_freq_k6"]["parts_packed"] == 0

    again = made.materialize()
    assert (everything(made), versions(made), pictures(made), summary(made)) == before
    assert made.metadata(again, "sequence_shards")["files_reused"] == 6
    for name in SCANNED:
        assert (made.metadata(again, name)["shards_reused"], made.metadata(again, name)["table_version"]) == (6, 0)
    assert made.metadata(again, "figure_gc_content")["reused"] is True

    write_files(tmp_path / "fasta", {"b/3.fa": ">new\nTTTTTTTT\n"})
    changed = made.materialize()
    assert made.metadata(changed, "sequence_shards")["files_reused"] == 5
    for name in SCANNED:
        assert (made.metadata(changed, name)["shards_reused"], made.metadata(changed, name)["bases_scanned"]) == (5, 8)
    fresh = Corpus(Home(str(tmp_path / "fresh")), made.source, made.ks)
    fresh.materialize()
    assert everything(made) == everything(fresh)
    assert made.home.table("kmer_").at(0).read().to_pylist() == before[0]["kmer_"]


@pytest.mark.slow
def test_shards_in_a_pack_are_scanned_under_their_old_names(corpus):
    made = corpus(FILES)
    made.materialize("*kmer_,rejected_records")
    names = made.home.table("kmer_").read(["shard"])["shard"].to_pylist()
    keep_up(made)
    made.materialize("shard_stats,codon_counts,tfidf_index")
    assert set(made.home.table("shard_stats").read()["shard"].to_pylist()) == set(names)
    expected = Corpus(Home(f"{made.home.uri}-fresh"), made.source, made.ks)
    expected.materialize("*shard_stats,*codon_counts,*tfidf_index,rejected_records")
    for name in ("shard_stats", "codon_counts", "tfidf_index", "tfidf_terms"):
        assert made.home.table(name).read().to_pylist() == expected.home.table(name).read().to_pylist()


@pytest.mark.slow
def test_what_a_figure_was_drawn_from_is_kept_and_what_nothing_names_is_not(corpus):
    made = corpus(FILES)
    made.materialize("*figure_rscu,rejected_records")
    for table in (2, 5):
        made.materialize("genes,gene_codons,codon_rscu", genes={"genetic_codes": {"a": table}})
    assert [record.name for record in beside_tables(made.home.uri)] == ["figure_rscu"]
    age(made.home.uri)
    assert keep_up(made, retention_days=0, dry_run=True)["codon_rscu"]["versions_removed"] == [1]
    told = keep_up(made, retention_days=0)["codon_rscu"]
    assert (told["versions_readable"], told["versions_removed"]) == ([0, 2], [1])
    assert made.home.table("codon_rscu").at(0).read().num_rows == made.home.table("codon_rscu").read().num_rows
    with pytest.raises(MissingVersionError):
        made.home.table("codon_rscu").at(1).read()


@pytest.mark.slow
def test_within_the_retention_nothing_goes(corpus):
    made = corpus(FILES)
    made.materialize("*kmer_,rejected_records")
    age(made.home.uri)
    made.materialize("*kmer_,rejected_records", sequence_shards={"min_length": 20})
    told = keep_up(made)
    assert {each["files_removed"] for each in told.values()} == {0}
    assert told["kmer_"]["versions_readable"] == [0, 1]
    assert told["kmer_"]["retention_days"] == 30


@pytest.mark.long
def test_upkeep_waits_for_the_run_that_uses_the_tables(corpus):
    made = corpus(FILES)
    made.materialize("raw_fasta")
    begun, release = threading.Event(), threading.Event()

    @dg.asset
    def slow(home: dg.ResourceParam[Home]) -> None:
        begun.set()
        release.wait(30)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(dg.materialize, [slow], resources={"home": HomeResource(uri=made.home.uri)})
        assert begun.wait(30)
        second = threads.submit(keep_up, made)
        with pytest.raises(TimeoutError):
            second.result(timeout=1.5)
        release.set()
        assert first.result().success
        assert "raw_fasta" in second.result()


@pytest.mark.slow
def test_upkeep_that_is_killed_loses_nothing(corpus, tmp_path):
    made = corpus(FILES)
    made.materialize("*kmer_,*shard_stats,rejected_records")
    age(made.home.uri)
    before = everything(made)
    home = Path(made.home.uri)
    command = [str(Path(sys.executable).with_name("opengenome")), "upkeep", "--retention-days", "0"]
    with started(command, home):
        wait_for(lambda: list(home.glob("tables/*/packs/*/_manifest.json")), "pack")
    assert everything(made) == before
    keep_up(made, retention_days=0)
    assert everything(made) == before
    again = made.materialize("*kmer_,*shard_stats,rejected_records")
    assert made.metadata(again, "sequence_shards")["files_reused"] == 6
    assert made.metadata(again, "kmer_")["shards_reused"] == 6
    assert len(made.home.table("kmer_").at().files) == 1


@pytest.mark.slow
def test_the_documented_command_takes_its_settings(corpus, tmp_path):
    made = corpus(FILES)
    made.materialize("*kmer_,rejected_records")
    config = tmp_path / "upkeep.yaml"
    config.write_text("{ops: {keep_up: {config: {retention_days: 90, dry_run: true}}}}")
    command = f"dagster job execute -m opengenome_assets.definitions -j upkeep --config {config}"
    assert "0 bytes would be freed" in typed(command, Path(made.home.uri))


@pytest.mark.long
def test_nothing_runs_it_unasked():
    weekly = build_defs().resolve_schedule_def("weekly_upkeep")
    assert weekly.default_status == dg.DefaultScheduleStatus.STOPPED
    tick = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 22, 3, tzinfo=UTC))
    (request,) = weekly.evaluate_tick(tick).run_requests
    assert request.run_config == {}
    assert "upkeep" not in {key.to_user_string() for key in build_defs().resolve_asset_graph().get_all_asset_keys()}
