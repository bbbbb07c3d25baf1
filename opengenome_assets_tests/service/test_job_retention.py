"""Retention of jobs: what has ended long ago goes, in one step; what waits or runs stays."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.engine.processes import Processes
from opengenome_assets.service.jobs.job import Job
from opengenome_assets.service.jobs.records import Outcome, read, write
from opengenome_assets.service.jobs.retention import remove_ended
from opengenome_assets.service.jobs.store import Jobs, UnknownJobError
from opengenome_assets.service.jobs.work import work_on
from opengenome_assets_tests.service.lines import KIND, jobs_in, send

MONTH = timedelta(days=30)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return jobs_in(tmp_path / "home")


def age(job: Job, days: float) -> None:
    """Have a job ended some days ago."""
    path = job.folder / "outcome.json"
    outcome = read(path, Outcome)
    assert outcome is not None
    write(path, outcome.model_copy(update={"at": datetime.now(UTC) - timedelta(days=days)}))


def test_only_what_ended_before_the_moment_is_removed(jobs, tmp_path):
    old, new, waiting, cancelled, failed = [
        send(jobs, tmp_path, factor=number, failure="stays" if number == 4 else "") for number in range(5)
    ]
    for job in (old, new, failed):
        work_on(jobs, job, Processes(1))
    jobs.cancel(cancelled)
    age(old, 31)
    age(new, 29)
    age(cancelled, 31)
    age(failed, 31)
    moment = datetime.now(UTC) - MONTH
    number, size = remove_ended(jobs, moment, dry_run=True)
    assert number == 3
    assert size > 4_000
    assert len(jobs.all()) == 5
    assert remove_ended(jobs, moment) == (number, size)
    assert {job.id for job in jobs.all()} == {new.id, waiting.id}
    assert [path.name for path in jobs.folder.glob("new-*")] == []
    with pytest.raises(UnknownJobError, match="none was sent, or upkeep has removed it"):
        jobs.get(old.id)
    assert [job.id for job in jobs.waiting(KIND)] == [waiting.id]
    again = send(jobs, tmp_path, factor=0)
    assert (again.id, jobs.status(again).state) == (old.id, "waiting")
    work_on(jobs, again, Processes(1))
    assert jobs.status(again).state == "done"


def test_a_job_that_a_process_is_at_stays(jobs, tmp_path):
    job = send(jobs, tmp_path)
    jobs.cancel(job)
    age(job, 31)
    with job.claimed():
        assert remove_ended(jobs, datetime.now(UTC) - MONTH) == (0, 0)
    assert remove_ended(jobs, datetime.now(UTC) - MONTH)[0] == 1


def test_a_removal_that_was_killed_is_finished_by_the_next(jobs, tmp_path, monkeypatch):
    job = send(jobs, tmp_path)
    jobs.cancel(job)
    age(job, 31)

    class KilledError(Exception):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KilledError):
            remove_ended(jobs, datetime.now(UTC) - MONTH)
    assert jobs.all() == []
    (left,) = jobs.folder.glob("new-*")
    os.utime(left, times=(time.time() - 90_000,) * 2)
    remove_ended(jobs, datetime.now(UTC) - MONTH)
    assert list(jobs.folder.glob("new-*")) == []


def test_old_files_of_the_inbox_go_and_new_ones_stay(jobs, tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    old, new = jobs.inbox.keep(tmp_path / "a"), jobs.inbox.keep(tmp_path / "b")
    os.utime(old.path, times=(time.time() - 90_000,) * 2)
    remove_ended(jobs, datetime.now(UTC))
    assert jobs.inbox.find(old.sha256) is None
    assert jobs.inbox.find(new.sha256)


def test_a_damaged_job_is_left_to_its_operator(jobs, tmp_path, caplog):
    job = send(jobs, tmp_path)
    (job.folder / "outcome.json").write_text("{")
    assert remove_ended(jobs, datetime.now(UTC)) == (0, 0)
    assert "outcome.json is damaged" in caplog.text
    assert job.folder.exists()


@pytest.mark.slow
def test_upkeep_removes_jobs_and_says_so(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(groups, "job_kinds", lambda: {KIND.name: KIND})
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENGENOME_ENGINE", "processes")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    job = send(jobs, tmp_path)
    jobs.cancel(job)
    age(job, 8)
    assert "Jobs that were sent" not in CliRunner().invoke(main, ["upkeep"]).output
    planned = CliRunner().invoke(main, ["upkeep", "--jobs-days", "7", "--dry-run"])
    assert "1 that ended 7 days ago would be removed" in planned.output, planned.output
    assert jobs.get(job.id)
    asked = CliRunner().invoke(main, ["upkeep", "--jobs-days", "7", "--dry-run", "--format", "json"])
    removed = {"runs_removed": 0, "jobs_removed": 1, "job_bytes_freed": json.loads(asked.stdout)["job_bytes_freed"]}
    assert json.loads(asked.stdout) == {"tables": {}, **removed}
    assert removed["job_bytes_freed"] > 500
    done = CliRunner().invoke(main, ["upkeep", "--jobs-days", "7"])
    assert "1 that ended 7 days ago removed" in done.output
    assert jobs.all() == []
