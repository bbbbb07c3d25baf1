"""A laptop's own Dagster and an existing Spark cluster."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pyspark

from opengenome_assets.resources.tables import Tables
from opengenome_assets_tests.processes import free_port, started, typed, wait_for

SPARK_CLASS = str(Path(pyspark.__file__).with_name("bin") / "spark-class")
DEPLOY = "org.apache.spark.deploy"


def test_assets_are_made_on_the_cluster_that_spark_master_names(tmp_path):
    home, port, page = tmp_path / "home", free_port(), free_port()
    address = f"spark://127.0.0.1:{port}"

    def state() -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.URLError:  # not there yet
            return {"workers": []}

    ports = ["--port", str(port), "--webui-port", str(page)]
    master = [SPARK_CLASS, f"{DEPLOY}.master.Master", "--host", "127.0.0.1", *ports]
    worker = [SPARK_CLASS, f"{DEPLOY}.worker.Worker", "--host", "127.0.0.1", "--cores", "2", "--memory", "1g"]
    work = ["--work-dir", str(tmp_path / "work"), "--webui-port", "0"]
    with started(master, home), started([*worker, *work, address], home):
        wait_for(lambda: state()["workers"], "worker that the master knows")
        select = "dagster asset materialize --select '*kmer_' --module-name opengenome_assets.definitions"
        said = typed(select, home, SPARK_MASTER=address)
        (application,) = state()["completedapps"]
    assert f"on {address}" in said
    assert application["name"].startswith("__ASSET_JOB ")
    assert application["cores"] == 2
    tables = Tables(home=str(home))
    assert len(tables.read("kmer_")) == 3 * len(tables.read("raw_fasta"))
