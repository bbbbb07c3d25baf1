"""A laptop's own Dagster and an existing Spark cluster."""

import json
import logging
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession

from opengenome_assets.engine.spark import Spark
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import free_port, started, typed, wait_for
from opengenome_assets_tests.shared import copied

pytestmark = pytest.mark.slow

SPARK_CLASS = str(Path(pyspark.__file__).with_name("bin") / "spark-class")
DEPLOY = "org.apache.spark.deploy"


@dataclass
class StandaloneCluster:
    """A master and a worker of two cores."""

    address: str
    page: int

    def state(self) -> dict[str, Any]:
        """What the master's page says."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/json/", timeout=5) as answer:
                return dict(json.load(answer))
        except (OSError, json.JSONDecodeError):  # not there yet, busy, or its first page in place of this one
            return {"workers": []}

    def ended(self) -> list[str]:
        """Names of the applications that have ended."""
        return [application["name"] for application in self.state()["completedapps"]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    port, page = free_port(), free_port()
    running = StandaloneCluster(f"spark://127.0.0.1:{port}", page)
    ports = ["--port", str(port), "--webui-port", str(page)]
    master = [SPARK_CLASS, f"{DEPLOY}.master.Master", "--host", "127.0.0.1", *ports]
    worker = [SPARK_CLASS, f"{DEPLOY}.worker.Worker", "--host", "127.0.0.1", "--cores", "2", "--memory", "1g"]
    folder = tmp_path_factory.mktemp("cluster")
    work = ["--work-dir", str(folder / "work"), "--webui-port", "0"]
    home = folder / "cluster"
    with started(master, home), started([*worker, *work, running.address], home):
        wait_for(lambda: running.state()["workers"], "worker that the master knows")
        yield running


@pytest.mark.parametrize("modules", [[], ["wave", "sunau"]])
def test_workers_of_a_cluster_are_forked_from_a_process_that_has_loaded_what_they_need(cluster, modules):
    def loaded(_: int) -> list[str]:
        return [module for module in ("wave", "sunau") if module in sys.modules]

    if session := SparkSession.getActiveSession():
        session.stop()
    spark = Spark(master=cluster.address, preload=modules)
    try:
        found = spark.map(loaded, [1, 2, 3], weights=[1, 1, 1], label="", unit="units", log=logging.getLogger("test"))
    finally:
        spark.stop()
    assert found == [modules] * 3


def test_assets_are_made_on_the_cluster_that_spark_master_names(cluster, tmp_path):
    home = tmp_path / "home"
    select = "dagster asset materialize --select '*kmer_' --module-name opengenome_assets.definitions"
    said = typed(select, home, OPENGENOME_ENGINE="spark", SPARK_MASTER=cluster.address)
    (application,) = (each for each in cluster.state()["completedapps"] if each["name"].startswith("__ASSET_JOB "))
    assert f"on {cluster.address}" in said
    assert application["cores"] == 2
    tables = Home(str(home))
    assert len(tables.table("kmer_").read()) == 3 * len(tables.table("raw_fasta").read())


def test_every_table_of_the_sample_is_the_same_bit_for_bit_here_and_on_the_cluster(cluster, sample, tmp_path):
    home, before = copied(sample.corpus.home.uri, tmp_path / "home"), cluster.ended()
    again = json.loads(
        typed(
            "opengenome reproduce --format json 2>/dev/null",
            home,
            OPENGENOME_ENGINE="spark",
            SPARK_MASTER=cluster.address,
        )
    )
    assert [each["name"] for each in again["tables"]] == Home(str(home)).names()
    assert len(again["tables"]) == 16
    for each in again["tables"]:
        assert (each["identical"], each["comparison"]["files"]) == (True, "identical"), each
    assert len(cluster.ended()) == len(before) + 1  # one for all tables
