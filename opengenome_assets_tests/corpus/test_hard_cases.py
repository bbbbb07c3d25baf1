"""Runs that are killed at the worst moment, two at once, and files changed by hand: nothing wrong is ever used."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.operations.refresh import outdated
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, failure
from opengenome_assets_tests.processes import REPOSITORY, environment, started, typed

pytestmark = pytest.mark.slow

FILES = {"a/x.fa": ">s1\nACGTACGTAC\n>s2\nGGGTTTACGTACGTAGCTAGTTTT\n", "b/y.fa": f">s3\n{'ACGTTGCA' * 9}\n"}
MODULE = "opengenome_assets.definitions"
CHOSEN = "*kmer_freq_k2,rejected_records"


def rows(tables: Home) -> dict[str, Any]:
    return {name: tables.table(name).read().to_pylist() for name in tables.names()}


def use(patch: pytest.MonkeyPatch, made: Corpus) -> dict[str, str]:
    """Let this process open the records of a corpus' home; return the settings for others."""
    patch.setenv("OPENGENOME_HOME", made.home.uri)
    patch.setenv("DAGSTER_HOME", str(REPOSITORY))
    return {"OPENGENOME_SOURCE": made.source, "OPENGENOME_KS": "2,6"}


@pytest.mark.parametrize(("table", "when"), [("kmer_", "before"), ("kmer_freq_k2", "after")])
def test_a_run_killed_at_a_commit_has_done_all_of_it_or_nothing_and_the_next_tells_dagster(
    corpus, monkeypatch, table, when
):
    made = corpus(FILES)
    home, settings = Path(made.home.uri), use(monkeypatch, made)
    command = [sys.executable, "-m", "opengenome_assets_tests.corpus.dying", table, when]
    with started(command, home, **settings) as process:
        assert process.wait(120) == -signal.SIGKILL, Path(f"{home}.log").read_text()

    def told() -> list[dict[str, Any]]:
        with open_instance() as instance:
            records = instance.fetch_materializations(dg.AssetKey(table), limit=9).records
        found = [record.asset_materialization for record in records]
        return [
            {**{name: each.value for name, each in event.metadata.items()}, **(event.tags or {})} for event in found
        ]

    assert made.home.table(table).exists() is (when == "after")
    assert list(Path(made.home.table(table).uri).glob("*/_manifest.json"))  # the files are there in any case
    assert told() == []

    printed = typed(f"dagster asset materialize -m {MODULE} --select '{CHOSEN}' 2>&1", home, **settings)
    if table == "kmer_":
        assert "0 shards scanned, 2 reused" in printed
    assert set(made.home.table(table).history().versions) == {0}
    (event,) = told()
    assert event["table_version"] == 0
    assert event["dagster/data_version"] == made.home.table(table).provenance().data_version
    expected = Corpus(Home(f"{home}-fresh"), made.source, made.ks)
    expected.materialize(CHOSEN)
    assert rows(made.home) == rows(expected.home)


