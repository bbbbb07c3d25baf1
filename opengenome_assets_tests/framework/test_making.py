"""What an asset records of its making, also when the machine's clock is set back meanwhile."""

import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from opengenome_assets.framework.making import Making, lineage, version_tags
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.tables import Home

MADE = Provenance(name="kmer_", code_version="1", inputs={"sequence_shards": Input(version=3, data_version="a" * 64)})


class Step:
    """What is asked of a step."""

    run_id = "run"


def test_the_record_says_run_code_libraries_and_time():
    record = Making(Step(), "opengenome_assets.corpus.passes.kmers").recorded(MADE)
    assert record.data_version == MADE.data_version
    assert (record.run_id, list(record.inputs)) == ("run", ["sequence_shards"])
    assert "kernels.kmers" in record.modules
    assert record.libraries["pyspark"]
    assert abs(record.started - datetime.now(UTC)) < timedelta(minutes=1)
    assert 0 <= record.seconds < 60
    assert len(record.model_dump_json()) < 2000


def test_times_do_not_go_backwards_with_the_clock(monkeypatch):
    making = Making(Step(), "opengenome_assets.corpus.passes.kmers")
    hour_ago = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: hour_ago)
    assert making.recorded(MADE).seconds >= 0


def test_the_newest_version_is_the_last_committed_whatever_the_clock_said(tmp_path):
    tables, now = Home(str(tmp_path)), datetime.now(UTC)
    for code, started in (("1", now), ("2", now - timedelta(hours=2))):
        tables.table("t").write(pa.table({"id": [code]}), Provenance(name="t", code_version=code, started=started))
    history = tables.table("t").history()
    assert tables.table("t").provenance().code_version == "2"
    assert history.current.number == 1
    assert tables.table("t").provenance(0).started > tables.table("t").provenance(1).started


def test_metadata_cuts_digests_and_leaves_numbers_to_stand_beside():
    record = lineage(Making(Step(), "opengenome_assets.corpus.passes.kmers").recorded(MADE))["provenance"].data
    assert record["inputs"]["sequence_shards"]["data_version"] == "a" * 16
    assert "seconds" not in record


@pytest.mark.parametrize(("known", "told"), [(["sequence_shards"], 1), (["raw_fasta"], 0)])
def test_tags_name_the_inputs_that_dagster_knows_and_no_others(known, told):
    tags = version_tags(MADE, known)
    assert tags["dagster/data_version"] == MADE.data_version
    assert tags["dagster/code_version"] == "1"
    assert len([name for name in tags if name.startswith("dagster/input_data_version")]) == told
