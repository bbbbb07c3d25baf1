"""A group is its room and one line: it then stands in Dagster and in every command."""

import json
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.framework.assets import column_lineage, column_schema
from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, write_files
from opengenome_assets_tests.processes import REPOSITORY
from opengenome_assets_tests.skew import group as skew
from opengenome_assets_tests.skew.tables import GC_SKEW

FILES = {"moss/a.fa": ">a\nGGGGCCATAT\n", "fern/b.fa": ">b\nCCCCCCGT\n"}
SELECTION = "*gc_skew,*figure_gc_skew,rejected_records"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """The group's tables in two versions: of the second, the file a has other bytes."""
    monkeypatch.setattr(groups, "GROUPS", (*groups.GROUPS, skew.GROUP))  # the one line
    corpus = Corpus(Home(str(tmp_path / "home")), str(tmp_path / "fasta"))
    for variable, value in {
        "OPENGENOME_HOME": corpus.home.uri,
        "OPENGENOME_SOURCE": corpus.source,
        "OPENGENOME_KS": "2,6",
        "OPENGENOME_ENGINE": "processes",
        "DAGSTER_HOME": str(REPOSITORY),
    }.items():
        monkeypatch.setenv(variable, value)
    with open_instance() as instance:
        write_files(tmp_path / "fasta", FILES)
        corpus.materialize(SELECTION, instance=instance)
        write_files(tmp_path / "fasta", {"moss/a.fa": ">a\nGGGGGGATAT\n"})
        corpus.materialize(SELECTION, instance=instance)
    return corpus


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.long
def test_a_group_of_one_asset_stands_in_dagster_and_in_every_command(made, tmp_path):
    graph = made.graph()
    asset = graph.get(dg.AssetKey("gc_skew"))
    assert (asset.group_name, asset.metadata["dagster/column_schema"]) == ("skew", column_schema(GC_SKEW))
    assert {key.name for key in asset.check_keys} == {"columns", "skew_in_range"}
    assert graph.get(dg.AssetKey("figure_gc_skew")).group_name == "skew"
    with open_instance() as instance:
        event = instance.get_latest_materialization_event(asset.key).asset_materialization
    assert event.metadata["dagster/column_lineage"].value == column_lineage(GC_SKEW)
    assert (event.metadata["shards"].value, event.metadata["shards_reused"].value) == (2, 1)
    assert [row["g"] for row in made.content("gc_skew") if row["source"] == "moss"] == [6]

    (row,) = [row for row in json.loads(run("info", "--format", "json"))["tables"] if row["name"] == "gc_skew"]
    assert (row["rows"], row["version"], row["state"]) == (2, 1, "current")
    assert "figure_gc_skew" in run("info")
    lineage = run("lineage", "gc_skew")
    assert "sequence_shards version 1" in lineage
    assert "moss: moss/a.fa" in lineage
    assert "sequence_shards.sequence" in run("lineage", "gc_skew", "--column", "skew")
    difference = json.loads(run("diff", "gc_skew", "0", "1", "--format", "json"))
    assert (difference["content"]["added"], difference["content"]["removed"]) == (1, 1)

    run("restore", "gc_skew", "--version", "0")
    assert {row["g"] for row in made.content("gc_skew")} == {4, 1}
    run("push", str(tmp_path / "elsewhere"))
    assert Home(str(tmp_path / "elsewhere")).table("gc_skew").read() == made.home.table("gc_skew").read()
    assert json.loads(run("upkeep", "--format", "json"))["tables"]["gc_skew"]["parts_packed"] == 2
    answer = json.loads(run("reproduce", "gc_skew", "--version", "1", "--format", "json"))
    assert [each["identical"] for each in answer["tables"]] == [True]
