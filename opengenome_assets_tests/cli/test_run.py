"""``run``: what comes before Dagster starts, and after it ends; also in a folder that is no checkout."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.cli.processes import CONFIGURATION, dagster_environment, program
from opengenome_assets.cli.run import _decision
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.framework.parsing import allowing
from opengenome_assets.settings import dagster_home
from opengenome_assets_tests.processes import REPOSITORY, environment, processes_of, started, wait_for

SEQUENCES = {"a": "ACGTTGCA" * 40, "b": "GATTACA" * 50}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which a user works without any setting."""
    for name in [name for name in os.environ if name.startswith(("OPENGENOME_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def variables(folder: Path, **settings: str) -> dict[str, str]:
    found = environment(folder / "data", OPENGENOME_KS="2", **settings)
    return {name: value for name, value in found.items() if name not in ("DAGSTER_HOME", "OPENGENOME_HOME")}


NAMES_OF_INPUT = [
    *("OPENGENOME_SOURCE", "OPENGENOME_QUERIES", "OPENGENOME_PROTEINS", "OPENGENOME_PROTEINS_SHEET"),
    *("OPENGENOME_CATALOGUE", "OPENGENOME_SAMPLES", "OPENGENOME_REFERENCE", "OPENGENOME_CLINVAR", "OPENGENOME_GENES"),
]


@pytest.mark.parametrize("name", NAMES_OF_INPUT)
def test_input_that_is_not_there_is_refused_before_anything_starts(
    name: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "sample-of-mine.fa")
    answer = CliRunner().invoke(main, ["run"])
    assert answer.exit_code == 1
    assert f"sample-of-mine.fa: no such file or folder (looked for {elsewhere}/sample-of-mine.fa)" in answer.output
    assert list(elsewhere.iterdir()) == []


def test_dagster_is_configured_without_a_checkout_as_with_one(elsewhere: Path) -> None:
    assert yaml.safe_load(CONFIGURATION) == yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    assert dagster_environment()["DAGSTER_HOME"] == str(elsewhere / "data" / "dagster")
    assert (elsewhere / "data" / "dagster" / "dagster.yaml").read_text() == CONFIGURATION
    (elsewhere / "dagster.yaml").write_text("")
    assert dagster_home() == elsewhere


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_is_made_in_an_empty_folder_and_a_failure_is_told(elsewhere: Path) -> None:
    genomes = elsewhere / "genomes"
    genomes.mkdir()
    (genomes / "a.fa").write_text("".join(f">{name}\n{letters}\n" for name, letters in SEQUENCES.items()) + ">c\nAC!\n")
    (genomes / "notes.txt").touch()
    time.sleep(2.5)  # younger time stamps are not trusted

    def run(*options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program("opengenome"), "run", *options],
            env=variables(elsewhere, OPENGENOME_SOURCE="genomes", **settings),
            capture_output=True,
            text=True,
            timeout=240,
        )

    corpus = ["--select", "tag:group=corpus"]
    answer = run(*corpus, "--config-json", allowing(SEQUENCE_SHARDS, 1 / 3))
    assert answer.returncode == 0, answer.stderr
    said = answer.stdout
    assert re.search(
        r"^Corpus\n  sequences +2: \w+ 2\n  bases +670, 38\.8 % of A, C, G and T are G or C$", said, re.MULTILINE
    )
    assert re.search(
        r"^  refused +! +1 record \(illegal letter '!' 1\) in a\.fa 1\. See: opengenome show", said, re.MULTILINE
    )
    assert re.search(r"^  raw_fasta +files left out, of another kind by their name: notes\.txt$", said, re.MULTILINE)
    assert re.search(r"^Run \w{8}\n  took +\d+ s\n  made +(\d+) of \1 tables", said, re.MULTILINE)
    assert re.search(rf"^  report +{elsewhere}/data/reports/corpus_report\.html$", said, re.MULTILINE)
    assert "Warning" not in answer.stdout + answer.stderr
    assert "shipped sample" not in said

    again = run(*corpus, "--config-json", allowing(SEQUENCE_SHARDS, 1 / 3)).stdout
    assert re.search(
        r"^Unchanged since run \w{8} of [\d-]+ [\d:]+ UTC\n  made +nothing, and no run", again, re.MULTILINE
    )
    assert {*again.splitlines()[:-8], *said.splitlines()[:-8]} == {*said.splitlines()[:-8]}
    assert re.search(r"^  raw_fasta +files left out, of another kind by their name: notes\.txt$", again, re.MULTILINE)
    shutil.rmtree(elsewhere / "data" / "figures")
    again = run(*corpus, "--config-json", allowing(SEQUENCE_SHARDS, 1 / 3)).stdout
    assert re.search(r"^Run \w{8}\n  took +\d+ s\n  made +[1-9]", again, re.MULTILINE)
    assert (elsewhere / "data" / "figures" / "figure_lengths.png").exists()

    said = run("--select", "raw_fasta").stdout
    assert re.search(r"^  made +0 of \d+ tables", said, re.MULTILINE)
    assert re.search(r"^  unchanged +raw_fasta: the same files as the last run$", said, re.MULTILINE)

    for selected, advice in (("kmer_freqs_k2", "Is kmer_freq_k2 meant?\n"), ("group:intake or", "")):
        answer = run("--select", selected)
        assert answer.returncode == 2
        assert f"Error: --select '{selected}' names no assets. {advice}" in answer.stderr
        assert answer.stderr.endswith("No run was started.\n")
        assert "Traceback" not in answer.stderr

    (genomes / "bad.fa").write_text("no record\n")
    answer = run(*corpus, OPENGENOME_MAX_UNUSABLE_SHARE="0")
    assert answer.returncode == 1
    assert answer.stdout == ""
    (told,) = re.findall(r"^Run \w{8} failed:\n(?:  .*\n)+", answer.stderr, re.MULTILINE)
    assert "bad.fa" in told
    assert "Traceback" not in told


def test_a_run_config_that_is_no_text_is_left_to_the_run_to_refuse(elsewhere: Path) -> None:
    (elsewhere / "config.yaml").write_bytes(b"\xff\xfe")
    assert _decision(groups.read_settings({}), "*", str(elsewhere / "config.yaml"), None) is None


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_ctrl_c_ends_the_run_and_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with started([program("opengenome"), "run"], home, OPENGENOME_SOURCE="sample") as process:
        wait_for((home / "tables" / "raw_fasta").exists, "first table")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        wait_for(lambda: not processes_of(home), "end of everything that was started", 30)
    said = Path(f"{home}.log").read_text()
    assert said.endswith("\nStopped. What is finished is kept: the same command goes on with the rest.\n")
    assert "dagster._core" not in said
    told = CliRunner().invoke(main, ["failures"], env={"OPENGENOME_HOME": str(home), "DAGSTER_HOME": ""}).output
    assert re.search(r"stopped by Ctrl-C|canceled", told)
