"""Prune and pins: changes are shown first, and the tables of a pinned run stay."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from opengenome_assets.cli import main
from opengenome_assets.operations.pins import TAG, pinned
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets_tests.processes import typed
from opengenome_assets_tests.twice import LONG, Twice


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def told(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.output)["tables"]
    return answer


def readable(twice: Twice, name: str) -> list[int]:
    """The versions of a table that can be read."""
    found = []
    for version in twice.home.table(name).history().versions:
        try:
            twice.home.table(name).at(version).read()
        except MissingVersionError:
            continue
        found.append(version)
    return found


def test_what_would_go_is_shown_and_goes_only_when_that_is_said(twice: Twice) -> None:
    before = twice.rows()
    shown = run("prune", "--keep", "1", answer="n\n")
    assert "Planned changes to the tables at" in shown.output
    assert shown.output.endswith("Remove these files? [y/N]: n\n")
    planned = told("prune", "--keep", "1")
    assert planned["kmer_"]["versions_removed"] == [0]
    assert readable(twice, "kmer_") == [0, 1]
    done = run("prune", "--keep", "1", answer="y\n")
    assert done.exit_code == 0
    assert readable(twice, "kmer_") == [1]
    assert twice.rows() == before
    assert "Remove" not in run("prune", "--keep", "1").output  # nothing is left to go


def test_versions_are_kept_by_number_and_by_age(twice: Twice) -> None:
    twice.corpus.materialize(sequence_shards={"min_length": 30})
    steps = {"1d": [0, 1, 2], "9": [0, 1, 2], "1 1d": [0, 1, 2], "2": [1, 2], "2 0d": [1, 2], "0d": [2]}
    for keep, kept in steps.items():
        told("prune", "--yes", *(word for each in keep.split() for word in ("--keep", each)))
        assert readable(twice, "kmer_") == readable(twice, "kmer_freq_k2") == kept


def test_what_a_kept_version_was_made_from_stays_however_old(twice: Twice) -> None:
    twice.corpus.materialize("*kmer_,rejected_records", sequence_shards={"min_length": 30})
    told("prune", "--keep", "1", "--yes")
    # The tables made from version 1 of the counts were not made again.
    assert readable(twice, "kmer_") == [1, 2]


def test_fetched_files_go_when_that_is_said_and_no_kept_catalogue_names_them(twice: Twice) -> None:
    (named, *_) = twice.home.table("raw_fasta").read()["sha256"].to_pylist()
    objects = Path(twice.home.uri, "raw", "objects", "sha256")
    for digest in (named, "0" * 64):
        (objects / digest[:2]).mkdir(parents=True)
        (objects / digest[:2] / digest).write_bytes(b"1234")
        os.utime(objects / digest[:2] / digest, (1, 1))
    assert "raw_files_removed" not in told("prune", "--keep", "1", "--yes")["raw_fasta"]
    planned = told("prune", "--keep", "1", "--raw")["raw_fasta"]
    assert (planned["raw_files_removed"], planned["raw_bytes_freed"]) == (1, 4)
    assert len(list(objects.glob("*/*"))) == 2
    shown = run("prune", "--keep", "1", "--raw", answer="y\n")
    assert "Files fetched from the Hub\n  1, 4 B\n" in shown.output
    assert [path.name for path in objects.glob("*/*")] == [named]


def test_nothing_is_packed_by_the_way(twice: Twice) -> None:
    files = len(twice.home.table("sequence_shards").at().files)
    assert files == 2
    assert told("prune", "--keep", "1", "--yes")["sequence_shards"]["parts_packed"] == 0
    assert len(twice.home.table("sequence_shards").at().files) == files


def test_what_a_pinned_run_left_stays_until_it_is_unpinned(twice: Twice, instance: dg.DagsterInstance) -> None:
    old = {name: twice.home.table(name).at(0).read() for name in twice.home.names()}
    assert run("pin", twice.runs[0][:8]).output == f"Pinned: run {twice.runs[0]}, with a version of each of 15 tables\n"
    found = instance.get_run_by_id(twice.runs[0])
    assert found is not None
    assert found.tags[TAG] == "true"
    told("prune", "--keep", "1", "--yes")
    for name, rows in old.items():
        assert twice.home.table(name).at(0).read().equals(rows)
    never = run("unpin", twice.runs[1])
    assert (never.exit_code, f"{twice.runs[1]} is not pinned. Pinned runs: {twice.runs[0]}" in never.output) == (
        1,
        True,
    )
    assert run("unpin", twice.runs[0][:8]).exit_code == 0
    again = run("unpin", twice.runs[0])
    assert (again.exit_code, "is not pinned. Pinned runs: none" in again.output) == (1, True)
    told("prune", "--keep", "1", "--yes")
    assert readable(twice, "kmer_") == [1]


def test_a_pin_outlives_dagsters_memory(twice: Twice) -> None:
    run("pin", twice.runs[0])
    shutil.rmtree(Path(twice.home.uri, "dagster"))
    told("prune", "--keep", "1", "--yes")
    assert readable(twice, "kmer_") == [0, 1]
    assert run("unpin", twice.runs[0][:8]).exit_code == 0
    told("prune", "--keep", "1", "--yes")
    assert readable(twice, "kmer_") == [1]


def test_a_damaged_pin_is_refused_by_name_and_nothing_is_removed(twice: Twice) -> None:
    run("pin", twice.runs[0])
    (file,) = Path(twice.home.uri, "pins").iterdir()
    whole = json.loads(file.read_text())
    whole["inputs"]["kmer_"]["version"] = 1
    file.write_text(json.dumps(whole))
    result = run("prune", "--keep", "1", "--yes")
    assert result.exit_code == 1
    assert f"{file} is damaged" in result.output
    assert f"opengenome pin {twice.runs[0]}" in result.output
    assert readable(twice, "kmer_") == [0, 1]
    file.unlink()
    assert run("pin", twice.runs[0]).exit_code == 0
    told("prune", "--keep", "1", "--yes")
    assert readable(twice, "kmer_") == [0, 1]


def test_a_pin_of_version_0_1_0_is_read(twice: Twice, instance: dg.DagsterInstance) -> None:
    run("pin", twice.runs[0])
    (file,) = Path(twice.home.uri, "pins").iterdir()
    whole = json.loads(file.read_text())
    del whole["digest"]
    file.write_text(json.dumps(whole))
    assert [record.run_id for record in pinned(twice.home, instance)] == [twice.runs[0]]


def test_a_run_that_was_tagged_in_dagster_is_pinned_too_and_upkeep_heeds_it(
    twice: Twice, instance: dg.DagsterInstance
) -> None:
    instance.add_run_tags(twice.runs[0], {TAG: "true"})
    unfinished = instance.create_run_for_job(dg.job(name="j")(lambda: None), tags={TAG: "true"})
    assert [record.run_id for record in pinned(twice.home, instance)] == [twice.runs[0]]
    for path in Path(twice.home.uri, "tables").rglob("*"):
        os.utime(path, (1, 1))
    told("upkeep", "--retention-days", "0")
    assert 0 in readable(twice, "kmer_")
    assert unfinished.run_id not in {path.stem for path in Path(twice.home.uri, "pins").iterdir()}


def test_what_is_gone_cannot_be_pinned(twice: Twice, instance: dg.DagsterInstance) -> None:
    told("prune", "--keep", "1", "--yes")
    result = run("pin", twice.runs[0])
    assert result.exit_code == 1
    assert "version 0 cannot be read any more" in result.output
    instance.add_run_tags(twice.runs[0], {TAG: "true"})
    assert pinned(twice.home, instance) == []


def test_a_run_that_nobody_knows_is_not_pinned(twice: Twice) -> None:
    for command in ("pin", "unpin"):
        result = run(command, "no-such-run")
        assert (result.exit_code, "begins with 'no-such-run'; none does" in result.output) == (1, True)


@pytest.mark.parametrize("keep", ["0", "-1", "5 d", "30h", ""])
def test_what_cannot_be_meant_is_refused(keep: str) -> None:
    result = run("prune", f"--keep={keep}")
    assert result.exit_code == 2
    assert "expected a number of versions, e.g. 5, or of days, e.g. 30d" in result.output


@pytest.mark.slow
def test_they_are_typed(twice: Twice) -> None:
    home = Path(twice.home.uri)
    typed(f"opengenome pin {twice.runs[0]}", home)
    assert "kmer_" in typed("opengenome prune --keep 1 --keep 0d --yes", home)
    assert readable(twice, "kmer_") == [0, 1]
    typed(f"opengenome unpin {twice.runs[0]} && opengenome prune --keep 1 --yes", home)
    assert readable(twice, "kmer_") == [1]
    twice.corpus.materialize("*kmer_,rejected_records", **LONG)
    assert readable(twice, "kmer_") == [1]
