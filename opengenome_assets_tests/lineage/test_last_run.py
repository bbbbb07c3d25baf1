"""A run in which nothing has changed need not begin; the slightest change makes one begin."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from opengenome_assets import groups
from opengenome_assets.lineage import last_run

FASTA = ">x\nACGT\n"
ASKED = ["*", None, None]
TOLD = last_run.Told("1234", "2026-01-01T00:00:00+00:00", [("Corpus", ["sequences  1"])], [("warning", "few")])


@pytest.fixture(autouse=True)
def old_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the time stamps of files that a test has just written."""
    monkeypatch.setattr(last_run, "YOUNG_NANOSECONDS", 0)


@pytest.fixture
def read(tmp_path: Path) -> dict[str, str]:
    """Variables of settings that name files, which are there."""
    names = {
        "OPENGENOME_SOURCE": "genomes/a.fa",
        "OPENGENOME_QUERIES": "queries.fa",
        "OPENGENOME_PROTEINS": "proteins/a.faa",
        "OPENGENOME_PROTEINS_SHEET": "sheet.tsv",
        "OPENGENOME_CATALOGUE": "mutations.tsv,wild_types.fasta",
        "OPENGENOME_SAMPLES": "samples.csv",
        "OPENGENOME_REFERENCE": "reference.fa",
        "OPENGENOME_CLINVAR": "clinvar.vcf",
        "OPENGENOME_GNOMAD": "gnomad.vcf",
        "OPENGENOME_GENES": "genes.gff3",
        "OPENGENOME_TRUTH": "truth.vcf",
        "OPENGENOME_TRUTH_REGIONS": "truth.bed",
    }
    for name in ("reads_1,2.fq", "reads_2,2.fq", *(each for value in names.values() for each in value.split(","))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(FASTA)
    (tmp_path / "samples.csv").write_text('sample,fastq_1,fastq_2\ns,"reads_1,2.fq","reads_2,2.fq"\n')
    return {name: ",".join(str(tmp_path / each) for each in value.split(",")) for name, value in names.items()}


def decide(variables: dict[str, str], asked: list[str | None] = ASKED) -> str | None:
    settings = groups.read_settings(variables)
    return last_run.decision(settings, asked, groups.reads(settings))


def test_every_file_that_a_setting_names_counts(read: dict[str, str], tmp_path: Path) -> None:
    before = decide(read)
    assert before is not None
    assert decide(read) == before
    files = [Path(each) for value in read.values() for each in value.split(",")]
    for file in [tmp_path / "reads_1,2.fq", tmp_path / "reads_2,2.fq", *files]:
        file.write_text(file.read_text() + "\n")
        after = decide(read)
        assert after != before, file
        before = after


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda folder: (folder / "b.fa").write_text(FASTA),
    "a file more, further down": lambda folder: (folder / "below" / "b.fa").write_text(FASTA),
    "a file less": lambda folder: (folder / "below" / "c.fa").unlink(),
    "another name": lambda folder: (folder / "a.fa").rename(folder / "z.fa"),
    "a file behind a link": lambda folder: (folder.parent / "beside" / "d.fa").write_text(FASTA * 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_counts_with_all_below_it(change: str, tmp_path: Path) -> None:
    folder = tmp_path / "genomes"
    for file in (folder / "a.fa", folder / "below" / "c.fa", tmp_path / "beside" / "d.fa"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(FASTA)
    (folder / "link").symlink_to(tmp_path / "beside")
    (folder / "below" / "up").symlink_to(folder)
    variables = {"OPENGENOME_SOURCE": str(folder)}
    before = decide(variables)
    assert decide(variables) == before
    CHANGES[change](folder)
    assert decide(variables) != before


def test_other_bytes_with_the_size_and_time_of_before_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.fa"
    file.write_text(FASTA)
    before, stat = decide({"OPENGENOME_SOURCE": str(file)}), file.stat()
    time.sleep(0.02)  # a tick of the clock
    file.write_text(FASTA.replace("A", "C"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert decide({"OPENGENOME_SOURCE": str(file)}) != before


def test_a_file_that_has_just_changed_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "a.fa").write_text(FASTA)
    assert decide({"OPENGENOME_SOURCE": str(tmp_path / "a.fa")}) is None


@pytest.mark.parametrize("name", ["OPENGENOME_KS", "OPENGENOME_REGION_BASES", "OPENGENOME_ENGINE", "OPENGENOME_HOME"])
def test_settings_count(name: str) -> None:
    values = {"OPENGENOME_KS": "3", "OPENGENOME_REGION_BASES": "7000", "OPENGENOME_ENGINE": "processes"}
    assert decide({name: values.get(name, "elsewhere")}) != decide({})


def test_selection_run_config_program_and_libraries_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {decide({}, asked) for asked in (ASKED, ["raw_fasta", None, None], ["*", "ops: {}", None])}
    libraries = last_run._libraries()
    assert any(name.startswith("numpy-") for name in libraries)
    monkeypatch.setattr(last_run, "_libraries", lambda: libraries[1:])
    found.add(decide({}))
    assert len(found) == 4


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home as runs before left it, and Dagster's record of the run `TOLD`."""
    for name in ("tables/genes/part.parquet", "tables/kmer_/part.parquet", "figures/figure_lengths.png", ".lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    record = tmp_path / "dagster" / "history" / "runs" / f"{TOLD.run_id}.db"
    record.parent.mkdir(parents=True)
    record.touch()
    time.sleep(0.03)  # more than `TICK_NANOSECONDS`
    return tmp_path


def test_what_was_told_is_told_again(home: Path) -> None:
    (home / "tables/genes/part.parquet").write_text("new")
    last_run.remember(str(home), "decided", TOLD, time.time() - 1, ["genes", "kmer_", "figure_lengths"])
    found = last_run.recall(str(home), "decided")
    assert found is not None
    assert (found.run_id, found.ended) == (TOLD.run_id, TOLD.ended)
    assert [(title, list(lines)) for title, lines in found.found] == TOLD.found
    assert [tuple(cells) for cells in found.warnings] == TOLD.warnings
    assert last_run.recall(str(home), "decided otherwise") is None
    assert last_run.recall(str(home), None) is None


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a table's file gone": lambda home: (home / "tables/genes/part.parquet").unlink(),
    "a table's file cut": lambda home: (home / "tables/genes/part.parquet").write_text("n"),
    "a figure gone": lambda home: (home / "figures/figure_lengths.png").unlink(),
    "a table more": lambda home: (home / "tables/other").touch(),
    "no record in Dagster": lambda home: (home / f"dagster/history/runs/{TOLD.run_id}.db").unlink(),
    "the record cut": lambda home: (home / last_run.RECORD).write_bytes((home / last_run.RECORD).read_bytes()[:50]),
    "the record changed": lambda home: (home / last_run.RECORD).write_text(
        (home / last_run.RECORD).read_text().replace("few", "none")
    ),
    "the record gone": lambda home: (home / last_run.RECORD).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_home_that_is_not_as_the_run_left_it_needs_a_run(damage: str, home: Path) -> None:
    (home / "tables/genes/part.parquet").write_text("new")
    last_run.remember(str(home), "decided", TOLD, time.time(), ["genes"])
    assert last_run.recall(str(home), "decided")
    DAMAGES[damage](home)
    assert last_run.recall(str(home), "decided") is None


@pytest.mark.parametrize("name", ["tables/kmer_/other.parquet", "figures/figure_gc_content.svg"])
def test_a_run_beside_which_something_else_wrote_is_not_remembered(name: str, home: Path) -> None:
    started = time.time()
    for file in ("tables/genes/part.parquet", name):
        (home / file).write_text("new")
    last_run.remember(str(home), "decided", TOLD, started, ["genes"])
    assert not (home / last_run.RECORD).exists()
    assert last_run.recall(str(home), "decided") is None


def test_a_file_that_is_gone_meanwhile_is_no_error_of_the_run(home: Path) -> None:
    (home / "tables/genes/link").symlink_to(home / "gone")
    last_run.remember(str(home), "decided", TOLD, time.time(), [])
    assert not (home / last_run.RECORD).exists()


def test_nothing_is_remembered_of_an_object_store_or_an_unsettled_input(home: Path, tmp_path: Path) -> None:
    last_run.remember("s3://bucket/home", "decided", TOLD, time.time(), [])
    assert last_run.recall("s3://bucket/home", "decided") is None
    last_run.remember(str(home), None, TOLD, time.time(), [])
    assert not (home / last_run.RECORD).exists()
