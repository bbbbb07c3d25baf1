"""Reproduce: a table made again is the same bit for bit, or the message says where and why it differs."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.cli.versions import engine_unheard
from opengenome_assets.corpus import kmers
from opengenome_assets.definitions import build_defs
from opengenome_assets.lineage.changes import Change
from opengenome_assets.operations.reproduce import NotReproducibleError, Reproduction, reproduce
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets.storage.vacuum import vacuum
from opengenome_assets_tests.corpora import ENGINE
from opengenome_assets_tests.processes import typed
from opengenome_assets_tests.twice import Twice, use


def build(record: Provenance, scratch: str) -> dg.Definitions:
    """Return the definitions with which the command makes a table again."""
    return build_defs(groups.settings_of(record, scratch))


def again(home: Home, name: str, scratch: Path, version: int | None = None) -> Reproduction:
    return reproduce(home, groups.specs(), build, name, version, str(scratch / "scratch"), ENGINE)


def everything(home: str) -> dict[str, tuple[int, int]]:
    """Every file and folder of a home with its size and when it was changed."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in Path(home).rglob("*")}


# NumPy as on a processor with none of the vectors of newer ones.
PLAIN = {"NPY_DISABLE_CPU_FEATURES": " ".join(np.show_config("dicts")["SIMD Extensions"]["found"])}  # type: ignore[index]


@pytest.mark.parametrize("elsewhere", [{"OPENGENOME_ENGINE": "spark", "SPARK_MASTER": "local[2]"}, PLAIN], ids=str)
@pytest.mark.slow
def test_every_table_of_one_process_is_the_same_bit_for_bit_on_two_cores_and_an_older_processor(
    made_twice: Twice, elsewhere: dict[str, str]
) -> None:
    before = everything(made_twice.home.uri)
    settings = {**elsewhere, "OPENGENOME_KS": "8"}  # not those that they were made with
    printed = typed("opengenome reproduce --format json 2>/dev/null", Path(made_twice.home.uri), **settings)
    told: dict[str, Any] = json.loads(printed)
    assert [each["name"] for each in told["tables"]] == made_twice.home.names()
    assert told["failed"] == {}
    for each in told["tables"]:
        assert (each["identical"], each["comparison"]["files"], each["changes"]) == (True, "identical", []), each
        assert each["comparison"]["rows"] == made_twice.home.table(each["name"]).read().num_rows
    assert everything(made_twice.home.uri) == before


def test_what_processes_print_is_shown_only_if_an_error_follows(capfd: pytest.CaptureFixture[str]) -> None:
    with engine_unheard():
        subprocess.run(["sh", "-c", "echo chatter >&2"], check=True)
    assert capfd.readouterr().err == ""
    with pytest.raises(subprocess.CalledProcessError), engine_unheard():
        subprocess.run(["sh", "-c", "echo the reason >&2; exit 1"], check=True)
    assert capfd.readouterr().err == "the reason\n"


@pytest.mark.parametrize(
    "name", ["sequence_shards", "rejected_records", "kmer_", "kmer_freq_k6", "codon_rscu", "genes"]
)
def test_so_is_an_older_version(made_twice: Twice, tmp_path: Path, name: str) -> None:
    result = again(made_twice.home, name, tmp_path, 0)
    assert (result.version, result.comparison.differences, result.changes) == (0, [], [])
    assert result.comparison.rows == made_twice.home.table(name).at(0).read().num_rows


def test_rows_that_were_packed_or_restored_are_made_again_like_others(twice: Twice, tmp_path: Path) -> None:
    for name in ("sequence_shards", "kmer_"):
        twice.home.table(name).restore(0, "r")
        twice.home.table(name).compact(PackSizes(small=2**20, size=2**20, parts=9))
    for name, version, files in (("sequence_shards", 2, "packed"), ("kmer_", 2, "packed"), ("kmer_", 0, "identical")):
        result = again(twice.home, name, tmp_path / f"{name}{version}", version)
        assert (result.version, result.comparison.differences, result.comparison.files) == (version, [], files)


