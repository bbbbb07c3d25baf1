"""Jobs in Dagster: for each kind a job that works on all that wait, and a sensor that starts it.

Belongs here: when a run starts, and when a run counts as dead. Does not belong here: the work (``work.py``).

One run takes all jobs that wait, and those that come while it works. The sensor asks for no run while one is under way.
The run has a concurrency pool of its own, and works in processes of its machine: so it waits neither for a run of the
whole platform nor for the cores of its Spark cluster.
"""

import fcntl
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg

from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.service.jobs.job import SHORT
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.service.jobs.work import due, work_on_waiting
from opengenome_assets.settings import Settings
from opengenome_assets.words import listing, plural

INTERVAL_SECONDS = 5
STARTING_SECONDS = 300.0  # from a request to a process that has loaded the definitions, on a loaded machine too
STARTED_SECONDS = 20.0  # from there to the lock
_UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def build(settings: Settings, kinds: Mapping[str, JobKind], preload: list[str]) -> dg.Definitions:
    """Return the jobs and sensors of the kinds.

    Parameters
    ----------
    settings
        The settings of the platform.
    kinds
        The kinds of jobs, by name.
    preload
        Modules that workers preload.
    """
    jobs = Jobs(settings, kinds)
    built = [(kind, build_job(jobs, kind, preload)) for kind in kinds.values()]
    return dg.Definitions(
        jobs=[job for _, job in built], sensors=[build_sensor(jobs, kind, job) for kind, job in built]
    )


def job_name(kind: JobKind) -> str:
    """Return the name of a kind's job in Dagster."""
    return f"work_on_{kind.name}"


def build_job(jobs: Jobs, kind: JobKind, preload: list[str]) -> dg.JobDefinition:
    """Return the job that works on all waiting jobs of a kind."""
    description = f"Works on all jobs of the kind {kind.name} that wait. {kind.description}"

    @dg.op(name=f"{job_name(kind)}_that_wait", pool=f"jobs_{kind.name}", description=description)
    def work(context: dg.OpExecutionContext) -> None:
        with at_work(jobs, kind) as alone:
            if not alone:
                context.log.info("another run works on them")
                return
            jobs.tidy()
            with Processes(preload=preload) as engine:
                errors = work_on_waiting(jobs, kind, engine, context.run_id, context.log.info)
        if errors:
            named = listing([f"{job.id[:SHORT]} ({error})" for job, error in errors])
            raise dg.Failure(
                f"jobs whose work ended with an error: {named}. They wait for a later run", allow_retries=False
            )

    @dg.job(name=job_name(kind), description=description)
    def work_on_jobs() -> None:
        work()

    return work_on_jobs


def build_sensor(jobs: Jobs, kind: JobKind, job: dg.JobDefinition) -> dg.SensorDefinition:
    """Return the sensor that starts a run if jobs of a kind wait and none is under way."""

    @dg.sensor(
        name=f"{job_name(kind)}_sensor",
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts one run for all jobs of the kind {kind.name} that wait, if none is under way. A run whose "
        "process is gone is reported as failed, and the next one goes on with its jobs.",
    )
    def jobs_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        waiting = [each for each in jobs.waiting(kind) if due(each)]
        if not waiting:
            return dg.SensorResult(skip_reason=dg.SkipReason("no job waits"), cursor="")
        suspected = set((context.cursor or "").split())
        runs = _runs(context.instance, job)
        # A run holds no lock for a moment too when it begins and when it ends: it is dead if it holds none for long.
        silent = [] if is_at_work(jobs, kind) else [record for record in runs if _is_silent(record)]
        for record in silent:
            if record.dagster_run.run_id in suspected:
                words = "The process of this run is gone. Its jobs go on in the next run"
                context.instance.report_run_failed(record.dagster_run, words)
        if runs := _runs(context.instance, job):
            reason = f"{plural(len(waiting), 'job')} to do; run {runs[0].dagster_run.run_id} is under way"
            names = " ".join(record.dagster_run.run_id for record in silent)
            return dg.SensorResult(skip_reason=dg.SkipReason(reason), cursor=names)
        tags = {"opengenome/jobs": kind.name}
        return dg.SensorResult(run_requests=[dg.RunRequest(tags=tags)], cursor="")

    return jobs_sensor


def _runs(instance: dg.DagsterInstance, job: dg.JobDefinition) -> Sequence[dg.RunRecord]:
    """Return the runs that are under way."""
    return instance.get_run_records(dg.RunsFilter(job_name=job.name, statuses=list(_UNDER_WAY)))


def _is_silent(record: dg.RunRecord) -> bool:
    """Return whether a run would hold its lock by now. One in the queue may wait for ever."""
    if record.dagster_run.status == dg.DagsterRunStatus.QUEUED:
        return False
    begun, patience = record.start_time, STARTED_SECONDS
    if begun is None:
        begun, patience = record.create_timestamp.timestamp(), STARTING_SECONDS
    return time.time() - begun > patience


@contextmanager
def at_work(jobs: Jobs, kind: JobKind) -> Generator[bool]:
    """Be the only run that works on jobs of a kind. False if another one is."""
    path = jobs.folder / f"{kind.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def is_at_work(jobs: Jobs, kind: JobKind) -> bool:
    """Return whether a run works on jobs of a kind: its lock ends with its process."""
    with at_work(jobs, kind) as alone:
        return not alone
