"""The command line: wording, JSON and exit codes; once each in a process of its own, as a user would."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from opengenome_assets import __version__
from opengenome_assets.cli import main
from opengenome_assets.operations import validate
from opengenome_assets.operations.validate import Verdict
from opengenome_assets.settings import Settings
from opengenome_assets.storage.parts import write_part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import REPOSITORY

GOOD = Verdict("Python", "ok", "Python 3.11")
POOR = Verdict("Free space", "warning", "2.0 GB", "Free some")
BAD = Verdict("Java", "failed", "none " + "was found " * 12, "Install Java")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def pretend(monkeypatch: pytest.MonkeyPatch, *verdicts: Verdict) -> None:
    def stand_in(settings: Settings, source: str, sample: Path) -> Iterator[Verdict]:
        yield from verdicts

    monkeypatch.setattr(validate, "validate", stand_in)


def test_version() -> None:
    assert run("--version").output == f"opengenome, version {__version__}\n"


def test_validate_says_ready_in_spite_of_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, GOOD, POOR)
    result = run("validate")
    assert result.exit_code == 0
    assert result.output == (
        "ok       Python      Python 3.11\n"
        "warning  Free space  2.0 GB\n"
        "                     -> Free some\n"
        "\nReady. Next: make run\n"
    )


def test_validate_fails_with_what_failed_and_keeps_to_100_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, GOOD, BAD)
    result = run("validate")
    assert result.exit_code == 1
    assert "-> Install Java\n\nNot ready: Java.\n" in result.output
    assert max(map(len, result.output.splitlines())) <= 100
    assert "\x1b" not in result.output


def test_validate_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, GOOD, BAD)
    result = run("validate", "--format", "json")
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["ok"] is False
    assert [verdict["status"] for verdict in answer["verdicts"]] == ["ok", "failed"]
    assert answer["verdicts"][1]["remedy"] == "Install Java"


@pytest.mark.parametrize("command", ["validate", "info", "failures"])
def test_a_wrong_setting_is_an_error_not_a_traceback(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENGENOME_KS", "six")
    result = run(command)
    assert result.exit_code == 1
    assert result.output.startswith("Error: OPENGENOME_KS is 'six'")


def test_info_of_an_empty_home_says_what_to_do() -> None:
    output = run("info").output
    assert "none yet: make run" in output
    assert "make ui, then open http://127.0.0.1:3000" in output


def test_info_advises_what_can_be_typed_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # without a Makefile
    assert "opengenome ui, then open http://127.0.0.1:3000" in run("info").output
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://dagster@postgres/dagster")
    output = run("info").output
    assert not re.search(r"make |opengenome ui|127\.0\.0\.1", output)
    assert "`docker compose ps`" in output


def test_info_sums_up_what_was_made(home: Path) -> None:
    rows = pa.table({"n": pa.array(range(1234), pa.int64())})
    Home(str(home)).table("kmer_freq_k6").write(rows, Provenance(name="kmer_freq_k6", code_version="1"))
    (home / "figures").mkdir()
    (home / "figures" / "gc.png").write_bytes(bytes(2_500_000))
    (home / "reports").mkdir()
    (home / "reports" / "corpus.html").touch()
    output = run("info").output
    (line,) = [line for line in output.splitlines() if line.startswith("  kmer_freq_k6")]
    assert line.split()[1:4] == ["1,234", "0", "1"]
    assert re.search(r"^  figures +1 +2\.5 MB$", output, re.MULTILINE)
    assert f"  {home}/reports/corpus.html" in output
    answer = json.loads(run("info", "--format", "json").output)
    assert answer["tables"][0]["rows"] == 1234
    assert answer["figures"] == [{"name": "gc", "state": "without record", "files": [f"{home}/figures/gc.png"]}]


def test_info_shows_what_is_damaged_and_goes_on(home: Path) -> None:
    tables = Home(str(home))
    for name in ("codon_rscu", "sequence_stats"):
        tables.table(name).write(pa.table({"n": [1]}), Provenance(name=name, code_version="1"))
    (home / "tables" / "codon_rscu" / "_delta_log" / "00000000000000000000.json").write_text("")
    result = run("info")
    assert result.exit_code == 0
    assert re.search(r"^  codon_rscu +— +— +— +— +— +unreadable: ", result.output, re.MULTILINE)
    assert re.search(r"^  sequence_stats +1 .* current$", result.output, re.MULTILINE)
    rows = {row["name"]: row for row in json.loads(run("info", "--format", "json").output)["tables"]}
    assert rows["codon_rscu"]["rows"] is None
    assert rows["sequence_stats"]["state"] == "current"


@dg.asset
def unlucky() -> None:
    raise dg.Failure("/nowhere: no such folder.\nCheck OPENGENOME_SOURCE")


@pytest.mark.slow
def test_failures_of_the_newest_run_are_told_in_its_own_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    result = run("failures")
    assert (result.exit_code, result.output) == (1, "No run was started.\n")
    start = time.time()
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        number = dg.materialize([unlucky], instance=instance, raise_on_error=False).run_id
    result = run("failures", "--since", str(int(start)))
    assert result.exit_code == 1
    assert result.output == (
        f"Run {number[:8]} failed:\n  unlucky: /nowhere: no such folder.\n  Check OPENGENOME_SOURCE\n"
    )
    answer = json.loads(run("failures", "--format", "json").output)
    assert (answer["status"], answer["failures"][0]["step"]) == ("FAILURE", "unlucky")
    assert run("failures", "--since", str(time.time() + 1)).output == "No run was started.\n"


@pytest.mark.long
def test_a_run_that_succeeded_has_no_failures(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        number = dg.materialize([lucky], instance=instance).run_id
    result = run("failures")
    assert (result.exit_code, result.output) == (0, f"Run {number[:8]}: success\n")


@pytest.mark.long
def test_a_run_whose_checks_warn_has_not_failed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))

    @dg.asset_check(asset=lucky)
    def usual() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="11 of 36 are mixed")

    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        number = dg.materialize([lucky, usual], instance=instance).run_id
    result = run("failures")
    assert result.exit_code == 0
    assert result.output.startswith(f"Run {number[:8]} succeeded, with warnings:\n  lucky, check usual: ")
    assert "11 of 36 are mixed" in result.output


@dg.asset
def lucky() -> None:
    pass


def two_versions(home: Path) -> Home:
    """A table of two parts, and before that of one of them; all of it old."""
    tables = Home(str(home))
    rows = pa.table({"n": [1]})
    for number in (1, 2):
        parts = [write_part(tables.table("kmer_").uri, f"{part}", rows) for part in range(number)]
        tables.table("kmer_").commit(rows.schema, parts, Provenance(name="kmer_", code_version=str(number)))
    for path in (home / "tables" / "kmer_").rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return tables


@pytest.mark.slow
def test_upkeep_tells_what_it_would_do_and_does_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    tables = two_versions(home)
    told = run("upkeep", "--dry-run", "--retention-days", "0")
    assert told.exit_code == 0
    assert told.output.startswith(f"Planned changes to the tables at {home}\n")
    assert re.search(r"^  kmer_ +1 +\d+ B +1 +0 +2 -> 1 +2$", told.output, re.MULTILINE)
    assert len(tables.table("kmer_").at().files) == 2
    answer = json.loads(run("upkeep", "--retention-days", "0", "--format", "json").output)["tables"]["kmer_"]
    assert (answer["parquet_files_after"], answer["versions_readable"]) == (1, [1])
    assert answer["versions_removed"] == [0]
    assert answer["bytes_freed"] > 0
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        assert {each.job_name for each in instance.get_runs()} == {"upkeep"}


@pytest.mark.long
def test_upkeep_that_fails_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    two_versions(home)
    (home / "tables" / "kmer_" / "_delta_log" / f"{0:020d}.json").write_text("")
    result = run("upkeep")
    assert result.exit_code == 1
    assert "Error: kmer_: the log of the table at" in result.output
    assert "Traceback" not in result.output


def opengenome(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from opengenome_assets.cli import main; main()", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_validate_starts_spark_for_real() -> None:
    answer = opengenome("validate", "--format", "json", SPARK_MASTER="local[2]")
    verdicts = {verdict["subject"]: verdict for verdict in json.loads(answer.stdout)["verdicts"]}
    assert verdicts["Spark"]["finding"] == "Spark 4.3.0 on local[2], workers run Python 3.11"
    assert {subject for subject, verdict in verdicts.items() if verdict["status"] == "failed"} == set()
    assert answer.returncode == 0


@pytest.mark.slow
def test_validate_fails_on_a_machine_that_cannot_run(home: Path) -> None:
    (home / "file").touch()
    answer = opengenome("validate", OPENGENOME_HOME=str(home / "file"), SPARK_MASTER="nonsense")
    assert answer.returncode == 1
    assert "Not ready: Spark, Storage." in answer.stdout
