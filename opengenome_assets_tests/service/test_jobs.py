"""Jobs on files: they are taken once, done once, and nothing is lost when a process dies."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.jobs import RefusedError
from opengenome_assets.service.jobs.job import EndedError, NotDoneError, UnknownTableError
from opengenome_assets.service.jobs.results import read_page, special, table_of, written
from opengenome_assets.service.jobs.store import Jobs, UnknownJobError
from opengenome_assets.service.jobs.work import MAX_ATTEMPTS, due, work_on, work_on_waiting
from opengenome_assets.storage.files import DamagedError
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service.lines import KIND, LINES, jobs_in, send

ENGINE = Processes(1)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return jobs_in(tmp_path / "home")


def work(jobs: Jobs, run_id: str = "run") -> list[str]:
    return [job.id for job, _ in work_on_waiting(jobs, KIND, ENGINE, run_id, lambda _: None, pause=0)]


def test_a_job_is_done_and_its_results_are_those_of_its_version(jobs, tmp_path):
    job = send(jobs, tmp_path / "a")
    waiting = jobs.status(job)
    assert (waiting.state, waiting.place, waiting.units, waiting.tables) == ("waiting", 1, 2, [])
    assert work(jobs, "the run") == []
    done = jobs.status(job)
    assert (done.state, done.percent, done.run_id, done.error) == ("done", 100.0, "the run", "")
    (table,) = done.tables
    assert (table.name, table.version, table.rows) == (LINES.name, 0, 1)
    assert read_page(job).rows.to_pylist() == [{"file": "a.txt", "lines": 2}]
    assert jobs.waiting(KIND) == []


def test_the_same_work_sent_twice_is_one_job(jobs, tmp_path):
    first = send(jobs, tmp_path / "a")
    assert send(jobs, tmp_path / "b").id == first.id
    assert send(jobs, tmp_path / "a", factor=2).id != first.id
    assert send(jobs, tmp_path / "a", name="b.txt").id != first.id
    assert send(jobs, tmp_path / "a", text="other\n").id != first.id
    assert len(jobs.all()) == 4
    work(jobs)
    before = first.outcome
    assert send(jobs, tmp_path / "c").outcome == before
    work(jobs)
    assert first.outcome == before


def test_files_in_another_order_are_the_same_job(jobs, tmp_path):
    (tmp_path / "a").write_text("a\n")
    blob = jobs.inbox.keep(tmp_path / "a")
    files = [("text", "b.txt", blob), ("other", "b.txt", blob), ("text", "a.txt", blob)]
    (first, is_new), (second, again) = (jobs.submit(KIND, each, {}) for each in (files, files[::-1]))
    assert (first.id, is_new, again) == (second.id, True, False)
    moved = [("other", "a.txt", blob), *files[:2]]
    assert jobs.submit(KIND, moved, {})[0].id != first.id


def test_senders_at_the_same_moment_get_one_job(jobs, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda place=place: found.append(send(jobs, tmp_path / str(place)).id))
        for place in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == len(jobs.all()) == len(jobs.waiting(KIND)) == 1


def test_the_queue_is_in_the_order_of_receipt(jobs, tmp_path):
    sent = [send(jobs, tmp_path / "a", text=f"{number}\n") for number in range(4)]
    assert [job.id for job in jobs.waiting(KIND)] == [job.id for job in sent]
    assert [jobs.status(job).place for job in sent] == [1, 2, 3, 4]
    jobs.cancel(sent[0])
    assert [jobs.status(job).place for job in sent] == [None, 1, 2, 3]


@pytest.mark.parametrize(
    ("files", "options", "fault"),
    [
        ([("text", "../a.txt")], {}, "expected a file name of up to 200 letters, digits, '.', '_', '+' and '-', found"),
        ([("text", "a.txt"), ("text", "a.txt")], {}, "a.txt: expected names that differ, found this one twice"),
        ([("poem", "a.txt")], {}, "a.txt: expected a role of text, other, found 'poem'"),
        ([("text", "a.txt")], {"factor": "two"}, "factor: Input should be a valid integer"),
        ([("text", "a.txt")], {"colour": 1}, "colour: Extra inputs are not permitted, found 1"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_leaves_nothing(jobs, tmp_path, files, options, fault):
    (tmp_path / "a").write_text("a\n")
    blob = jobs.inbox.keep(tmp_path / "a")
    with pytest.raises(RefusedError) as error:
        jobs.submit(KIND, [(role, name, blob) for role, name in files], options)
    assert error.value.faults[0].startswith(fault)
    assert [path.name for path in jobs.folder.iterdir()] == ["inbox"]


def test_a_refused_job_says_why_and_leaves_nothing(jobs, tmp_path):
    with pytest.raises(RefusedError, match=r"a\.txt: expected good lines, found bad"):
        send(jobs, tmp_path / "a", text="bad\n")
    assert jobs.all() == jobs.waiting(KIND) == []


def test_a_cancelled_job_is_not_done_and_waits_again_when_it_is_sent_again(jobs, tmp_path):
    job = send(jobs, tmp_path / "a")
    assert jobs.cancel(job) is True
    assert jobs.cancel(job) is False  # twice is no error
    work(jobs)
    assert (job.state, job.home().table(LINES).exists()) == ("cancelled", False)
    with pytest.raises(NotDoneError, match=r"is cancelled, and has no results. Send it again"):
        read_page(job)
    assert send(jobs, tmp_path / "a").state == "waiting"
    work(jobs)
    with pytest.raises(EndedError, match="is done: there is nothing to cancel"):
        jobs.cancel(job)
    assert job.state == "done"


def test_work_that_has_begun_ends_when_its_job_is_cancelled(jobs, tmp_path):
    job = send(jobs, tmp_path / "a", name="wait.txt")
    thread = threading.Thread(target=work, args=(jobs,))
    thread.start()
    wait_for(lambda: job.state == "running", "work")
    assert jobs.status(job).parts_wanted == 1
    with pytest.raises(NotDoneError, match=r"is running: it has no results yet. Ask for its status"):
        read_page(job)
    work_on(jobs, job, ENGINE)  # another worker leaves it alone
    assert job.attempt.number == 1
    jobs.cancel(job)
    thread.join(10)
    assert not thread.is_alive()
    assert (job.state, job.home().table(LINES).exists()) == ("cancelled", False)


def test_a_failure_that_stays_is_the_jobs_end_and_does_not_cost_the_others(jobs, tmp_path):
    bad, good = send(jobs, tmp_path / "a", failure="stays"), send(jobs, tmp_path / "a")
    assert work(jobs) == []
    assert (jobs.status(bad).state, jobs.status(bad).error) == ("failed", "the lines cannot be counted. Send others")
    assert good.state == "done"
    with pytest.raises(NotDoneError, match=r"is failed, and has no results: the lines cannot be counted. Send others"):
        read_page(bad)
    assert send(jobs, tmp_path / "a", failure="stays").state == "waiting"  # sent again, it is tried again


def test_a_failure_that_may_pass_is_tried_again_in_later_runs_up_to_a_limit(jobs, tmp_path):
    bad, good = send(jobs, tmp_path / "a", failure="passes"), send(jobs, tmp_path / "a")
    for number in range(1, MAX_ATTEMPTS):
        assert work(jobs) == [bad.id]
        status = jobs.status(bad)
        assert (status.state, status.attempts) == ("waiting", number)
        assert "No space left on device" in status.error
    assert not due(bad)  # a while after the error
    assert work(jobs) == []
    assert bad.state == "failed"
    assert "That was attempt 3. Mend the cause, and send it again" in bad.outcome.error
    assert good.state == "done"


def test_a_job_that_kills_its_worker_is_given_up(jobs, tmp_path):
    job = send(jobs, tmp_path / "a")
    for _ in range(MAX_ATTEMPTS):
        job.begin("a run that was killed")
    work(jobs)
    assert job.state == "failed"
    assert job.outcome.error.startswith("3 attempts ended without a result. Look into the log of the runs")


def test_a_file_that_vanished_after_it_was_sent_is_named(jobs, tmp_path):
    job = send(jobs, tmp_path / "a")
    (job.folder / "files" / "text" / "a.txt").unlink()
    work(jobs)
    assert (job.state, job.outcome.error) == ("failed", "a.txt: gone or changed since it was sent. Send it again")


def test_a_job_is_found_by_the_first_digits_of_its_id(jobs, tmp_path):
    job = send(jobs, tmp_path / "a")
    assert jobs.get(job.id).id == jobs.get(job.id[:8]).id == job.id
    for named in ("f" * 64, "0" * 12, "../../etc", "A", "abc"):
        with pytest.raises(UnknownJobError, match=r"there is no job|expected an id of 6 to 64"):
            jobs.get(named)


def test_a_damaged_record_is_named_and_does_not_stop_the_others(jobs, tmp_path):
    bad, good = send(jobs, tmp_path / "a"), send(jobs, tmp_path / "a", factor=3)
    (bad.folder / "job.json").write_text("{")
    with pytest.raises(DamagedError, match=r"job\.json is damaged: it cannot be read as submission. Remove its folder"):
        jobs.get(bad.id)
    assert [job.id for job in jobs.all()] == [good.id]
    work(jobs)
    assert good.state == "done"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_home_that_is_read_only_is_said_so_for_users(jobs, tmp_path):
    jobs.folder.mkdir(parents=True)
    jobs.folder.chmod(0o500)
    with pytest.raises(OSError, match="could not be written"):
        send(jobs, tmp_path / "a")


def test_a_home_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(OSError, match=r"could not be written.*Free space there, give yourself the right to write"):
        send(jobs_in(tmp_path / "home"), tmp_path / "a")


def test_leftovers_of_dead_senders_are_removed_and_jobs_keep_their_files(jobs, tmp_path):
    job = send(jobs, tmp_path / "a")
    (jobs.folder / "new-1" / "files").mkdir(parents=True)
    (jobs.folder / "inbox" / f"{'0' * 64}.part").write_text("half")
    jobs.tidy()
    assert (jobs.folder / "new-1").exists()  # it may be arriving
    jobs.tidy(older=-1)
    assert sorted(path.name for path in jobs.folder.iterdir()) == sorted(["inbox", "waiting", job.id])
    assert list((jobs.folder / "inbox").iterdir()) == []
    work(jobs)
    assert job.state == "done"


def test_pages_follow_the_key_and_forms_hold_the_same_rows(jobs, tmp_path):
    files = []
    for name in ("c", "a", "b"):
        (tmp_path / name).write_text(f"{name}\n")
        files.append(("text", f"{name}.txt", jobs.inbox.keep(tmp_path / name)))
    job, _ = jobs.submit(KIND, files, {})
    work(jobs)
    page = read_page(job, LINES.name, 0, 2)
    assert ([row["file"] for row in page.rows.to_pylist()], page.next) == (["a.txt", "b.txt"], 2)
    last = read_page(job, LINES.name, 2, 2)
    assert ([row["file"] for row in last.rows.to_pylist()], last.next) == (["c.txt"], None)
    rows = read_page(job).rows
    assert written(rows, "tsv").decode().splitlines() == ["file\tlines", "a.txt\t1", "b.txt\t1", "c.txt\t1"]
    assert json.loads(written(rows, "json")) == [json.loads(line) for line in written(rows, "ndjson").splitlines()]
    assert special(job, "shout") == ("text/plain", b"3!\n")
    with pytest.raises(UnknownTableError, match="has no table 'other': expected one of line_counts"):
        table_of(job, "other")


@pytest.mark.slow
def test_a_death_between_any_two_steps_loses_nothing_and_does_nothing_twice(tmp_path):
    command = [sys.executable, "-m", "opengenome_assets_tests.service.killed", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    deaths = [json.loads(line) for line in answer.stdout.splitlines()]
    assert len(deaths) > 15
    assert [each["killed"] for each in deaths] == [True] * (len(deaths) - 1) + [False]
    for number, each in enumerate(deaths):
        assert each["states"] == ["done"], number
        assert each["rows"] == [[{"file": "a.txt", "lines": 2}]], number
        assert each["versions"] == [0], number


def test_an_entry_that_another_sender_takes_away_is_no_error(jobs, tmp_path, monkeypatch):
    job = send(jobs, tmp_path)
    (entry,) = (jobs.folder / "waiting" / KIND.name).iterdir()
    ghost = entry.with_name(f"{'0' * 20}-{'f' * 64}")  # of work that was sent twice at once
    ghost.touch()
    stat = Path.stat

    def gone(path: Path, **options: bool) -> os.stat_result:
        if path == ghost:
            ghost.unlink()
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", gone)
    assert [each.id for each in jobs.waiting(KIND)] == [job.id]
