"""The first steps of a user: start the cluster, press "Materialize all", look at the results."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets.corpus.group import GROUP as CORPUS
from opengenome_assets.framework.table import Specs
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.compose.cluster import Cluster
from opengenome_assets_tests.processes import typed
from opengenome_assets_tests.same import assert_same
from opengenome_assets_tests.webserver import Run, wait_for


@pytest.fixture(scope="module")
def run(cluster: Cluster) -> Run:
    """The sample, materialised through the webserver."""
    (run,) = cluster.succeed(cluster.launch())
    return run


def test_every_asset_and_check_succeeds(run: Run) -> None:
    assert len(run.steps) > 50
    # There are no queries: what would check their hits is left out.
    left_out = {step for step in run.steps if step.startswith("query_hits_")}
    assert {run.steps[step] for step in left_out} == {"SKIPPED"}
    assert {run.steps[step] for step in run.steps.keys() - left_out} == {"SUCCESS"}


def test_every_table_is_that_of_a_local_run_bit_for_bit(
    cluster: Cluster, run: Run, local_tables: Home, tmp_path: Path
) -> None:
    assert_same(cluster.fetch_tables(tmp_path / "cluster"), local_tables)


def test_what_the_cluster_made_is_reproduced_here_bit_for_bit(cluster: Cluster, run: Run, tmp_path: Path) -> None:
    cluster.execute("dagster-webserver", "opengenome", "push", "/data/pushed", "--with-raw")
    home = tmp_path / "pushed"
    cluster.compose("cp", "dagster-webserver:/data/pushed", str(home))
    # The tables of reads are made of files beside them too, which are not pushed: references and CRAM files.
    corpus = [name for name in Home(str(home)).names() if Specs(CORPUS.tables).knows(name)]
    told = json.loads(typed(f"opengenome reproduce {' '.join(corpus)} --format json 2>/dev/null", home))
    assert [each["name"] for each in told["tables"]] == corpus
    for each in told["tables"]:
        assert (each["identical"], each["comparison"]["files"]) == (True, "identical"), each


def test_the_application_is_named_after_the_run_and_had_every_worker(cluster: Cluster, run: Run) -> None:
    (application,) = (app for app in cluster.spark()["completedapps"] if run.run_id in app["name"])
    assert (application["state"], application["cores"]) == ("FINISHED", 2)
    logs = cluster.compose("logs", "--no-color", "spark-worker").splitlines()
    launched = {line.split()[0] for line in logs if "Asked to launch" in line and run.run_id in line}
    assert len(launched) == 2


def test_the_command_line_in_a_container_uses_the_cluster_and_the_database(cluster: Cluster) -> None:
    printed = cluster.execute("dagster-webserver", "sh", "-c", "dagster asset materialize --select 'kmer_*' 2>&1")
    assert "3 reused" in printed
    answer = json.loads(cluster.execute("dagster-webserver", "opengenome", "info", "--format", "json"))
    states = {table["name"]: table["state"] for table in answer["tables"]}
    assert set(states.values()) == {"current"}
    assert "kmer_freq_k8" in states


def test_the_search_finds_what_was_made(cluster: Cluster, run: Run, local_tables: Home) -> None:
    address = f"http://127.0.0.1:{cluster.settings['SEARCH_UI_PORT']}"

    def index() -> Any:
        try:
            return read_json(f"{address}/api/index")
        except OSError:  # there was no index a moment ago
            return None

    described = wait_for(index, "index in the search")
    assert described["sequences"] == local_tables.table("tfidf_index").read().num_rows
    assert described["report"]
    sequence = local_tables.table("sequence_shards").read(["seq_id", "sequence"]).slice(0, 1).to_pylist()[0]
    answer = read_json(f"{address}/api/similar", {"queries": sequence["sequence"], "top_n": 1})
    ((hit,),) = (result["hits"] for result in answer["results"])
    assert (hit["seq_id"], round(hit["similarity"], 9)) == (sequence["seq_id"], 1)


def test_a_small_job_is_sent_and_done_at_once(cluster: Cluster, run: Run) -> None:
    address = f"http://127.0.0.1:{cluster.settings['SEARCH_UI_PORT']}/api/alignments/batch"
    proteins = (SAMPLE_FOLDER / "escherichia-prot_proteins.fasta").read_bytes()
    answer = read_json(f"{address}?name=escherichia_proteins.fasta&organism=Escherichia", proteins)
    assert [row["symbol"] for row in answer["results"]] == ["nfsA_K141STOP", "nfsA_R15C", "pmrB_C84R"]


def read_json(address: str, body: Any = None) -> Any:
    sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    request = urllib.request.Request(address, sent, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_validate_finds_the_cluster_ready(cluster: Cluster) -> None:
    answer = json.loads(cluster.execute("dagster-webserver", "opengenome", "validate", "--format", "json"))
    verdicts = {verdict["subject"]: verdict for verdict in answer["verdicts"]}
    assert answer["ok"], answer
    assert "spark://spark-master:7077" in verdicts["Spark"]["finding"]


def test_one_run_at_a_time_and_a_worker_more_for_the_next(cluster: Cluster) -> None:
    first = cluster.launch("raw_fasta", "sequence_shards", config={"sequence_shards": {"compression": "lz4"}})
    second = cluster.launch("raw_fasta", "sequence_shards", config={"sequence_shards": {"compression": "gzip"}})
    wait_for(lambda: cluster.runs(first)[0].status == "STARTED", "start of the first run")
    assert cluster.runs(second)[0].status == "QUEUED"
    cluster.compose("up", "--detach", "--no-recreate", "--no-build", "--scale", "spark-worker=3", "spark-worker")
    cluster.succeed(first)
    cluster.succeed(second)
    (application,) = (app for app in cluster.spark()["completedapps"] if second in app["name"])
    assert application["cores"] == 3
    cluster.compose("up", "--detach", "--no-recreate", "--no-build", "--scale", "spark-worker=2", "spark-worker")