def test_other_code_is_named_as_the_cause(twice: Twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = kmers.frequencies

    def wrong(source: str, counts: Any, k: int) -> pa.Table:
        rows = right(source, counts, k)
        place = rows.schema.get_field_index("rank")
        return rows.set_column(place, rows.schema.field(place), pa.array(range(rows.num_rows)))

    monkeypatch.setattr(kmers, "frequencies", wrong)
    family = kmers.KMER_FREQUENCIES
    raised = replace(family, template=replace(family.template, code_version="2"))
    monkeypatch.setattr(kmers, "KMER_FREQUENCIES", raised)
    result = again(twice.home, "kmer_freq_k2", tmp_path)
    assert result.comparison.differences == ["column rank: row 0: expected 1, found 0"]
    assert result.comparison.files == "different"
    assert Change("kmer_freq_k2", "code version", "1", "2") in result.changes
    told = CliRunner().invoke(main, ["reproduce", "kmer_freq_k2"])
    assert told.exit_code == 1
    assert "kmer_freq_k2 version 1: DIFFERS" in told.output
    assert "Likely causes:\n    code version: 1 -> 2\n" in told.output


def test_rows_that_no_recorded_code_makes_are_found(twice: Twice, tmp_path: Path) -> None:
    """Rows put in by hand under a record that says something else."""
    rows, record = twice.home.table("kmer_freq_k2").read(), twice.home.table("kmer_freq_k2").provenance()
    place = rows.schema.get_field_index("count")
    counts = rows["count"].to_pylist()
    counts[7] += 1
    forged = rows.set_column(place, rows.schema.field(place), pa.array(counts)).slice(0, rows.num_rows - 1)
    twice.home.table("kmer_freq_k2").write(forged, record, key="forged")
    result = again(twice.home, "kmer_freq_k2", tmp_path)
    assert result.comparison.differences == [
        f"rows: expected {rows.num_rows - 1:,}, found {rows.num_rows:,}",
        f"column count: row 7: expected {counts[7]}, found {counts[7] - 1}",
    ]
    assert result.changes == []
    assert "No cause is recorded" in CliRunner().invoke(main, ["reproduce", "kmer_freq_k2"]).output


def test_other_columns_are_named(twice: Twice, tmp_path: Path) -> None:
    rows, record = twice.home.table("kmer_freq_k2").read(), twice.home.table("kmer_freq_k2").provenance()
    twice.home.table("kmer_freq_k2").write(rows.drop_columns(["rank"]), record, key="narrow")
    (difference,) = again(twice.home, "kmer_freq_k2", tmp_path).comparison.differences
    assert difference.startswith("columns: expected source string, kmer string, count int64")


class TestFilesThatAreNotAsTheyWere:
    """The FASTA files that a catalogue names."""

    @pytest.fixture
    def twice(self, twice: Twice, tmp_path: Path) -> Twice:
        """A catalogue of files that may be changed."""
        files = shutil.copytree(twice.corpus.source, tmp_path / "fasta")
        twice.corpus.source = str(files)
        twice.corpus.materialize("raw_fasta")
        twice.corpus.materialize("sequence_shards,rejected_records")
        return twice

    def test_a_changed_one_is_named(self, twice: Twice, tmp_path: Path) -> None:
        changed = Path(twice.corpus.source, "b", "y.fa")
        changed.write_text(changed.read_text().replace("TTGC", "TTGG", 1))
        result = again(twice.home, "raw_fasta", tmp_path / "1")
        (difference,) = result.comparison.differences
        assert difference.startswith("column sha256: row 1: expected '")
        assert [change.what for change in result.changes] == ["setting files"]
        with pytest.raises(NotReproducibleError, match=r"b/y\.fa: changed since it was catalogued"):
            again(twice.home, "sequence_shards", tmp_path / "2")
        assert CliRunner().invoke(main, ["reproduce", "sequence_shards"]).exit_code == 2

    def test_one_that_is_gone_is_named(self, twice: Twice, tmp_path: Path) -> None:
        gone = Path(twice.corpus.source, "b", "y.fa")
        gone.unlink()
        with pytest.raises(NotReproducibleError, match=rf"1 of 2 files of raw_fasta version \d are gone:\n- {gone}"):
            again(twice.home, "raw_fasta", tmp_path / "1")
        with pytest.raises(NotReproducibleError, match=r"sequence_shards could not be made again:[^$]*b/y\.fa"):
            again(twice.home, "sequence_shards", tmp_path / "2")

    def test_one_that_is_gone_is_taken_from_the_store_by_its_digest(self, twice: Twice, tmp_path: Path) -> None:
        moved = Path(twice.corpus.source, "b", "y.fa")
        sha256 = twice.home.table("raw_fasta").read()["sha256"].to_pylist()[1]
        kept = Path(twice.home.uri, "raw", "objects", "sha256", sha256[:2], sha256)
        kept.parent.mkdir(parents=True)
        moved.rename(kept)
        for name in ("raw_fasta", "sequence_shards"):
            assert again(twice.home, name, tmp_path / name).comparison.identical


def test_a_damaged_file_is_named_and_not_compared(twice: Twice, tmp_path: Path) -> None:
    (file,) = twice.home.table("kmer_freq_k6").at().files
    path = Path(twice.home.table("kmer_freq_k6").uri, file.path)
    column = pq.read_metadata(path).row_group(0).column(2)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=str(path)):
        again(twice.home, "kmer_freq_k6", tmp_path)


def test_an_input_that_was_removed_is_named(twice: Twice, tmp_path: Path) -> None:
    home = twice.home.uri
    for path in Path(home, "tables").rglob("*"):
        os.utime(path, (1, 1))
    history = twice.home.table("kmer_").history()
    vacuum(twice.home.table("kmer_"), {1}, history.versions[1].made)
    with pytest.raises(MissingVersionError, match="kmer_: version 0 cannot be read any more"):
        again(twice.home, "kmer_freq_k2", tmp_path, 0)


def test_a_table_that_nothing_makes_is_named(twice: Twice, tmp_path: Path) -> None:
    rows, record = twice.home.table("kmer_freq_k2").read(), twice.home.table("kmer_freq_k2").provenance()
    twice.home.table("own_table").write(rows, record.model_copy(update={"name": "own_table"}))
    with pytest.raises(NotReproducibleError, match="own_table: no asset of this package makes it"):
        again(twice.home, "own_table", tmp_path)


def test_a_table_made_from_more_than_tables_and_settings_is_named(twice: Twice, tmp_path: Path) -> None:
    queries = tmp_path / "queries.fa"
    queries.write_text(">q\nACGTACGTAC\n")
    twice.corpus.materialize("query_hits", query_hits={"queries": str(queries)})
    with pytest.raises(NotReproducibleError, match="query_hits: its record lacks a setting that a run needs"):
        again(twice.home, "query_hits", tmp_path)


def test_a_version_is_of_one_table(made_twice: Twice, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, made_twice.home.uri)
    result = CliRunner().invoke(main, ["reproduce", "--version", "1"])
    assert result.exit_code == 2
    assert "--version needs one table, found 0: name one" in result.output