def test_two_runs_at_once_both_end_right_and_leave_tables_that_fit_together(corpus, tmp_path, monkeypatch):
    made = corpus(FILES)
    home, settings = Path(made.home.uri), use(monkeypatch, made)
    config = tmp_path / "long.yaml"
    config.write_text("{ops: {sequence_shards: {config: {min_length: 20}}}}")
    # Dagster's database is there: two processes that make it at once, in a new home, get in each other's way.
    opengenome = str(Path(sys.executable).with_name("opengenome"))
    subprocess.run([opengenome, "failures"], cwd=REPOSITORY, env=environment(home, **settings), check=False)
    command = ["dagster", "asset", "materialize", "-m", MODULE, "--select", CHOSEN]
    runs = [
        subprocess.Popen(
            [str(Path(sys.executable).with_name(command[0])), *command[1:], *extra],
            cwd=REPOSITORY,
            env=environment(home, **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for extra in ([], ["--config", str(config)])
    ]
    printed = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], printed
    assert sum("is in use: waiting for run" in each for each in printed) == 1
    assert outdated(made.home) == []
    by_run = {
        name: [version.record and json.loads(version.record)["run_id"] for version in history.versions.values()]
        for name in made.home.names()
        for history in [made.home.table(name).history()]
    }
    # One after the other, in the same order in every table.
    assert len({tuple(runs) for name, runs in by_run.items() if name != "raw_fasta"}) == 1
    assert {len(runs) for name, runs in by_run.items() if name != "raw_fasta"} == {2}
    for version in (0, 1):
        lengths = made.home.table("sequence_shards").at(version).read(["length"])["length"].to_pylist()
        assert sorted(lengths) in ([10, 24, 72], [24, 72])


def parquet(tables: Home, name: str) -> Path:
    return Path(tables.table(name).uri, tables.table(name).at().files[0].path)


def flip_a_byte(tables: Home, name: str) -> None:
    path = parquet(tables, name)
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    (column,) = (each for each in columns if each.path_in_schema.split(".")[0] in ("sequence", "counts"))
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


def delete_a_file(tables: Home, name: str) -> None:
    parquet(tables, name).unlink()


def rename_the_source(tables: Home, name: str) -> None:
    path = parquet(tables, name).with_name("_manifest.json")
    manifest = json.loads(path.read_text())
    manifest["facts"]["source"] = "elsewhere"
    path.write_text(json.dumps(manifest))


def leave_a_file_out_of_the_log(tables: Home, name: str) -> None:
    path = Path(tables.table(name).uri, "_delta_log", f"{0:020}.json")
    entries = path.read_text().splitlines()
    entries.remove(next(entry for entry in entries if entry.startswith('{"add"')))
    path.write_text("\n".join(entries))


FOLDER = r"parquet is damaged or missing .* Delete the folder (?P<folder>\S+) and"
PARSE = "are missing or were changed by hand.*Materialise sequence_shards again"
LOG = r"0\.json: the files it names.*move the folder _delta_log away"


@pytest.mark.parametrize(
    ("change", "table", "named"),
    [
        (flip_a_byte, "sequence_shards", FOLDER),
        (delete_a_file, "sequence_shards", PARSE),
        (rename_the_source, "sequence_shards", PARSE),
        (leave_a_file_out_of_the_log, "sequence_shards", LOG),
        (flip_a_byte, "kmer_", FOLDER),
        (delete_a_file, "kmer_", FOLDER),
        (leave_a_file_out_of_the_log, "kmer_", LOG),
    ],
)
def test_what_was_changed_by_hand_is_named_not_used_and_mended_as_the_message_says(corpus, change, table, named):
    made = corpus(FILES)
    made.materialize(CHOSEN)
    before = rows(made.home)
    reader = {"sequence_shards": "kmer_", "kmer_": "kmer_freq_k2"}[table]
    shutil.rmtree(made.home.table(reader).uri)
    change(made.home, table)
    told = failure(made.materialize(reader, ok=False))
    message = re.search(f"{table}.*{named}", told, re.DOTALL)
    assert message, told
    assert not made.home.table(reader).exists()
    if folder := message.groupdict().get("folder"):
        shutil.rmtree(folder)
    elif named is LOG:
        shutil.rmtree(Path(made.home.table(table).uri, "_delta_log"))
    made.materialize(CHOSEN)
    assert rows(made.home) == before


def test_a_part_whose_manifest_was_changed_is_made_anew(corpus):
    made = corpus(FILES)
    made.materialize(CHOSEN)
    before = rows(made.home)
    rename_the_source(made.home, "kmer_")
    again = made.materialize("kmer_")
    assert (made.metadata(again, "kmer_")["shards"], made.metadata(again, "kmer_")["shards_reused"]) == (2, 1)
    assert rows(made.home) == before


def test_names_from_files_are_no_markup_in_dagster(corpus):
    odd = ["<img src=x onerror=alert(1)>", "a|b", "[x](y)", "`c`"]
    made = corpus({f"{source}/x.fasta": f">{source}{n}\nACGTACGTAC\n" for n, source in enumerate(odd)})
    result = made.materialize()
    said = [event.materialization.metadata for event in result.get_asset_materialization_events()]
    said += [check.metadata for check in result.get_asset_check_evaluations()]
    markup = [value.value for each in said for value in each.values() if isinstance(value, dg.MarkdownMetadataValue)]
    assert markup  # the pictures
    assert not [text for text in markup if any(source in text for source in odd)]
    assert {row.data["source"] for row in made.metadata(result, "raw_fasta")["catalogue"]} == set(odd)
