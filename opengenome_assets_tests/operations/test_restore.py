"""The job restore: old rows as a new version, no version lost, and stale tables named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from opengenome_assets.definitions import build_defs
from opengenome_assets.operations.refresh import outdated
from opengenome_assets.storage.history import Restoration
from opengenome_assets_tests.corpora import Corpus, failure

pytestmark = pytest.mark.slow

FILES = {"a/x.fa": ">s1\nACGTACGTAC\n>s2\nGGGTTTACGTACGTAGCTAGTTTT\n", "b/y.fa": f">s3\n{'ACGTTGCA' * 9}\n"}
CHAIN = "*kmer_freq_k2,rejected_records,*sequence_stats"
LONG = {"sequence_shards": {"min_length": 20}}


def definitions(made: Corpus) -> dg.Definitions:
    return build_defs(made.settings)


def restored(
    made: Corpus,
    versions: Mapping[str, int],
    *,
    dry_run: bool = False,
    ok: bool = True,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """Run the job."""
    config = {"versions": dict(versions), "dry_run": dry_run}
    result = (
        definitions(made)
        .resolve_job_def("restore")
        .execute_in_process(
            run_config={"ops": {"restore_versions": {"config": config}}}, instance=instance, raise_on_error=False
        )
    )
    assert result.success is ok
    return result


def rows(made: Corpus, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: made.home.table(name).read().to_pylist() for name in made.home.names() if name not in without}


def test_old_rows_become_a_new_version_with_their_record_and_nothing_is_lost(corpus):
    made = corpus(FILES)
    made.materialize(CHAIN)
    made.materialize(CHAIN, **LONG)
    old, new = (made.home.table("kmer_").at(version).read() for version in (0, 1))
    assert not old.equals(new)
    result = restored(made, {"kmer_": 0})
    history = made.home.table("kmer_").history()
    assert made.home.table("kmer_").read().equals(old)
    assert [made.home.table("kmer_").at(version).read().equals(old) for version in (0, 1, 2)] == [True, False, True]
    assert made.home.table("kmer_").provenance() == made.home.table("kmer_").provenance(0)
    assert history.versions[2].restored == Restoration(0, result.run_id)
    assert history.current.number == 2
    assert made.home.table("kmer_").input().data_version == made.home.table("kmer_").provenance(0).data_version
    (event,) = result.get_asset_materialization_events()
    said = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (said["restored_version"], said["version_before"], said["table_version"]) == (0, 1, 2)
    assert (said["rows_before"], said["rows"], said["dagster/row_count"]) == (new.num_rows, old.num_rows, old.num_rows)


def test_what_was_made_before_is_found_again_after_a_restoration(corpus):
    made = corpus(FILES)
    made.materialize(CHAIN)
    before = rows(made)
    made.materialize(CHAIN, **LONG)
    restored(made, {"sequence_shards": 0, "rejected_records": 0})
    again = made.materialize("kmer_,kmer_freq_k2,shard_stats,sequence_stats")
    assert made.metadata(again, "kmer_")["shards_reused"] == made.metadata(again, "kmer_")["shards"]
    assert rows(made) == before


def test_dagster_and_the_user_are_told_what_does_not_fit_any_more(corpus):
    made = corpus(FILES)
    with dg.instance_for_test() as instance:
        made.materialize(CHAIN, instance=instance)
        made.materialize(CHAIN, instance=instance, **LONG)

        def stale() -> set[str]:
            graph = definitions(made).resolve_asset_graph()
            resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
            there = [dg.AssetKey(name) for name in made.home.names()]
            return {key.to_user_string() for key in there if resolver.get_status(key) == StaleStatus.STALE}

        assert (stale(), outdated(made.home)) == (set(), [])
        restored(made, {"kmer_": 0}, instance=instance)
        # kmer_ now describes other shards than there are, and the table made from it other counts.
        assert outdated(made.home) == ["kmer_", "kmer_freq_k2"]
        assert stale() == {"kmer_", "kmer_freq_k2"}
        restored(made, {"sequence_shards": 0, "rejected_records": 0, "kmer_freq_k2": 0}, instance=instance)
        assert outdated(made.home) == ["sequence_stats", "shard_stats"]
        assert stale() >= {"shard_stats"}
        restored(made, {"shard_stats": 0, "sequence_stats": 0}, instance=instance)
        assert (stale(), outdated(made.home)) == (set(), [])


def test_a_dry_run_changes_nothing_and_a_second_time_neither(corpus):
    made = corpus(FILES)
    made.materialize(CHAIN)
    made.materialize(CHAIN, **LONG)
    before = rows(made)
    foretold = restored(made, {"kmer_": 0}, dry_run=True)
    assert rows(made) == before
    assert made.home.table("kmer_").history().newest == 1
    assert not foretold.get_asset_materialization_events()
    said = foretold.get_asset_observation_events()[0].asset_observation_data.asset_observation.metadata
    done = restored(made, {"kmer_": 0}).get_asset_materialization_events()[0].materialization.metadata
    assert {name: value for name, value in done.items() if name in said} == dict(said)
    again = restored(made, {"kmer_": 0})
    assert not again.get_asset_materialization_events()
    assert made.home.table("kmer_").history().newest == 2


def test_if_one_version_cannot_be_had_none_is_restored(corpus):
    made = corpus(FILES)
    made.materialize(CHAIN)
    made.materialize(CHAIN, **LONG)
    result = restored(made, {"sequence_shards": 0, "kmer_": 9}, ok=False)
    assert "kmer_ has no version 9; it has 0 to 1. Nothing was restored" in failure(result)
    assert made.home.table("sequence_shards").history().newest == 1
    assert "nothing has not been made yet" in failure(restored(made, {"nothing": 0}, ok=False))


@pytest.mark.parametrize("dry_run", [False, True])
def test_if_a_page_is_damaged_nothing_is_restored_and_the_file_is_named(corpus, dry_run):
    made = corpus(FILES)
    made.materialize(CHAIN)
    made.materialize(CHAIN, **LONG)
    before = rows(made)
    counts = made.home.table("kmer_")
    present = counts.at().files
    (file, *_) = [file for file in counts.at(0).files if file not in present]
    path = Path(counts.uri, file.path)
    flip_last_page(path)
    said = failure(restored(made, {"sequence_shards": 0, "kmer_": 0}, dry_run=dry_run, ok=False))
    assert f"{path} is damaged" in said
    assert "Nothing was restored" in said
    assert rows(made) == before
    assert made.home.table("sequence_shards").history().newest == 1


def flip_last_page(path: Path) -> None:
    """Change a bit of the last page of a Parquet file's second column."""
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(1)
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("ks", [(2, 6)])
def test_other_columns_come_back_too(corpus, ks):
    made = corpus(FILES, ks=ks)
    made.materialize("*kmer_,rejected_records")
    record = json.loads(made.home.table("kmer_").history().current.record or "")
    assert record["name"] == "kmer_"
    table = made.home.table("kmer_").read()
    other = made.home.table("kmer_").provenance().model_copy(update={"code_version": "2"})
    made.home.table("kmer_").write(table.select(["shard", "k"]), other)
    assert made.home.table("kmer_").read().column_names == ["shard", "k"]
    restored(made, {"kmer_": 0})
    assert made.home.table("kmer_").read().equals(table, check_metadata=True)
