"""Jobs in Dagster: one run for all that wait, none beside it, and the next goes on where a dead one stopped."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from opengenome_assets import groups
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets.service.jobs.definitions import STARTED_SECONDS, at_work, build_job, build_sensor, is_at_work
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.settings import Settings
from opengenome_assets_tests.processes import REPOSITORY, processes_of, started, wait_for
from opengenome_assets_tests.service.lines import KIND, jobs_in, send


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return jobs_in(tmp_path / "home")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(jobs: Jobs, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate the sensor once."""
    sensor = build_sensor(jobs, KIND, build_job(jobs, KIND, []))
    result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> int:
    return len(result.run_requests or [])


def run(jobs: Jobs, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return build_job(jobs, KIND, []).execute_in_process(instance=instance, raise_on_error=False)


@pytest.mark.long
def test_all_that_wait_are_one_run_and_each_is_done_once(jobs, instance, tmp_path):
    assert "no job waits" in tick(jobs, instance).skip_reason.skip_message
    sent = [send(jobs, tmp_path / "a", text="x\n" * number) for number in range(1, 40)]
    result = tick(jobs, instance)
    assert requested(result) == 1
    assert result.run_requests[0].tags == {"opengenome/jobs": "lines"}
    assert result.run_requests[0].run_key is None  # a key would never be tried again
    done = run(jobs, instance)
    assert done.success
    assert {job.state for job in sent} == {"done"}
    assert {job.attempt.number for job in sent} == {1}
    assert {job.outcome.run_id for job in sent} == {done.run_id}
    assert requested(tick(jobs, instance)) == 0


def test_no_run_is_requested_while_one_is_under_way(jobs, instance, tmp_path):
    send(jobs, tmp_path / "a")
    under_way = instance.create_run_for_job(job_def=build_job(jobs, KIND, []), status=dg.DagsterRunStatus.STARTING)
    result = tick(jobs, instance)
    assert requested(result) == 0
    assert f"1 job to do; run {under_way.run_id} is under way" in result.skip_reason.skip_message


def test_a_run_beside_another_leaves_the_jobs_to_it(jobs, instance, tmp_path):
    job = send(jobs, tmp_path / "a")
    with at_work(jobs, KIND) as alone:
        assert alone
        assert run(jobs, instance).success
        assert job.state == "waiting"
    assert not is_at_work(jobs, KIND)
    run(jobs, instance)
    assert job.state == "done"


def test_a_run_whose_process_is_gone_is_reported_and_the_next_takes_its_jobs(jobs, instance, tmp_path, monkeypatch):
    job = send(jobs, tmp_path / "a")
    job.begin("dead")  # it was killed within the job
    dead = instance.create_run_for_job(job_def=build_job(jobs, KIND, []), status=dg.DagsterRunStatus.STARTED)
    assert requested(tick(jobs, instance)) == 0  # it may just have begun
    later = time.time() + 10 * STARTED_SECONDS + 300
    monkeypatch.setattr(time, "time", lambda: later)
    with at_work(jobs, KIND):  # it lives, and has much to do
        assert not tick(jobs, instance).cursor
    first = tick(jobs, instance)
    assert (requested(first), first.cursor) == (0, dead.run_id)  # it may just be ending
    second = tick(jobs, instance, first.cursor)
    assert requested(second) == 1
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
    run(jobs, instance)
    assert (job.state, job.attempt.number) == ("done", 2)


def test_a_run_with_errors_fails_and_names_the_jobs_which_wait(jobs, instance, tmp_path):
    bad, good = send(jobs, tmp_path / "a", failure="passes"), send(jobs, tmp_path / "a")
    result = run(jobs, instance)
    assert not result.success
    (event,) = [event for event in result.all_events if event.is_step_failure]
    assert f"jobs whose work ended with an error: {bad.id[:12]}" in event.step_failure_data.error_display_string
    assert (bad.state, good.state) == ("waiting", "done")
    assert requested(tick(jobs, instance)) == 0  # not at once again


@pytest.mark.long
def test_each_kind_of_the_platform_has_its_job_pool_and_sensor():
    from opengenome_assets.definitions import build_defs

    defs = build_defs(Settings(engine="processes"))
    for name in groups.job_kinds():
        job = defs.resolve_job_def(f"work_on_{name}")
        assert [node.definition.pools for node in job.nodes] == [{f"jobs_{name}"}]
        sensor = defs.resolve_sensor_def(f"work_on_{name}_sensor")
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    # Steps that write to the home have a pool of their own, so that no run of theirs keeps jobs waiting.
    pools = {pool for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable for pool in asset.op.pools}
    assert pools == {"home"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_real_daemon_works_on_what_is_sent_and_after_its_death_another_goes_on(tmp_path):
    """Kill the daemon, its code server and its run while jobs wait and one is worked on."""
    home = tmp_path / "home"
    jobs = Jobs(Settings(home=str(home), engine="processes"), groups.job_kinds())
    kind = groups.job_kinds()["proteins"]
    blob = jobs.inbox.keep(SAMPLE_FOLDER / "escherichia-prot_proteins.fasta")
    sent = [
        jobs.submit(kind, [("proteins", f"isolate{number}_proteins.fasta", blob)], {"organism": "Escherichia"})[0]
        for number in range(2)
    ]
    daemon = [
        *("dagster-daemon", "run", "--module-name", "opengenome_assets.definitions"),
        *("--working-directory", str(REPOSITORY)),
    ]
    with started(daemon, home):
        wait_for(lambda: any(job.state == "running" for job in sent), "work", seconds=240, every=0.2)
    assert processes_of(home) == []
    before = [job.id for job in sent if job.state == "done"]
    assert len(before) < len(sent)
    outcomes = [job.outcome for job in sent if job.id in before]
    with started(daemon, home):
        wait_for(lambda: all(job.state == "done" for job in sent), "results", seconds=290, every=0.2)
    assert [job.outcome for job in sent if job.id in before] == outcomes
    assert len(jobs.all()) == len(sent)
    assert {job.outcome.tables[0].rows for job in sent} == {3}
    assert jobs.waiting(kind) == []
