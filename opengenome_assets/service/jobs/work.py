"""Work on jobs, in this process: one job, or all that wait.

Belongs here: attempts, and how a job ends. Does not belong here: who calls this (Dagster, the server, or the command
line), and the work itself, which the kind of job has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from opengenome_assets.engine import Engine
from opengenome_assets.framework.jobs import CancelledError, FailedError, JobKind, Watching
from opengenome_assets.service.jobs.job import SHORT, Job
from opengenome_assets.service.jobs.records import Outcome, Result
from opengenome_assets.service.jobs.store import Jobs

MAX_ATTEMPTS = 3
PAUSE_SECONDS = 30.0  # after an error that may pass; after each further one four times as long


def work_on(jobs: Jobs, job: Job, engine: Engine, run_id: str = "") -> Exception | None:
    """Do a job's work, unless it has ended or another process is at it.

    Parameters
    ----------
    jobs
        The jobs.
    job
        The job.
    engine
        The engine.
    run_id
        The run that does it, if one does.

    Returns
    -------
    Exception or None
        The error of an attempt that may succeed when it is repeated. The job waits then.
    """
    with job.claimed() as mine:
        if not mine:
            return None
        attempt = job.begin(run_id)
        started = time.monotonic()

        def ended(state: str, error: str = "", tables: list[Result] | None = None) -> None:
            job.end(
                Outcome.model_validate(
                    {
                        "state": state,
                        "at": datetime.now(UTC),
                        "seconds": round(time.monotonic() - started, 3),
                        "run_id": run_id,
                        "error": error,
                        "tables": tables or [],
                    }
                )
            )

        if attempt.number > MAX_ATTEMPTS:
            ended(
                "failed",
                f"{MAX_ATTEMPTS} attempts ended without a result{_last(job)}. Look into the log of the runs, mend the "
                "cause, and send it again",
            )
            return None
        sent = job.sent(jobs.settings, Watching(str(job.folder), lambda: job.outcome is not None))
        if gone := [file for file in sent.files if not _is_whole(file.path, file.bytes)]:
            names = ", ".join(file.name for file in gone)
            ended("failed", f"{names}: gone or changed since it was sent. Send it again")
            return None
        try:
            job.kind.perform(sent, job.submission.settings, engine)
            ended("done", tables=results_of(job))
        except CancelledError:
            pass
        except FailedError as error:
            ended("failed", str(error))
        except Exception as error:
            job.note(attempt, f"{type(error).__name__}: {error}"[:2000])
            if attempt.number < MAX_ATTEMPTS:
                return error
            ended("failed", f"{error}. That was attempt {attempt.number}. Mend the cause, and send it again")
        return None


def work_on_waiting(
    jobs: Jobs, kind: JobKind, engine: Engine, run_id: str, tell: Callable[[str], None], pause: float = PAUSE_SECONDS
) -> list[tuple[Job, Exception]]:
    """Do the work of all waiting jobs of a kind that are due, and of those that come meanwhile; each once.

    Returns
    -------
    list
        Jobs whose attempt ended with an error that may pass. They wait for the next run.
    """
    seen: set[str] = set()
    errors = []
    while new := [job for job in jobs.waiting(kind) if job.id not in seen and due(job, pause)]:
        for place, job in enumerate(new):
            seen.add(job.id)
            tell(
                f"job {job.id[:SHORT]}: {job.submission.units:,} {kind.unit}s, {len(new) - place - 1:,} wait behind it"
            )
            if error := work_on(jobs, job, engine, run_id):
                errors.append((job, error))
    return errors


def due(job: Job, pause: float = PAUSE_SECONDS) -> bool:
    """Return whether a waiting job may be worked on: not soon after an attempt that ended with an error (back-off)."""
    attempt = job.attempt
    if attempt is None or not attempt.error:
        return True
    wait: float = pause * 4 ** (attempt.number - 1)
    # A machine whose clock is ahead may have started it in the future: nobody waits for that moment.
    return not 0 <= (datetime.now(UTC) - attempt.started).total_seconds() < wait


def results_of(job: Job) -> list[Result]:
    """Return the tables of results as they are."""
    found = []
    for table in job.kind.results:
        snapshot = job.home().table(table).at()
        version = snapshot.provenance.data_version
        found.append(Result(name=table.name, version=snapshot.version, rows=snapshot.rows, data_version=version))
    return found


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _last(job: Job) -> str:
    attempt = job.attempt
    return f" ({attempt.error})" if attempt and attempt.error else ""
